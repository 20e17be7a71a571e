/** Slices of a tomogram: the newest request counts, and the next ones are fetched ahead. */

import { getSlice } from "./api.js";

const KEPT_BYTES = 96 * 2 ** 20;
const AHEAD = [1, 2, 3, -1];

export class Slices {
  constructor() {
    this.kept = new Map();
    this.bytes = 0;
    this.direction = 1;
  }

  static key({ tomogram, axis, index, sigma }) {
    return `${tomogram}/${axis}/${index}/${sigma}`;
  }

  /**
   * @param {{tomogram: number, axis: string, index: number, sigma: number}} wanted
   * @returns {Promise<{gray: Uint8Array, width: number, height: number}>}
   */
  get(wanted) {
    const key = Slices.key(wanted);
    let slice = this.kept.get(key);
    if (slice) this.kept.delete(key); // set again below: the newest is last
    slice ??= this.fetch(wanted, key);
    this.kept.set(key, slice);
    return slice;
  }

  fetch(wanted, key) {
    const slice = getSlice(wanted);
    slice.then(
      ({ gray }) => {
        this.bytes += gray.length;
        this.makeRoom();
      },
      () => this.kept.delete(key),
    );
    return slice;
  }

  makeRoom() {
    for (const [key, slice] of this.kept) {
      if (this.bytes <= KEPT_BYTES) return;
      this.kept.delete(key);
      slice.then(({ gray }) => (this.bytes -= gray.length), () => {});
    }
  }

  /**
   * Fetch the neighbors of a slice.
   * @param {{tomogram: number, axis: string, index: number, sigma: number}} shown
   * @param {number} depth
   */
  async fetchAhead(shown, depth) {
    for (const step of AHEAD) {
      const index = shown.index + step * this.direction;
      if (index < 0 || index >= depth) continue;
      const next = { ...shown, index };
      if (this.kept.has(Slices.key(next))) continue;
      await this.get(next).catch(() => {});
    }
  }
}
