/** Keys of the whole page; each panel has its own for when it has the focus. */

import { byId, make } from "./dom.js";

const KEYS = [
  ["Picking", [
    ["V  L  B", "move, lasso, box"],
    ["Shift / Ctrl / both", "add / subtract / intersect while picking"],
    ["A", "select all shown candidates"],
    ["I", "invert the selection"],
    ["Escape", "clear the selection; close similar and teach"],
    ["N  P", "next, previous candidate of the selection"],
    ["Space", "take the current candidate out or in"],
  ]],
  ["Classes", [
    ["Enter or /", "type a name for the selection"],
    ["1 … 9", "put the selection into that class"],
    ["0", "take the selection out of its classes"],
    ["F", "find similar"],
    ["T", "teach the class at hand"],
    ["Y  N  U", "while it asks: yes, no, cannot tell"],
    ["Ctrl Z / Ctrl Shift Z", "undo / redo"],
    ["E", "export"],
  ]],
  ["Map and slice (click or Tab to it first)", [
    ["Arrows", "move; turn in 3-D"],
    ["+  −  Home", "zoom; show all"],
    ["Enter", "pick the candidate nearest the middle"],
    ["[  ] or Page Up, Down", "slice below, above (anywhere)"],
    ["D", "2-D or 3-D"],
    ["wheel / Shift wheel", "slices / zoom in the tomogram"],
  ]],
];

/** Fill the list behind "?". */
export function fillHelp() {
  const groups = KEYS.map(([title, keys]) => make("section", {}, [
    make("h3", { text: title }),
    make("dl", {}, keys.flatMap(([key, what]) => [make("dt", { text: key }), make("dd", { text: what })])),
  ]));
  byId("help-keys").replaceChildren(...groups);
  const dialog = /** @type {HTMLDialogElement} */ (byId("help-dialog"));
  byId("help-open").addEventListener("click", () => dialog.showModal());
  byId("help-close").addEventListener("click", () => dialog.close());
}

const click = (id) => () => byId(id).click();

/**
 * @param {import("./store.js").Store} store
 * @param {{classes: any, tomogram: any, similar: any, teach: any}} panels
 */
export function listenToKeys(store, { classes, tomogram, similar, teach }) {
  const all = (mask) => store.select(mask);
  const actions = {
    v: click("tool-move"),
    l: click("tool-lasso"),
    b: click("tool-box"),
    a: () => all(store.shown.slice()),
    i: () => all(store.shown.map((shown, row) => shown & (store.selected[row] ^ 1))),
    f: () => similar.find(),
    t: () => teach.openAny(),
    e: click("export-open"),
    d: () => document.querySelector("#map-dimensions [aria-pressed=false]").click(),
    n: () => visitNext(store, 1),
    p: () => visitNext(store, -1),
    "?": click("help-open"),
    "/": () => byId("class-name").focus(),
    "[": () => tomogram.step(-1),
    "]": () => tomogram.step(1),
    " ": () => store.current >= 0 && store.toggle(store.current),
  };
  const answers = { y: true, n: false, u: null };
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("input:not([type=checkbox], [type=range]), select, textarea");
    if (event.key === "Escape") {
      if (typing) target.blur();
      else if (store.scores) similar.close();
      else if (store.selectedCount) store.select(new Uint8Array(store.rows));
      return;
    }
    if (typing || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) {
      const key = event.key.toLowerCase();
      if (key === "z") byId(event.shiftKey ? "redo" : "undo").click();
      else if (key === "y") byId("redo").click();
      else return;
    } else if (/^\d$/.test(event.key)) classes.assignDigit(Number(event.key));
    else if (event.key === "Enter" && target === document.body) byId("class-name").focus();
    else if (event.key === " " && target.matches("button, input")) return;
    else if (!event.altKey && store.taught && event.key.toLowerCase() in answers) teach.answer(answers[event.key.toLowerCase()]);
    else if (event.altKey || !actions[event.key.toLowerCase()]) return;
    else actions[event.key.toLowerCase()]();
    event.preventDefault();
  });
}

/** Visit the next candidate of the selection, or of the tomogram when none is selected. */
function visitNext(store, step) {
  const rows = store.selectedCount ? store.selectedRows() : store.byTomogram[store.openedTomogram];
  if (!rows.length) return;
  const at = rows.indexOf(store.current);
  const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : (at + step + rows.length) % rows.length;
  store.visit(rows[next]);
}
