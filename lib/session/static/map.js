/** The map of all candidates, flat or as a cloud that can be turned. */

import { byId, count, fitCanvas, oncePerFrame, segmented } from "./dom.js";
import { closestPoint, combine, combineOf } from "./picking.js";
import { BACKGROUND, flatProjection, paintPoints, pointEdge, shade, turnedProjection } from "./painting.js";
import { Outline, selectInside } from "./lasso.js";

const REACH = 9; // of the pointer, in CSS pixels
const MARGIN = 0.92;
const CLOUD_MARGIN = 1.25; // few points lie near the sphere about the cloud
const MOST_RIMS = 20000;
const RIM = 0xffffffff;

export class MapPanel {
  /** @param {import("./store.js").Store} store @param {import("./patches.js").Patches} patches */
  constructor(store, patches) {
    this.store = store;
    this.patches = patches;
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("map-points"));
    this.overlay = /** @type {HTMLCanvasElement} */ (byId("map-overlay"));
    this.tip = byId("map-tip");
    this.flat = true;
    this.hover = -1;
    this.larger = 1;
    this.numbers = store.session.clusters.length > 1;
    this.middles = clusterMiddles(store);
    this.cloud = cloudExtent(store.points);
    this.drawSoon = oncePerFrame(() => this.draw());
    this.paintColors();
    this.size = fitCanvas([this.canvas, this.overlay], () => this.resized());
    this.home();
    this.listen();
    this.wireControls();
  }

  resized() {
    const { width, height } = this.canvas;
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.nearest = new Uint8Array(width * height);
    if (this.view) {
      this.view.scale *= this.fitScale() / this.fitted;
      this.fitted = this.fitScale();
      this.draw();
    }
  }

  fitScale() {
    const edge = Math.min(this.canvas.width, this.canvas.height);
    return this.flat ? edge * MARGIN : (edge * CLOUD_MARGIN) / this.cloud.width;
  }

  /** Show all of the map. */
  home() {
    const { turn = 0.6, tilt = 0.35 } = this.view ?? {};
    this.fitted = this.fitScale();
    this.view = { x: 0.5, y: 0.5, scale: this.fitted, turn, tilt, center: this.cloud.center };
    this.drawSoon();
  }

  get at() {
    const { points } = this.store;
    return this.flat
      ? { x: points.x, y: points.y, z: points.x }
      : { x: points.cloud_x, y: points.cloud_y, z: points.cloud_z };
  }

  get projection() {
    const project = this.flat ? flatProjection : turnedProjection;
    return project(this.view, this.canvas.width, this.canvas.height);
  }

  /** The color of each point on the screen: hidden ones none, others behind a selection. */
  paintColors() {
    const { colors, selected, selectedCount, shown, rows } = this.store;
    const screen = new Uint32Array(rows);
    for (let i = 0; i < rows; i++) {
      if (!shown[i]) continue;
      screen[i] = selectedCount && !selected[i] ? shade(colors[i], 120) : colors[i];
    }
    this.screenColors = screen;
    // a large selection is drawn once: on top, with nothing of it below
    const many = selectedCount > MOST_RIMS;
    this.behind = many ? screen.map((color, i) => (selected[i] ? 0 : color)) : screen;
    this.rims = selectedCount <= MOST_RIMS ? Uint32Array.from(selected, (one) => (one ? RIM : 0)) : screen;
    this.chosen = selectedCount ? this.store.selectedRows() : new Uint32Array(0);
  }

  draw() {
    const begin = performance.now();
    const { width, height } = this.canvas;
    const { store } = this;
    const { at, projection } = this;
    const zoom = this.view.scale / this.fitted;
    const edge = pointEdge(store.drawn, width * height, zoom);
    const size = Math.max(1, Math.round(edge * this.larger));
    const nearest = this.flat ? null : this.nearest;
    this.pixels.fill(BACKGROUND);
    nearest?.fill(0);
    const paint = (rows, length, pixels, colors = this.screenColors, darkest = 140) =>
      paintPoints(this.pixels, nearest, width, height, at, projection, rows, length, colors, pixels, darkest);
    paint(store.order, store.drawn, size, this.behind);
    const { chosen } = this;
    nearest?.fill(0); // the selection is seen through the others
    // a white rim tells the selection apart without color; a large one stands out by itself
    const few = chosen.length <= MOST_RIMS;
    if (few && this.flat) paint(chosen, chosen.length, size + 4, this.rims);
    paint(chosen, chosen.length, few ? size + 2 : size, this.screenColors, 190);
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    this.drawOverlay();
    const { dataset } = this.canvas;
    dataset.drawn = String(this.drawnCount());
    dataset.projection = JSON.stringify(projection);
    dataset.milliseconds = (performance.now() - begin).toFixed(1);
  }

  drawnCount() {
    const { order, drawn, rows } = this.store;
    if (this.counted?.colors === this.screenColors && this.counted.drawn === drawn) {
      return this.counted.number;
    }
    let number = 0;
    for (let k = 0; k < Math.min(drawn, rows); k++) number += this.screenColors[order[k]] ? 1 : 0;
    this.counted = { colors: this.screenColors, drawn, number };
    return number;
  }

  drawOverlay() {
    const context = this.overlay.getContext("2d");
    const { ratio } = this.size;
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (this.numbers && this.store.colorBy === "cluster") this.drawNumbers(context);
    this.ring(context, this.store.current, 7 * ratio, "#ffffff");
    this.ring(context, this.hover, 5 * ratio, "rgba(255, 255, 255, 0.7)");
    this.outline?.draw(context);
  }

  /** @param {number} row @returns {number[]} Its pixel. */
  pixel(row) {
    const { at, projection: p } = this;
    const [x, y, z] = [at.x[row], at.y[row], at.z[row]];
    return [p.xx * x + p.xy * y + p.xz * z + p.x0, p.yx * x + p.yy * y + p.yz * z + p.y0];
  }

  ring(context, row, radius, color) {
    if (row < 0 || !this.store.shown[row]) return;
    const [x, y] = this.pixel(row);
    for (const [width, style] of [[4, "rgba(0, 0, 0, 0.7)"], [2, color]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.lineWidth = width * this.size.ratio;
      context.strokeStyle = style;
      context.stroke();
    }
  }

  /** Numbers at the middles of the clusters, the largest first, none over another. */
  drawNumbers(context) {
    const { ratio } = this.size;
    const taken = [];
    context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    for (const { row, index } of this.middles) {
      if (row < 0 || this.store.hiddenClusters.has(index)) continue;
      const [x, y] = this.pixel(row);
      const near = ([tx, ty]) => Math.abs(tx - x) < 22 * ratio && Math.abs(ty - y) < 14 * ratio;
      if (x < 0 || y < 0 || x > this.overlay.width || taken.some(near)) continue;
      taken.push([x, y]);
      const text = String(this.store.clusterNumber(index));
      context.lineWidth = 3.5 * ratio;
      context.strokeStyle = "rgba(15, 17, 20, 0.9)";
      context.strokeText(text, x, y);
      context.fillStyle = "#f1f3f5";
      context.fillText(text, x, y);
    }
  }

  /** @param {PointerEvent|WheelEvent} event @returns {number[]} In pixels of the canvas. */
  point(event) {
    const box = this.overlay.getBoundingClientRect();
    const { ratio } = this.size;
    return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
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
      this.zoom(Math.exp(-event.deltaY * 0.0015), this.point(event));
    }, { passive: false });
    overlay.addEventListener("keydown", (event) => this.key(event));
    store.listen(["selection", "colors", "shown"], () => {
      this.paintColors();
      this.drawSoon();
    });
    store.listen(["current", "drawn", "classes"], () => this.drawSoon());
    store.listen(["tool"], () => overlay.classList.toggle("crosshair", store.tool !== "move"));
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
    if (this.outline) {
      this.outline.extend(at);
      this.drawOverlay();
    } else {
      const turning = !this.flat && !event.shiftKey && event.buttons === 1;
      this.drag(at[0] - this.last[0], at[1] - this.last[1], turning);
    }
    this.last = at;
  }

  drag(dx, dy, turning) {
    const { view } = this;
    if (turning) {
      view.turn += (dx / this.canvas.width) * 4;
      view.tilt = Math.max(-1.5, Math.min(1.5, view.tilt + (dy / this.canvas.height) * 4));
    } else {
      view.x -= dx / view.scale;
      view.y += dy / view.scale;
    }
    this.drawSoon();
  }

  up(event) {
    const at = this.point(event);
    const still = Math.hypot(at[0] - this.from[0], at[1] - this.from[1]) < 4 * this.size.ratio;
    if (this.outline?.isArea) this.selectOutline(event);
    else if (still && event.button === 0) this.click(at, event);
    this.outline = this.last = null;
    this.drawOverlay();
  }

  selectOutline(event) {
    const { width, height } = this.canvas;
    const { at, projection } = this;
    selectInside(this.store, this.outline, { at, projection, width, height, shown: this.store.shown }, event);
  }

  /** Visit the point; with keys or with a picking tool change the selection as well. */
  click(at, event) {
    const row = this.closest(at);
    if (row < 0) return;
    const how = combineOf(event, "");
    if (how) {
      const found = new Uint8Array(this.store.rows);
      found[row] = 1;
      this.store.select(combine(this.store.selected, found, how));
    }
    this.store.visit(row);
  }

  closest([x, y]) {
    const reach = REACH * this.size.ratio;
    return closestPoint(this.at, this.projection, x, y, reach, (row) => this.screenColors[row] !== 0);
  }

  zoom(factor, [px, py]) {
    const { view } = this;
    const { width, height } = this.canvas;
    const scale = Math.min(this.fitted * 400, Math.max(this.fitted * 0.4, view.scale * factor));
    const moved = 1 / view.scale - 1 / scale;
    view.x += (px - width / 2) * moved;
    view.y -= (py - height / 2) * moved;
    view.scale = scale;
    this.drawSoon();
  }

  key(event) {
    const step = 40 * this.size.ratio;
    const [dx, dy] = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key] ?? [];
    const middle = [this.canvas.width / 2, this.canvas.height / 2];
    if (dx !== undefined) this.drag(dx, dy, !this.flat && !event.shiftKey);
    else if (event.key === "+" || event.key === "=") this.zoom(1.3, middle);
    else if (event.key === "-") this.zoom(1 / 1.3, middle);
    else if (event.key === "Home") this.home();
    else if (event.key === "Enter") this.visitClosest(middle);
    else return;
    event.preventDefault();
  }

  visitClosest([x, y]) {
    const row = closestPoint(this.at, this.projection, x, y, 1e4, (i) => this.screenColors[i] !== 0);
    if (row >= 0) this.store.visit(row);
  }

  hoverAt(row, at) {
    if (row === this.hover) return;
    this.hover = row;
    this.drawOverlay();
    this.tip.hidden = row < 0;
    if (row < 0) return;
    this.patches.describe(this.tip, row);
    const { ratio, width, height } = this.size;
    const [x, y] = [at[0] / ratio, at[1] / ratio];
    this.tip.style.left = `${x > width / 2 ? x - this.tip.offsetWidth - 14 : x + 14}px`;
    this.tip.style.top = `${Math.min(y + 10, height - this.tip.offsetHeight - 6)}px`;
  }

  wireControls() {
    const { store } = this;
    const show = segmented(byId("map-dimensions"), (value) => {
      this.flat = value === "flat";
      byId("map").classList.toggle("turned", !this.flat);
      this.home();
    });
    show("flat");
    byId("map-home").addEventListener("click", () => this.home());
    const amount = /** @type {HTMLInputElement} */ (byId("map-amount"));
    const label = byId("map-amount-label");
    const least = Math.log(Math.min(300, store.rows));
    const most = Math.log(store.rows);
    const tell = () => {
      const share = Number(amount.value) / Number(amount.max);
      store.drawn = share === 1 ? store.rows : Math.round(Math.exp(least + share * (most - least)));
      label.textContent = count(store.drawn);
      amount.setAttribute("aria-valuetext", `${count(store.drawn)} of ${count(store.rows)}`);
      store.tell("drawn");
    };
    amount.addEventListener("input", tell);
    tell();
    byId("map-larger").addEventListener("input", (event) => {
      this.larger = 2 ** Number(/** @type {HTMLInputElement} */ (event.target).value);
      this.drawSoon();
    });
    const numbers = /** @type {HTMLInputElement} */ (byId("map-numbers"));
    numbers.checked = this.numbers;
    numbers.addEventListener("change", () => {
      this.numbers = numbers.checked;
      this.drawOverlay();
    });
  }
}

