/** Patches of candidates: fetched in batches, only those asked for, and kept for a while. */

import { postPatches } from "./api.js";
import { count, drawGray, make } from "./dom.js";

const BATCH = 256;
const KEPT = 20000;
const PATIENCE = 15; // milliseconds that a batch is collected

export class Patches {
  /** @param {import("./store.js").Store} store @param {(error: Error) => void} failed */
  constructor(store, failed) {
    this.store = store;
    this.failed = failed;
    const { edge, views, available } = store.session.patches;
    this.edge = edge;
    this.views = views;
    this.available = available;
    /** The view of the tomogram is shown first: circles lie in it. */
    this.view = Math.max(0, views.indexOf("slab"));
    this.kept = new Map();
    this.wanted = new Map();
  }

  /**
   * Draw a patch into a canvas as soon as it is here.
   * @param {HTMLCanvasElement} canvas
   * @param {number} row
   * @param {number} [view]
   */
  draw(canvas, row, view = this.view) {
    canvas.dataset.wanted = `${view}:${row}`;
    const key = canvas.dataset.wanted;
    const gray = this.kept.get(key);
    if (gray) {
      drawGray(canvas, gray, this.edge, this.edge);
      return;
    }
    canvas.width = canvas.height = this.edge;
    if (!this.available || row < 0) return;
    if (!this.wanted.size) setTimeout(() => this.fetchWanted(), PATIENCE);
    const waiting = this.wanted.get(key) ?? { row, view, canvases: [] };
    waiting.canvases.push(canvas);
    this.wanted.set(key, waiting);
  }

  fetchWanted() {
    const all = [...this.wanted.values()].filter(
      // one that was scrolled out of sight meanwhile is not fetched
      ({ row, view, canvases }) => canvases.some((c) => c.dataset.wanted === `${view}:${row}` && c.isConnected),
    );
    this.wanted.clear();
    for (let view = 0; view < this.views.length; view++) {
      const asked = all.filter((patch) => patch.view === view);
      for (let i = 0; i < asked.length; i += BATCH) this.fetchBatch(asked.slice(i, i + BATCH), view);
    }
  }

  async fetchBatch(asked, view) {
    try {
      const gray = await postPatches(asked.map(({ row }) => row), view);
      const size = this.edge * this.edge;
      for (const [index, { row, canvases }] of asked.entries()) {
        const patch = gray.slice(index * size, (index + 1) * size);
        const key = `${view}:${row}`;
        this.kept.set(key, patch);
        for (const canvas of canvases) {
          if (canvas.dataset.wanted === key) drawGray(canvas, patch, this.edge, this.edge);
        }
      }
      while (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    } catch (error) {
      this.failed(error);
    }
  }

  /**
   * Show patch, tomogram, coordinates and cluster of a candidate.
   * @param {HTMLElement} place
   * @param {number} row
   */
  describe(place, row) {
    const { session, points, classes, state, shownScores: scores } = this.store;
    const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", { class: "patch" }));
    const cluster = this.store.clusterNumber(points.cluster[row]);
    const named = state.classes.find(({ id }) => id === classes[row]);
    const lines = [
      make("b", { text: session.tomograms[points.tomogram[row]].name }),
      make("span", { text: this.coordinates(row) }),
      make("span", { text: `cluster ${cluster}${named ? `, ${named.name}` : ""}` }),
    ];
    if (scores) lines.push(make("span", { text: `score ${scores[row].toFixed(2)}` }));
    lines.push(make("span", { class: "faint", text: `candidate ${count(row)}` }));
    place.replaceChildren(...(this.available ? [canvas] : []), make("div", { class: "lines" }, lines));
    if (this.available) this.draw(canvas, row);
  }

  /** @param {number} row */
  coordinates(row) {
    const { position_x: x, position_y: y, position_z: z } = this.store.points;
    return `x ${Math.round(x[row])}  y ${Math.round(y[row])}  z ${Math.round(z[row])}`;
  }
}
