/** Export of a class, of the selection or of a scored list, as a download. */

import { postJson } from "./api.js";
import { byId, make, some } from "./dom.js";

const FORMATS = {
  parquet: "parquet: to open here again, and for interactive_to_training_coords.py",
  txt: "txt: training coordinates (name, x, y, z)",
  csv: "csv: the same with commas",
  star: "star: RELION 4",
  star5: "star: RELION 5",
  imod: "imod: text for point2model",
  ndjson: "ndjson: CryoET data portal, copick",
};

export class ExportDialog {
  /** @param {import("./store.js").Store} store @param {import("./notices.js").Notices} notices */
  constructor(store, notices) {
    this.store = store;
    this.notices = notices;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("export-dialog"));
    this.what = /** @type {HTMLSelectElement} */ (byId("export-what"));
    this.format = /** @type {HTMLSelectElement} */ (byId("export-format"));
    this.format.append(...store.session.formats.map((value) => make("option", { value, text: FORMATS[value] ?? value })));
    byId("export-open").addEventListener("click", () => this.open());
    byId("export-cancel").addEventListener("click", () => this.dialog.close());
    byId("export-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.write();
    });
  }

  open() {
    const { store } = this;
    const choices = [];
    if (store.scores) choices.push(["scores", `the scored list (${some(store.selectedCount, "candidate")} above the threshold)`]);
    if (store.selectedCount) choices.push(["rows", `the selection (${some(store.selectedCount, "candidate")})`]);
    for (const { id, name, count } of store.state.classes) {
      if (count) choices.push([`class:${id}`, `class ${name} (${some(count, "candidate")})`]);
    }
    if (!choices.length) {
      this.notices.say("Nothing to export yet: select candidates, or name a class.");
      return;
    }
    this.what.replaceChildren(...choices.map(([value, text]) => make("option", { value, text })));
    // who has named something wants that; else what is selected
    const classes = choices.filter(([value]) => value.startsWith("class:"));
    this.what.value = (store.scores ? choices[0] : classes.at(-1) ?? choices[0])[0];
    byId("export-result").replaceChildren();
    this.dialog.showModal();
  }

  async write() {
    const { store } = this;
    const [what, id] = this.what.value.split(":");
    const asked = { what, format: this.format.value };
    if (what === "class") asked.class = Number(id);
    if (what === "scores") {
      // the rows themselves: hidden candidates and those taken out by hand are not in it
      asked.what = "rows";
      if (store.taught) asked.taught = store.taught;
      else asked.similar = store.similarTo;
    }
    if (asked.what === "rows") asked.rows = store.packedSelection();
    const button = /** @type {HTMLButtonElement} */ (byId("export-write"));
    const result = byId("export-result");
    button.disabled = true;
    try {
      const { name, count, url, kept } = await postJson("api/export", asked);
      const link = make("a", { href: url, download: name, text: name });
      result.className = "done";
      result.replaceChildren(
        make("p", {}, [`${some(count, "candidate")} written to `, link, "."]),
        ...(kept ? [make("p", { class: "faint", text: `Also kept in ${kept}` })] : []),
      );
      link.click();
    } catch (error) {
      result.className = "failed";
      result.replaceChildren(make("p", { text: error.message }));
    } finally {
      button.disabled = false;
    }
  }
}
