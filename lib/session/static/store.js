/** What the page knows and what is chosen on it; panels listen to changes. */

import { getBytes, getJson, getPoints, postJson } from "./api.js";
import { candidateColors, packed } from "./colors.js";
import { shuffled } from "./painting.js";
import { packBits, packSelection, unpackSelection } from "./picking.js";

const SAMPLED = 20000; // scores that tell what the least few are

/**
 * Topics: "selection", "colors", "shown", "classes", "current", "scores", "threshold", "tool".
 */
export class Store extends EventTarget {
  /** Fetch everything that the first picture needs. */
  async load() {
    const [session, points, classes] = await Promise.all([
      getJson("api/session"),
      getPoints(),
      getBytes("api/classes"),
    ]);
    this.session = session;
    this.points = points;
    this.rows = session.rows;
    this.state = session.state;
    this.classes = new Uint8Array(classes);
    this.selected = new Uint8Array(this.rows);
    this.selectedCount = 0;
    this.hiddenClusters = new Set();
    this.hiddenTomograms = new Set();
    /** What was measured of each candidate, by name: what was fetched of it. */
    this.measures = {};
    /** Which values of a measure are shown: {name, low, high}. */
    this.filter = null;
    this.shown = new Uint8Array(this.rows).fill(1);
    this.order = shuffled(this.rows);
    this.drawn = this.rows;
    this.current = -1;
    this.tool = "move";
    this.how = "replace";
    this.colorBy = "cluster";
    /** @type {Float32Array|null} */
    this.scores = null;
    this.scoreRange = scoreRange(points.score);
    this.similarTo = [];
    /** The class whose lesson the scores are of; 0 for none. */
    this.taught = 0;
    this.threshold = 0;
    this.done = [];
    this.undone = [];
    this.byTomogram = grouped(points.tomogram, session.tomograms.length);
    this.byCluster = grouped(points.cluster, session.clusters.length);
    this.colors = candidateColors(this);
  }

  /** The scores that are shown: those of a search, else those of the table, if any. */
  get shownScores() {
    return this.scores ?? this.points.score ?? null;
  }

  /**
   * @param {Float32Array|null} scores Of a search; null leaves it.
   * @param {{similarTo?: number[], taught?: number}} [origin] What they are of.
   */
  setScores(scores, { similarTo = [], taught = 0 } = {}) {
    Object.assign(this, { scores, similarTo, taught });
    this.scoreRange = taught ? [0, 1] : scoreRange(this.shownScores);
    this.tell("scores");
  }

  /** @param {string} topic */
  tell(topic) {
    this.dispatchEvent(new Event(topic));
  }

  /** @param {string[]} topics @param {() => void} listener */
  listen(topics, listener) {
    for (const topic of topics) this.addEventListener(topic, listener);
  }

  /**
   * Select rows; can be undone.
   * @param {Uint8Array} mask
   * @param {boolean} [remember] False while a slider moves.
   */
  select(mask, remember = true) {
    if (remember) this.remember();
    this.selected = mask;
    let count = 0;
    for (let i = 0; i < mask.length; i++) count += mask[i];
    this.selectedCount = count;
    this.tell("selection");
  }

  /** Keep the selection for undo. */
  remember() {
    this.done.push({ selection: packSelection(this.selected) });
    this.undone = [];
  }

  /** @param {number} row */
  toggle(row) {
    const mask = this.selected.slice();
    mask[row] ^= 1;
    this.select(mask);
  }

  /** @returns {Uint32Array} */
  selectedRows() {
    const found = new Uint32Array(this.selectedCount);
    for (let i = 0, k = 0; i < this.rows; i++) if (this.selected[i]) found[k++] = i;
    return found;
  }

  /** The selection as the session reads it. */
  packedSelection() {
    if (this.selectedCount > this.rows / 32) return { mask: packBits(this.selected) };
    return { list: Array.from(this.selectedRows()) };
  }

  /** Make a candidate the one that map, tomogram and text show. @param {number} row */
  visit(row, openTomogram = true) {
    this.current = row;
    this.openTomogram = openTomogram;
    this.tell("current");
  }

