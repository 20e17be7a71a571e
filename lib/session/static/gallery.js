/** The patches of the selection. A click takes one out, another one back in. */

import { byId, afterPause, count, make, segmented } from "./dom.js";
import { postSimilar } from "./api.js";
import { VirtualGrid } from "./virtual.js";

const SIZES = { small: 44, medium: 68, large: 112 };
const GAP = 6;
const MIDDLE_OF = 1000; // rows that the middle of the selection is computed from

export class Gallery {
  /** @param {import("./store.js").Store} store @param {import("./patches.js").Patches} patches
   *  @param {(error: Error) => void} failed */
  constructor(store, patches, failed) {
    Object.assign(this, { store, patches, failed });
    this.rows = [];
    this.sort = "likeness";
    this.size = "medium";
    this.both = patches.views.length > 1;
    this.place = byId("gallery");
    this.grid = new VirtualGrid(this.place, {
      ...this.tileSize(),
      create: () => this.createTile(),
      fill: (tile, index) => this.fillTile(tile, this.rows[index]),
    });
    this.collectSoon = afterPause(() => this.collect(), 120);
    store.listen(["selection"], () => this.selectionChanged());
    store.listen(["current"], () => this.showCurrent());
    store.listen(["classes", "colors"], () => this.grid.show(this.rows.length));
    this.wireControls();
    this.collect();
  }

  tileSize() {
    const edge = SIZES[this.size];
    return { width: edge * (this.both ? 2 : 1) + (this.both ? 2 : 0) + GAP + 4, height: edge + GAP + 4 };
  }

  /** A patch that was clicked stays in place, so that a second click puts it back. */
  selectionChanged() {
    byId("selection-count").textContent = count(this.store.selectedCount);
    if (this.toggling) {
      this.grid.show(this.rows.length);
      return;
    }
    delete this.place.dataset.rows;
    this.collectSoon();
  }

  async collect() {
    const { store } = this;
    const mask = store.selected;
    const rows = Array.from(store.selectedRows());
    byId("gallery-empty").hidden = rows.length > 0;
    const by = await this.keys(rows);
    if (mask !== store.selected) return; // chosen anew meanwhile
    if (by) rows.sort((a, b) => by[b] - by[a] || a - b);
    this.rows = rows;
    this.place.scrollTop = 0;
    this.grid.show(rows.length);
    this.grid.update();
    this.place.dataset.rows = String(rows.length);
  }

  /** The numbers to sort by, the largest first. */
  async keys(rows) {
    const { store } = this;
    if (this.sort === "tomogram") return Float32Array.from(store.points.tomogram, (t) => -t);
    if (this.sort === "score") return store.shownScores;
    if (rows.length < 3) return store.shownScores;
    const step = Math.ceil(rows.length / MIDDLE_OF);
    try {
      return await postSimilar(rows.filter((_, k) => k % step === 0));
    } catch (error) {
      this.failed(error);
      return null;
    }
  }

  createTile() {
    const tile = make("button", { class: "tile", type: "button" });
    for (let k = 0; k < (this.both ? 2 : 1); k++) tile.append(make("canvas", { class: "patch" }));
    tile.append(make("span", { class: "mark" }));
    tile.addEventListener("click", () => this.toggle(Number(tile.dataset.row)));
    tile.addEventListener("keydown", (event) => this.key(event, tile));
    tile.addEventListener("focus", () => this.visit(Number(tile.dataset.row), false));
    tile.addEventListener("dblclick", () => this.visit(Number(tile.dataset.row), true));
    return tile;
  }

  fillTile(tile, row) {
    const { store, patches } = this;
    tile.dataset.row = String(row);
    const canvases = /** @type {HTMLCanvasElement[]} */ ([...tile.querySelectorAll("canvas")]);
    const edge = `${SIZES[this.size]}px`;
    for (const [k, canvas] of canvases.entries()) {
      canvas.style.width = canvas.style.height = edge;
      patches.draw(canvas, row, this.both ? k : patches.view);
    }
    const taken = store.selected[row] === 1;
    tile.classList.toggle("out", !taken);
    tile.classList.toggle("current", row === store.current);
    const mark = /** @type {HTMLElement} */ (tile.lastChild);
    const named = store.state.classes.find(({ id }) => id === store.classes[row]);
    mark.textContent = taken ? (named?.name ?? "") : "out";
    mark.style.borderColor = named?.color ?? "";
    mark.hidden = taken && !named;
    tile.setAttribute("aria-pressed", String(taken));
    const name = store.session.tomograms[store.points.tomogram[row]].name;
    tile.setAttribute("aria-label", `candidate ${row}, ${name}, ${patches.coordinates(row)}`);
    tile.title = `${name}   ${patches.coordinates(row)}\nclick: take it out, or back in`;
  }

  toggle(row) {
    this.toggling = true;
    this.store.toggle(row);
    this.toggling = false;
    this.visit(row, true);
  }

  visit(row, openTomogram) {
    if (row !== this.store.current || openTomogram) this.store.visit(row, openTomogram);
  }

  showCurrent() {
    for (const tile of this.grid.tiles.values()) {
      tile.classList.toggle("current", Number(tile.dataset.row) === this.store.current);
    }
    const index = this.rows.indexOf(this.store.current);
    if (index >= 0 && !this.place.contains(document.activeElement)) this.grid.reveal(index);
  }

  key(event, tile) {
    const index = Number(tile.dataset.index);
    const { columns } = this.grid;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step) this.grid.focus(index + step);
    else if (event.key === "Enter") this.visit(Number(tile.dataset.row), true);
    else return;
    event.preventDefault();
  }

  rebuild() {
    for (const tile of [...this.grid.tiles.values()]) tile.remove();
    this.grid.tiles.clear();
    this.grid.spare = [];
    const { width, height } = this.tileSize();
    this.grid.resize(width, height);
  }

  wireControls() {
    segmented(byId("gallery-size"), (size) => {
      this.size = size;
      this.rebuild();
    })(this.size);
    const sort = /** @type {HTMLSelectElement} */ (byId("gallery-sort"));
    sort.addEventListener("change", () => {
      this.sort = sort.value;
      this.collect();
    });
    const views = byId("gallery-views");
    views.hidden = this.patches.views.length < 2;
    segmented(views, (value) => {
      this.both = value === "both";
      if (!this.both) this.patches.view = Math.max(0, this.patches.views.indexOf(value));
      this.rebuild();
    })("both");
  }
}
