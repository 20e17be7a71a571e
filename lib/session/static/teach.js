/** Teach a class: yes and no answers, the most doubtful candidate next, and checks. */

import { postJson, postTeach } from "./api.js";
import { byId, count, make, some } from "./dom.js";

const MOST_EXAMPLES = 1000; // as the session takes at once
const FIRST_THRESHOLD = 0.5;
const CHECKS = 20; // about as many as the session draws

export class TeachPanel {
  /**
   * @param {import("./store.js").Store} store @param {import("./notices.js").Notices} notices
   * @param {import("./patches.js").Patches} patches
   * @param {{similar: import("./similar.js").SimilarBar, classes: import("./classes.js").ClassPanel}} panels
   */
  constructor(store, notices, patches, { similar, classes }) {
    Object.assign(this, { store, notices, patches, similar, classes });
    this.bar = byId("teach");
    /** What the session said last: see `lib.session.teaching.Taught`. */
    this.told = null;
    this.thresholds = new Map();
    classes.teach = (id) => this.open(id);
    byId("teach-yes").addEventListener("click", () => this.answer(true));
    byId("teach-no").addEventListener("click", () => this.answer(false));
    byId("teach-unsure").addEventListener("click", () => this.answer(null));
    byId("teach-check").addEventListener("click", () => this.check());
    byId("teach-put").addEventListener("click", () => this.put());
    store.listen(["scores"], () => (this.bar.hidden = !store.taught));
    store.listen(["threshold"], () => {
      if (store.taught) this.thresholds.set(store.taught, store.threshold);
    });
    store.listen(["selection"], () => this.showPut());
    store.listen(["classes"], () => this.follow());
  }

  /** Whether keys answer now. */
  get asking() {
    return Boolean(this.store.taught) && !this.waiting && this.told?.row !== null;
  }

  /** The class that T teaches: the one at hand, of the candidate at hand, or the only one. */
  openAny() {
    const { store } = this;
    const { classes } = store.state;
    const at = store.taught || (store.current >= 0 && store.classes[store.current]);
    const id = at || (classes.length === 1 ? classes[0].id : 0);
    if (id) this.open(id);
    else if (classes.length) this.notices.say("Which class? Press Teach beside it, or click one of its candidates first.");
    else this.notices.say("Name a few examples first; then Teach finds the others.");
  }

  /** Begin to teach a class from its members, or go on. @param {number} id */
  async open(id) {
    const { store } = this;
    const known = store.classOf(id);
    if (!known) return;
    await this.notices.guard(async () => {
      if (!known.taught) {
        const members = [];
        for (let row = 0; row < store.rows; row++) if (store.classes[row] === id) members.push(row);
        if (!members.length) {
          this.notices.say(`Put a few examples into ${known.name} first; then Teach finds the others.`);
          return;
        }
        const step = Math.ceil(members.length / MOST_EXAMPLES);
        this.waiting = true; // the lesson before it is not followed
        await store.act({ op: "teach", class: id, examples: members.filter((_, k) => k % step === 0) });
      }
      await this.learn(id);
    });
    this.wait(false);
  }

  /** Fetch the scores of a class and what is asked next. @param {number} id */
  async learn(id) {
    const { store } = this;
    this.wait(true);
    try {
      const { version } = store.state;
      const { scores, told } = await postTeach(id);
      this.version = version;
      this.told = told;
      const continues = store.taught === id;
      store.setScores(scores, { taught: id });
      const threshold = this.thresholds.get(id) ?? told.check?.threshold ?? FIRST_THRESHOLD;
      this.similar.open(`Probability of ${store.classOf(id).name}`, threshold, !continues);
      this.show();
    } finally {
      this.wait(false);
    }
    if (this.told.row !== null) store.visit(this.told.row);
  }

  /** Undo, redo or another window changed what was answered. */
  follow() {
    const { store } = this;
    if (!store.taught || this.waiting || store.state.version === this.version) return;
    if (!store.classOf(store.taught)?.taught) this.similar.close();
    else this.notices.guard(() => this.learn(store.taught));
  }

