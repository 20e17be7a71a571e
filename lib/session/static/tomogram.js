/** Slices of the tomogram at hand, with circles on the candidates near the slice. */

import { byId, fitCanvas, make, oncePerFrame, segmented, some } from "./dom.js";
import { closestPoint, combine, combineOf } from "./picking.js";
import { hex } from "./colors.js";
import { Outline, selectInside } from "./lasso.js";
import { Slices } from "./slices.js";

const NICE_LENGTHS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
// Columns, rows and depth of a slice across each axis.
const AXES = { z: ["x", "y", "z"], y: ["x", "z", "y"], x: ["y", "z", "x"] };
const ZYX = ["z", "y", "x"];

export class TomogramPanel {
  /** @param {import("./store.js").Store} store @param {import("./patches.js").Patches} patches
   *  @param {(error: Error) => void} failed */
  constructor(store, patches, failed) {
    this.store = store;
    this.patches = patches;
    this.failed = failed;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("slice-image"));
    this.overlay = /** @type {HTMLCanvasElement} */ (byId("slice-overlay"));
    this.slider = /** @type {HTMLInputElement} */ (byId("slice-index"));
    this.tip = byId("slice-tip");
    this.slices = new Slices();
    this.picture = document.createElement("canvas");
    this.axis = "z";
    this.sigma = 0;
    this.index = { z: 0, y: 0, x: 0 };
    this.circles = "all";
    this.radius = Math.max(3, store.session.patches.edge / 3);
    this.tomogram = -1;
    this.hover = -1;
    this.at = { x: new Float32Array(0), y: new Float32Array(0), z: new Float32Array(0) };
    this.rows = new Uint32Array(0);
    this.drawSoon = oncePerFrame(() => this.draw());
    this.size = fitCanvas([this.canvas, this.overlay], () => this.resized());
    this.listen();
    this.wireControls();
    const first = store.session.tomograms.findIndex(({ available }) => available);
    this.open(Math.max(0, first));
  }

  resized() {
    if (this.tomogram < 0) return;
    this.draw();
  }

  get info() {
    return this.store.session.tomograms[this.tomogram];
  }

  length(axis) {
    return this.info.shape?.[ZYX.indexOf(axis)] ?? 1;
  }

  /** Show a tomogram. @param {number} tomogram @param {number} [row] At this candidate. */
  open(tomogram, row = -1) {
    const { points } = this.store;
    if (tomogram !== this.tomogram) {
      this.tomogram = tomogram;
      this.rows = this.store.byTomogram[tomogram];
      for (const axis of ["x", "y", "z"]) {
        this.at[axis] = Float32Array.from(this.rows, (i) => points[`position_${axis}`][i]);
        this.index[axis] = this.length(axis) >> 1;
      }
      this.index.z = this.busiest();
      this.fit();
      this.resetContrast();
      this.store.openedTomogram = tomogram;
      this.store.tell("tomogram");
    }
    if (row >= 0) {
      for (const axis of ["x", "y", "z"]) {
        this.index[axis] = Math.min(this.length(axis) - 1, Math.max(0, Math.round(points[`position_${axis}`][row])));
      }
      this.center(row);
    }
    this.show();
  }

  /** The middle slice by number of candidates. */
  busiest() {
    const z = Float32Array.from(this.at.z).sort();
    return z.length ? Math.round(z[z.length >> 1]) : this.length("z") >> 1;
  }

  fit() {
    const [across, down] = AXES[this.axis];
    this.view = { zoom: 1, x: this.length(across) / 2, y: this.length(down) / 2 };
  }

  /** Move a candidate into view if it is outside. */
  center(row) {
    const { points } = this.store;
    const [across, down] = AXES[this.axis];
    const [x, y] = [points[`position_${across}`][row], points[`position_${down}`][row]];
    const scale = this.scale();
    if (Math.abs(x - this.view.x) * scale > this.canvas.width * 0.42) this.view.x = x;
    if (Math.abs(y - this.view.y) * scale > this.canvas.height * 0.42) this.view.y = y;
  }

  scale() {
    const [across, down] = AXES[this.axis];
    const fit = Math.min(this.canvas.width / this.length(across), this.canvas.height / this.length(down));
    return fit * this.view.zoom;
  }

  /** Where voxel (0, 0, 0) and its neighbors are drawn; depth is the distance in voxels. */
  get projection() {
    const [across, down, deep] = AXES[this.axis];
    const scale = this.scale();
    const p = { zx: 0, zy: 0, zz: 0, xx: 0, xy: 0, xz: 0, yx: 0, yy: 0, yz: 0 };
    p[`x${across}`] = p[`y${down}`] = scale;
    p[`z${deep}`] = 1;
    p.x0 = this.canvas.width / 2 + (0.5 - this.view.x) * scale;
    p.y0 = this.canvas.height / 2 + (0.5 - this.view.y) * scale;
    p.z0 = -this.index[deep];
    return p;
  }

  /** Fetch and draw the slice at hand. */
  async show() {
    const depth = this.length(this.axis);
    const { axis, tomogram, sigma } = this;
    const index = this.index[axis];
    this.slider.max = String(depth - 1);
    this.slider.value = String(index);
    byId("slice-number").textContent = `${axis} ${index} / ${depth - 1}`;
    const note = byId("slice-note");
    note.hidden = this.info.available;
    if (!this.info.available) {
      note.textContent = `${this.info.name} cannot be shown: ${this.info.why}`;
      this.shown = null;
      this.draw();
      return;
    }
    const wanted = { tomogram, axis, index, sigma };
    this.wanted = wanted;
    this.drawSoon();
    try {
      const slice = await this.slices.get(wanted);
      if (this.wanted !== wanted) return;
      this.shown = { ...slice, ...wanted };
      this.paint();
      this.slices.fetchAhead(wanted, depth);
    } catch (error) {
      if (this.wanted !== wanted) return;
      this.shown = null;
      note.hidden = false;
      note.textContent = error.message;
      this.draw();
    }
  }

  /** Apply the contrast to the slice. */
  paint() {
    if (!this.shown) return;
    const { gray, width, height } = this.shown;
    const step = 255 / Math.max(1, this.high - this.low);
    const table = Uint32Array.from({ length: 256 }, (_, value) => {
      const level = Math.min(255, Math.max(0, Math.round((value - this.low) * step)));
      return 0xff000000 | (level * 0x010101);
    });
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[gray[i]];
    this.picture.width = width;
    this.picture.height = height;
    this.picture.getContext("2d").putImageData(image, 0, 0);
    this.drawSoon();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    const { width, height } = this.canvas;
    const p = this.projection;
    const scale = this.scale();
    context.fillStyle = "#13151a";
    context.fillRect(0, 0, width, height);
    if (this.shown && this.shown.axis === this.axis && this.shown.tomogram === this.tomogram) {
      context.imageSmoothingEnabled = scale < 4;
      context.imageSmoothingQuality = "high";
      const { width: w, height: h } = this.shown;
      context.drawImage(this.picture, p.x0 - scale / 2, p.y0 - scale / 2, w * scale, h * scale);
    }
    this.drawBar(context);
    this.drawOverlay();
    const { dataset } = this.canvas;
    dataset.projection = JSON.stringify(p);
    dataset.tomogram = this.info.name;
    dataset.index = String(this.index[this.axis]);
    dataset.shown = String(this.shown ? this.shown.index : "");
  }

  drawBar(context) {
    const voxel = this.info.voxel_nm;
    if (!voxel) return;
    const { ratio } = this.size;
    const length = NICE_LENGTHS.findLast((nm) => (nm / voxel) * this.scale() < this.canvas.width * 0.28);
    if (!length) return;
    const [x, y] = [14 * ratio, this.canvas.height - 14 * ratio];
    const across = (length / voxel) * this.scale();
    context.fillStyle = "rgba(10, 11, 14, 0.72)";
    context.fillRect(x - 7 * ratio, y - 24 * ratio, across + 14 * ratio, 32 * ratio);
    context.fillStyle = "#ffffff";
    context.fillRect(x, y - 2 * ratio, across, 3 * ratio);
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(`${length} nm`, x + across / 2, y - 8 * ratio);
  }

  /** 1 for each candidate of the tomogram whose circle is drawn. */
  nearby() {
    const { shown, selected, selectedCount } = this.store;
    const deep = AXES[this.axis][2];
    const depth = this.at[deep];
    const only = this.circles === "selected" && selectedCount > 0;
    const near = new Uint8Array(this.rows.length);
    if (this.circles === "none") return near;
    for (let k = 0; k < near.length; k++) {
      const row = this.rows[k];
      if (!shown[row] || (only && !selected[row])) continue;
      near[k] = Math.abs(depth[k] - this.index[deep]) <= this.radius ? 1 : 0;
    }
    return near;
  }

  drawOverlay() {
    const context = this.overlay.getContext("2d");
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    const p = this.projection;
    const { ratio } = this.size;
    const { colors, selected, selectedCount, current } = this.store;
    const radius = Math.max(4 * ratio, this.radius * this.scale());
    this.near = this.nearby();
    let drawn = 0;
    for (let k = 0; k < this.near.length; k++) {
      if (!this.near[k]) continue;
      const row = this.rows[k];
      const [x, y, away] = this.place(p, k);
      if (x < -radius || y < -radius || x > this.overlay.width + radius || y > this.overlay.height + radius) continue;
      const faded = 1 - 0.75 * (Math.abs(away) / Math.max(1, this.radius));
      const behind = selectedCount > 0 && !selected[row];
      this.circle(context, x, y, radius, hex(colors[row]), behind ? faded * 0.5 : faded, behind ? 1.2 : selectedCount ? 2.6 : 1.8);
      drawn += 1;
    }
    for (const row of [this.hover, current]) {
      const k = row < 0 ? -1 : this.rows.indexOf(row);
      if (k < 0) continue;
      const [x, y, away] = this.place(p, k);
      if (Math.abs(away) > this.radius) continue;
      this.circle(context, x, y, radius + 4 * ratio, "#ffffff", 1, 2);
    }
    this.outline?.draw(context);
    this.canvas.dataset.circles = String(drawn);
  }

  place(p, k) {
    const [x, y, z] = [this.at.x[k], this.at.y[k], this.at.z[k]];
    return [
      p.xx * x + p.xy * y + p.xz * z + p.x0,
      p.yx * x + p.yy * y + p.yz * z + p.y0,
      p.zx * x + p.zy * y + p.zz * z + p.z0,
    ];
  }

  circle(context, x, y, radius, color, opacity, width) {
    context.globalAlpha = Math.max(0.12, opacity);
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.lineWidth = (width + 1.6) * this.size.ratio;
    context.strokeStyle = "rgba(0, 0, 0, 0.55)";
    context.stroke();
    context.lineWidth = width * this.size.ratio;
    context.strokeStyle = color;
    context.stroke();
    context.globalAlpha = 1;
  }

  point(event) {
    const box = this.overlay.getBoundingClientRect();
    const { ratio } = this.size;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
  }

  /** The candidate whose circle is under the pointer, or -1. */
  closest([x, y]) {
    const reach = Math.max(8 * this.size.ratio, this.radius * this.scale());
    const k = closestPoint(this.at, this.projection, x, y, reach, (i) => this.near[i] === 1);
    return k < 0 ? -1 : this.rows[k];
  }

  listen() {
    const { overlay, store } = this;
    overlay.addEventListener("pointerdown", (event) => this.down(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.up(event));
    overlay.addEventListener("pointerleave", () => this.hoverAt(-1));
    overlay.addEventListener("contextmenu", (event) => event.preventDefault());
    overlay.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.shiftKey) {
        this.zoom(Math.exp(-(event.deltaY || event.deltaX) * 0.002), this.point(event));
      } else this.step(Math.sign(event.deltaY));
    }, { passive: false });
    overlay.addEventListener("keydown", (event) => this.key(event));
    store.listen(["selection", "colors", "shown"], () => this.drawSoon());
    store.listen(["tool"], () => overlay.classList.toggle("crosshair", store.tool !== "move"));
    store.listen(["current"], () => {
      const row = store.current;
      if (row >= 0 && store.openTomogram) this.open(store.points.tomogram[row], row);
      else this.drawSoon();
    });
  }

  down(event) {
    this.overlay.setPointerCapture(event.pointerId);
    this.from = this.last = this.point(event);
    const picking = this.store.tool !== "move" && event.button === 0;
    this.outline = picking ? new Outline(this.from, this.store.tool) : null;
    this.hoverAt(-1);
  }

  move(event) {
    const at = this.point(event);
    if (!this.last) {
      this.hoverAt(this.closest(at), at);
      return;
    }
    if (this.outline) this.outline.extend(at);
    else {
      this.view.x -= (at[0] - this.last[0]) / this.scale();
      this.view.y -= (at[1] - this.last[1]) / this.scale();
    }
    this.last = at;
    this.drawSoon();
  }

  up(event) {
    const at = this.point(event);
    const still = Math.hypot(at[0] - this.from[0], at[1] - this.from[1]) < 4 * this.size.ratio;
    if (this.outline?.isArea) this.selectOutline(event);
    else if (still && event.button === 0) this.click(at, event);
    this.outline = this.last = null;
    this.drawSoon();
  }

  /** Only candidates whose circles are drawn are picked by a lasso in the slice. */
  selectOutline(event) {
    const { points, rows } = this.store;
    const shown = new Uint8Array(rows);
    for (let k = 0; k < this.rows.length; k++) shown[this.rows[k]] = this.near[k];
    const at = { x: points.position_x, y: points.position_y, z: points.position_z };
    const { width, height } = this.canvas;
    selectInside(this.store, this.outline, { at, projection: this.projection, width, height, shown }, event);
  }

  /** A click on a circle selects its candidate, and shows it on the map. */
  click(at, event) {
    const row = this.closest(at);
    if (row < 0) return;
    const found = new Uint8Array(this.store.rows);
    found[row] = 1;
    this.store.select(combine(this.store.selected, found, combineOf(event, this.store.how)));
    this.store.visit(row, false);
  }

  hoverAt(row, at) {
    if (row === this.hover) return;
    this.hover = row;
    this.drawSoon();
    this.tip.hidden = row < 0;
    if (row < 0) return;
    this.patches.describe(this.tip, row);
    const { ratio, width, height } = this.size;
    const [x, y] = [at[0] / ratio, at[1] / ratio];
    this.tip.style.left = `${x > width / 2 ? x - this.tip.offsetWidth - 16 : x + 16}px`;
    this.tip.style.top = `${Math.min(y + 12, height - this.tip.offsetHeight - 6)}px`;
  }

  step(by) {
    const index = Math.min(this.length(this.axis) - 1, Math.max(0, this.index[this.axis] + by));
    if (index === this.index[this.axis]) return;
    this.slices.direction = by > 0 ? 1 : -1;
    this.index[this.axis] = index;
    this.show();
  }

  zoom(factor, [px, py]) {
    const before = this.scale();
    this.view.zoom = Math.min(30, Math.max(0.5, this.view.zoom * factor));
    const moved = 1 / before - 1 / this.scale();
    this.view.x += (px - this.canvas.width / 2) * moved;
    this.view.y += (py - this.canvas.height / 2) * moved;
    this.drawSoon();
  }

  key(event) {
    const middle = [this.canvas.width / 2, this.canvas.height / 2];
    const move = 30 / this.scale();
    const steps = { PageUp: 1, PageDown: -1, "]": 1, "[": -1 };
    const shifts = { ArrowLeft: [-move, 0], ArrowRight: [move, 0], ArrowUp: [0, -move], ArrowDown: [0, move] };
    if (event.key in steps) this.step(steps[event.key]);
    else if (event.key in shifts) {
      this.view.x += shifts[event.key][0];
      this.view.y += shifts[event.key][1];
      this.drawSoon();
    } else if (event.key === "+" || event.key === "=") this.zoom(1.3, middle);
    else if (event.key === "-") this.zoom(1 / 1.3, middle);
    else if (event.key === "Home") {
      this.fit();
      this.drawSoon();
    } else if (event.key === "Enter") {
      const k = closestPoint(this.at, this.projection, ...middle, 1e5, (i) => this.near[i] === 1);
      if (k >= 0) this.click(this.place(this.projection, k), event);
    } else return;
    event.preventDefault();
  }

  resetContrast() {
    this.low = this.info.low ?? 0;
    this.high = this.info.high ?? 255;
    /** @type {HTMLInputElement} */ (byId("slice-low")).value = String(this.low);
    /** @type {HTMLInputElement} */ (byId("slice-high")).value = String(this.high);
  }

  wireControls() {
    const input = (id, changed) =>
      byId(id).addEventListener("input", (event) => changed(Number(/** @type {HTMLInputElement} */ (event.target).value)));
    const choice = /** @type {HTMLSelectElement} */ (byId("slice-tomogram"));
    choice.append(...this.store.session.tomograms.map((each) => make("option", { value: each.index, text: each.name })));
    choice.addEventListener("change", () => this.open(Number(choice.value)));
    this.store.listen(["tomogram"], () => (choice.value = String(this.tomogram)));
    segmented(byId("slice-axis"), (axis) => {
      this.axis = axis;
      this.fit();
      if (this.store.current >= 0) this.center(this.store.current);
      this.show();
    })("z");
    input("slice-index", (value) => this.step(value - this.index[this.axis]));
    input("slice-low", (value) => {
      this.low = Math.min(value, this.high - 1);
      this.paint();
    });
    input("slice-high", (value) => {
      this.high = Math.max(value, this.low + 1);
      this.paint();
    });
    input("slice-sigma", (value) => {
      this.sigma = value;
      byId("slice-sigma-label").textContent = value ? `${value} voxels` : "off";
      this.show();
    });
    input("slice-radius", (value) => {
      this.radius = value;
      byId("slice-radius-label").textContent = some(value, "voxel");
      this.drawSoon();
    });
    const radius = /** @type {HTMLInputElement} */ (byId("slice-radius"));
    radius.value = String(Math.round(this.radius));
    byId("slice-radius-label").textContent = some(Number(radius.value), "voxel");
    segmented(byId("slice-circles"), (value) => {
      this.circles = value;
      this.drawSoon();
    })("all");
    byId("slice-contrast-reset").addEventListener("click", () => {
      this.resetContrast();
      this.paint();
    });
    byId("slice-home").addEventListener("click", () => {
      this.fit();
      this.drawSoon();
    });
  }
}
