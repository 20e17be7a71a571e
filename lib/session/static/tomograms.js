/** The list of tomograms, with the number of selected candidates in each. */

import { byId, count, make } from "./dom.js";
import { distinct, hex } from "./colors.js";
import { VirtualGrid } from "./virtual.js";

const ROW_HEIGHT = 40;

export class TomogramList {
  /** @param {import("./store.js").Store} store @param {(tomogram: number) => void} open */
  constructor(store, open) {
    Object.assign(this, { store, open });
    const { tomograms } = store.session;
    byId("tomogram-count").textContent = count(tomograms.length);
    this.order = tomograms.map((_, index) => index);
    this.grid = new VirtualGrid(byId("tomogram-list"), {
      width: 0,
      height: ROW_HEIGHT,
      create: () => this.createItem(),
      fill: (item, index) => this.fillItem(item, this.order[index]),
    });
    this.countSelected();
    store.listen(["selection"], () => this.countSelected());
    store.listen(["tomogram", "shown"], () => this.grid.show(this.order.length));
    byId("tomograms-all").addEventListener("click", () => {
      store.hiddenTomograms.clear();
      store.updateShown();
    });
    byId("tomograms-sort").addEventListener("change", () => this.countSelected());
  }

  countSelected() {
    const { store } = this;
    this.counts = new Uint32Array(store.session.tomograms.length);
    if (store.selectedCount) {
      const { tomogram } = store.points;
      for (let i = 0; i < store.rows; i++) this.counts[tomogram[i]] += store.selected[i];
    }
    const sort = /** @type {HTMLSelectElement} */ (byId("tomograms-sort")).value;
    this.order.sort((a, b) => (sort === "selected" && this.counts[b] - this.counts[a]) || a - b);
    this.grid.show(this.order.length);
  }

  createItem() {
    const item = make("div", { class: "item tomogram" });
    const show = make("input", { type: "checkbox", class: "eye" });
    const choose = make("button", { type: "button", class: "choose" }, [
      make("i", { class: "dot" }), make("b"), make("span", { class: "picked" }), make("span", { class: "faint" }),
    ]);
    show.addEventListener("change", () => this.toggleShown(Number(item.dataset.tomogram)));
    choose.addEventListener("click", () => this.open(Number(item.dataset.tomogram)));
    choose.addEventListener("dblclick", () => this.isolate(Number(item.dataset.tomogram)));
    choose.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const index = Number(item.dataset.index) + step;
      this.grid.focus(index);
      this.grid.tiles.get(index)?.querySelector("button").focus();
    });
    item.append(show, choose);
    return item;
  }

  fillItem(item, index) {
    const { store } = this;
    const { name, available, why } = store.session.tomograms[index];
    item.dataset.tomogram = String(index);
    const [show, choose] = item.children;
    show.checked = !store.hiddenTomograms.has(index);
    show.title = `show the candidates of ${name}`;
    show.setAttribute("aria-label", show.title);
    const open = store.openedTomogram === index;
    item.classList.toggle("all", open);
    item.classList.toggle("hidden-group", !show.checked);
    choose.setAttribute("aria-current", String(open));
    choose.title = available ? "click: open; double click: show alone" : why;
    const [dot, title, picked, total] = choose.children;
    dot.style.backgroundColor = hex(distinct(index));
    title.textContent = available ? name : `${name} (not found)`;
    picked.textContent = this.counts[index] ? count(this.counts[index]) : "";
    picked.title = "selected candidates";
    total.textContent = count(store.byTomogram[index].length);
  }

  toggleShown(index) {
    const hidden = this.store.hiddenTomograms;
    hidden.has(index) ? hidden.delete(index) : hidden.add(index);
    this.store.updateShown();
  }

  isolate(index) {
    const hidden = this.store.hiddenTomograms;
    const n = this.store.session.tomograms.length;
    const alone = !hidden.has(index) && hidden.size === n - 1;
    hidden.clear();
    for (let other = 0; other < n && !alone; other++) if (other !== index) hidden.add(other);
    this.store.updateShown();
  }
}