  /** @param {boolean|null} yes Null if the user cannot tell. */
  async answer(yes) {
    if (!this.asking) return;
    const { store, told } = this;
    await this.change(() => store.act({ op: "answer", class: store.taught, row: told.row, yes }));
  }

  /** Ask about candidates drawn at random above and below the threshold. */
  async check() {
    const { store } = this;
    if (!store.taught || this.waiting) return;
    const asked = { class: store.taught, threshold: Math.min(1, Math.max(0, store.threshold)) };
    await this.change(() => store.keep(() => postJson("api/teach/check", asked)));
  }

  /** Change the lesson, then learn from it. @param {() => Promise<void>} change */
  async change(change) {
    const id = this.store.taught;
    this.wait(true); // so that the change is not followed twice
    await this.notices.guard(async () => {
      await change();
      if (this.store.taught === id) await this.learn(id);
    });
    this.wait(false);
  }

  /** Put the selection, which is what is above the threshold, into the class. */
  async put() {
    const { store } = this;
    await this.notices.guard(() => this.classes.assign({ class: store.taught }));
  }

  /** @param {boolean} waiting */
  wait(waiting) {
    this.waiting = waiting;
    this.bar.setAttribute("aria-busy", String(waiting));
    this.bar.dataset.ready = waiting ? "" : `${this.version}`;
  }

  show() {
    const { store, told } = this;
    const { name } = store.classOf(store.taught);
    const { row, check } = told;
    const number = check?.open ? `${check.total - check.open + 1} of ${check.total}: ` : "";
    byId("teach-question").replaceChildren(
      row === null ? "All candidates are answered." : `${number}Is this `,
      ...(row === null ? [] : [make("b", { text: name }), "?"]),
    );
    for (const answer of ["yes", "no", "unsure"]) {
      /** @type {HTMLButtonElement} */ (byId(`teach-${answer}`)).disabled = row === null;
    }
    this.bar.dataset.row = row === null ? "" : String(row);
    this.showPatches(row);
    const parts = [some(told.examples, "example"), `${count(told.yes)} yes`, `${count(told.no)} no`];
    if (told.unsure) parts.push(`${count(told.unsure)} unsure`);
    byId("teach-answers").textContent = parts.join(" · ");
    byId("teach-found").textContent = check ? foundText(check) : "";
    byId("teach-check").textContent = `Check ${CHECKS}`;
    this.showPut();
  }

  showPatches(row) {
    const { patches } = this;
    const shown = row === null || !patches.available ? [] : patches.views.map((_, view) => view);
    byId("teach-patches").replaceChildren(
      ...shown.map((view) => {
        const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", { class: "patch" }));
        patches.draw(canvas, row, view);
        return canvas;
      }),
    );
  }

  showPut() {
    const { store } = this;
    const known = store.taught && store.classOf(store.taught);
    if (!known) return;
    const button = /** @type {HTMLButtonElement} */ (byId("teach-put"));
    button.textContent = `Put ${count(store.selectedCount)} in`;
    button.title = `Put what is selected into ${known.name}`;
    button.disabled = !store.selectedCount || Boolean(store.state.read_only);
  }
}

/** What the checks say, in words. */
function foundText({ threshold, total, open, estimate }) {
  const at = `${total - open} of ${total} checked at ${threshold.toFixed(2)}`;
  if (!estimate) return `${at}: say yes or no to a few`;
  const percent = (share) => Math.round(100 * share);
  const { precision, precision_low: low, precision_high: high } = estimate;
  const { missed, missed_low: least, missed_high: most } = estimate;
  return (
    `${at}: ${percent(precision)} % right (${percent(low)}–${percent(high)} %), ` +
    `about ${count(Math.round(missed))} missed (${count(Math.round(least))}–${count(Math.round(most))})`
  );
}
