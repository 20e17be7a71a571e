/** Find similar: a score for every candidate, and a threshold that the user moves. */

import { postSimilar } from "./api.js";
import { byId, count, oncePerFrame, some } from "./dom.js";
import { hex, SCORES } from "./colors.js";
import { firstThreshold } from "./picking.js";

const MOST_EXAMPLES = 1000; // rows that a request may name
const STEPS = 1000; // of the slider

export class SimilarBar {
  /** @param {import("./store.js").Store} store @param {import("./notices.js").Notices} notices */
  constructor(store, notices) {
    this.store = store;
    this.notices = notices;
    this.bar = byId("similar");
    this.slider = /** @type {HTMLInputElement} */ (byId("similar-threshold"));
    this.histogram = /** @type {HTMLCanvasElement} */ (byId("similar-histogram"));
    const apply = oncePerFrame(() => this.apply());
    this.slider.addEventListener("input", apply);
    byId("similar-find").addEventListener("click", () => this.find());
    byId("similar-close").addEventListener("click", () => this.close());
    store.listen(["selection", "current"], () => this.showButton());
    this.showButton();
  }

  showButton() {
    const { selectedCount, current } = this.store;
    /** @type {HTMLButtonElement} */ (byId("similar-find")).disabled = !selectedCount && current < 0;
  }

  /** Score every candidate by its likeness to the selection, or to the one clicked. */
  async find() {
    const { store } = this;
    let rows = Array.from(store.selectedRows());
    if (!rows.length && store.current >= 0) rows = [store.current];
    if (!rows.length) {
      this.notices.say("Select or click one candidate or a few first.");
      return;
    }
    const step = Math.ceil(rows.length / MOST_EXAMPLES);
    const examples = rows.filter((_, k) => k % step === 0);
    await this.notices.guard(async () => {
      const scores = await postSimilar(examples);
      store.setScores(scores, { similarTo: examples });
      this.open(`Likeness to ${some(rows.length, "candidate")}`, firstThreshold(scores));
    });
  }

  /**
   * Show the scores of the store, and select what is above a threshold.
   * @param {string} title
   * @param {number} threshold
   * @param {boolean} [anew] False if they are those that were shown, improved.
   */
  open(title, threshold, anew = true) {
    const { store } = this;
    this.before = this.bar.hidden ? store.colorBy : this.before;
    if (anew) store.remember();
    this.bar.hidden = false;
    byId("similar-title").textContent = title;
    this.drawHistogram();
    this.setThreshold(threshold);
    this.apply();
    if (anew) store.colorBy = "score";
    store.recolor();
    store.tell("colorBy");
    if (!store.taught) this.slider.focus();
  }

  setThreshold(value) {
    const [least, most] = this.store.scoreRange;
    const share = (value - least) / Math.max(1e-6, most - least);
    this.slider.max = String(STEPS);
    this.slider.value = String(Math.round(STEPS * Math.min(1, Math.max(0, share))));
  }

  /** Select what is above the threshold. */
  apply() {
    const begin = performance.now();
    const { store } = this;
    if (!store.scores) return;
    const [least, most] = this.store.scoreRange;
    store.threshold = least + (Number(this.slider.value) / STEPS) * (most - least);
    const mask = new Uint8Array(store.rows);
    const { scores, shown, threshold } = store;
    for (let i = 0; i < mask.length; i++) mask[i] = scores[i] >= threshold && shown[i] ? 1 : 0;
    store.select(mask, false);
    store.tell("threshold");
    byId("similar-value").textContent = threshold.toFixed(2);
    byId("similar-count").textContent = `${count(store.selectedCount)} of ${count(store.rows)} above`;
    this.slider.setAttribute("aria-valuetext", `${threshold.toFixed(2)}, ${store.selectedCount} above`);
    this.bar.dataset.milliseconds = (performance.now() - begin).toFixed(1);
  }

  drawHistogram() {
    const bins = 120;
    const counts = new Uint32Array(bins);
    const [least, most] = this.store.scoreRange;
    for (const score of this.store.scores) {
      const bin = Math.floor(((score - least) / Math.max(1e-6, most - least)) * bins);
      counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
    }
    const context = this.histogram.getContext("2d");
    const { width, height } = this.histogram;
    context.clearRect(0, 0, width, height);
    const top = Math.log1p(Math.max(...counts));
    for (let k = 0; k < bins; k++) {
      const tall = (height * Math.log1p(counts[k])) / Math.max(top, 1e-6);
      context.fillStyle = hex(SCORES[Math.round((k / (bins - 1)) * 255)]);
      context.fillRect((k * width) / bins, height - tall, width / bins, tall);
    }
  }

  /** Leave the scores; the selection stays. */
  close() {
    const { store } = this;
    if (this.bar.hidden) return;
    this.bar.hidden = true;
    store.setScores(null);
    if (store.colorBy === "score") store.colorBy = this.before ?? "cluster";
    store.recolor();
    store.tell("colorBy");
  }
}