  /** Work out again which candidates are shown. */
  updateShown() {
    const { cluster, tomogram } = this.points;
    const keep = (n, hidden) => Uint8Array.from({ length: n }, (_, i) => Number(!hidden.has(i)));
    const clusters = keep(this.session.clusters.length, this.hiddenClusters);
    const tomograms = keep(this.session.tomograms.length, this.hiddenTomograms);
    const shown = new Uint8Array(this.rows);
    for (let i = 0; i < this.rows; i++) shown[i] = clusters[cluster[i]] & tomograms[tomogram[i]];
    if (this.filter) {
      const { name, low, high } = this.filter;
      const { values } = this.measures[name];
      for (let i = 0; i < this.rows; i++) shown[i] &= Number(values[i] >= low && values[i] <= high);
    }
    this.shown = shown;
    this.tell("shown");
  }

  recolor() {
    this.colors = candidateColors(this);
    this.tell("colors");
  }

  /** The cluster (its index) that a cluster belongs to after merges. @param {number} index */
  mergedInto(index) {
    const { merged } = this.state;
    const seen = new Set();
    while (index in merged && !seen.has(index)) {
      seen.add(index);
      index = Number(merged[index]);
    }
    return index;
  }

  /** @param {number} id @returns {any} A class; undefined if there is none. */
  classOf(id) {
    return this.state.classes.find((each) => each.id === id);
  }

  /** The number shown for a cluster. @param {number} index */
  clusterNumber(index) {
    return this.session.clusters[this.mergedInto(index)].number;
  }

  /** @returns {number[]} Packed colors by index of the cluster. */
  clusterColors() {
    const { clusters } = this.session;
    return clusters.map((_, index) => packed(clusters[this.mergedInto(index)].color));
  }

  /**
   * Change classes or clusters; the session keeps it before it answers.
   * @param {Object<string, any>} action
   */
  act(action) {
    return this.keep(() => postJson("api/action", action));
  }

  /** @param {() => Promise<any>} change Changes what is kept, and returns the state. */
  async keep(change) {
    await this.accept(await change());
    this.done.push({});
    this.undone = [];
    this.tell("classes");
  }

  /** @param {any} state What the session answered. */
  async accept(state) {
    this.state = state;
    this.classes = new Uint8Array(await getBytes("api/classes"));
    this.recolor();
    this.tell("classes");
  }

  canUndo() {
    const top = this.done.at(-1);
    return top?.selection ? "selection" : this.state.undo;
  }

  canRedo() {
    const top = this.undone.at(-1);
    return top?.selection ? "selection" : this.state.redo;
  }

  /** Undo the last selection or, if that came later, the last change that is kept. */
  undo() {
    return this.step(this.done, this.undone, "undo");
  }

  redo() {
    return this.step(this.undone, this.done, "redo");
  }

  async step(from, to, op) {
    const top = from.at(-1);
    if (top?.selection) {
      from.pop();
      to.push({ selection: packSelection(this.selected) });
      this.select(unpackSelection(top.selection, this.rows), false);
    } else if (this.state[op]) {
      const state = await postJson("api/action", { op });
      from.pop();
      to.push({});
      await this.accept(state);
    } else from.pop();
    this.tell("classes");
  }
}

/** The range that colors span: without the least few, which would stretch it. */
function scoreRange(scores) {
  if (!scores) return [0, 1];
  const step = Math.ceil(scores.length / SAMPLED);
  const sample = Float32Array.from({ length: Math.ceil(scores.length / step) }, (_, k) => scores[k * step]).sort();
  let most = -Infinity;
  for (let i = 0; i < scores.length; i++) if (scores[i] > most) most = scores[i];
  return [sample[Math.floor(sample.length * 0.02)], most];
}

/**
 * Rows by group.
 * @param {Uint16Array} group
 * @param {number} n
 * @returns {Uint32Array[]}
 */
export function grouped(group, n) {
  const counts = new Uint32Array(n);
  for (const value of group) counts[value] += 1;
  const rows = Array.from(counts, (size) => new Uint32Array(size));
  counts.fill(0);
  for (let i = 0; i < group.length; i++) rows[group[i]][counts[group[i]]++] = i;
  return rows;
}