/** The middle of the cloud, and the diameter of the sphere that holds nearly all of it. */
function cloudExtent({ cloud_x: x, cloud_y: y, cloud_z: z }) {
  const every = Math.ceil(x.length / 5000);
  const sample = (values) => values.filter((_, i) => i % every === 0);
  const axes = [x, y, z].map(sample);
  const center = axes.map((values) => values.slice().sort()[values.length >> 1]);
  const away = (i) => Math.hypot(...axes.map((values, axis) => values[i] - center[axis]));
  const radii = Float32Array.from(axes[0], (_, i) => away(i)).sort();
  const width = Math.max(0.05, (2 * radii[Math.floor(radii.length * 0.98)]) / 65535);
  return { center: center.map((value) => value / 65535), width };
}

/**
 * The row closest to the middle of each cluster on the map, large clusters first.
 * @param {import("./store.js").Store} store
 */
function clusterMiddles(store) {
  const { x, y } = store.points;
  const median = (values) => values.sort()[values.length >> 1];
  return store.byCluster
    .map((all, index) => {
      const rows = all.length > 2000 ? all.filter((_, k) => k % Math.ceil(all.length / 2000) === 0) : all;
      const mx = median(Uint16Array.from(rows, (i) => x[i]));
      const my = median(Uint16Array.from(rows, (i) => y[i]));
      let row = -1;
      let best = Infinity;
      for (const i of rows) {
        const distance = (x[i] - mx) ** 2 + (y[i] - my) ** 2;
        if (distance < best) [best, row] = [distance, i];
      }
      return { row, index, size: all.length };
    })
    .sort((a, b) => b.size - a.size);
}
