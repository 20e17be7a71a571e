/** A grid of which only the tiles in sight exist: thousands cost as little as forty. */

import { make, oncePerFrame } from "./dom.js";

/**
 * @typedef {object} GridOptions
 * @property {number} width Of a tile with its gap, in CSS pixels; 0 for one a row.
 * @property {number} height
 * @property {() => HTMLElement} create An empty tile.
 * @property {(tile: HTMLElement, index: number) => void} fill
 */

export class VirtualGrid {
  /** @param {HTMLElement} place Scrolls. @param {GridOptions} options */
  constructor(place, options) {
    this.place = place;
    this.options = options;
    this.length = 0;
    this.room = place.appendChild(make("div", { class: "room" }));
    this.tiles = new Map();
    this.spare = [];
    this.updateSoon = oncePerFrame(() => this.update());
    place.addEventListener("scroll", this.updateSoon);
    new ResizeObserver(this.updateSoon).observe(place);
  }

  /** @param {number} length @param {boolean} [refill] Whether what is in a tile may differ. */
  show(length, refill = true) {
    this.length = length;
    if (refill) this.stale = true;
    this.updateSoon();
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.options.width = width;
    this.options.height = height;
    this.show(this.length);
  }

  get columns() {
    const { width } = this.options;
    return width ? Math.max(1, Math.floor(this.room.clientWidth / width)) : 1;
  }

  update() {
    const { height, width, fill, create } = this.options;
    const { columns } = this;
    this.room.style.height = `${Math.ceil(this.length / columns) * height}px`;
    const first = Math.max(0, Math.floor(this.place.scrollTop / height) - 1) * columns;
    const rows = Math.ceil(this.place.clientHeight / height) + 2;
    const last = Math.min(this.length, first + rows * columns);
    for (const [index, tile] of this.tiles) {
      if (index >= first && index < last) continue;
      this.tiles.delete(index);
      tile.remove();
      this.spare.push(tile);
    }
    for (let index = first; index < last; index++) {
      let tile = this.tiles.get(index);
      const isNew = !tile;
      tile ??= this.spare.pop() ?? create();
      this.tiles.set(index, tile);
      tile.style.transform = `translate(${(index % columns) * width}px, ${Math.floor(index / columns) * height}px)`;
      tile.dataset.index = String(index);
      if (isNew) this.room.append(tile);
      if (isNew || this.stale) fill(tile, index);
    }
    this.spare.length = Math.min(this.spare.length, 200);
    this.stale = false;
  }

  /** Scroll an entry into sight and give it the focus. @param {number} index */
  focus(index) {
    const bounded = Math.min(this.length - 1, Math.max(0, index));
    this.reveal(bounded);
    this.update();
    this.tiles.get(bounded)?.focus();
  }

  /** @param {number} index */
  reveal(index) {
    const top = Math.floor(index / this.columns) * this.options.height;
    const { scrollTop, clientHeight } = this.place;
    if (top < scrollTop) this.place.scrollTop = top;
    const bottom = top + this.options.height;
    if (bottom > scrollTop + clientHeight) this.place.scrollTop = bottom - clientHeight;
  }
}
