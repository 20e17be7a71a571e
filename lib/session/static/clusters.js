/** The list of clusters: three typical patches, the aligned mean, count and color. */

import { getBytes } from "./api.js";
import { byId, count, drawGray, make, some } from "./dom.js";
import { combine, combineOf } from "./picking.js";
import { VirtualGrid } from "./virtual.js";

export const ROW_HEIGHT = 68;

export class ClusterList {
  /** @param {import("./store.js").Store} store @param {import("./patches.js").Patches} patches
   *  @param {(error: Error) => void} failed */
  constructor(store, patches, failed) {
    Object.assign(this, { store, patches, failed });
    this.order = store.session.clusters.map((_, index) => index);
    this.marked = new Set();
    this.grid = new VirtualGrid(byId("cluster-list"), {
      width: 0,
      height: ROW_HEIGHT,
      create: () => this.createItem(),
      fill: (item, index) => this.fillItem(item, this.order[index]),
    });
    this.refresh();
    store.listen(["selection", "shown"], () => this.grid.show(this.order.length));
    store.listen(["classes"], () => this.refresh());
    byId("clusters-all").addEventListener("click", () => this.showAll());
    byId("clusters-none").addEventListener("click", () => this.hideAll());
    byId("clusters-merge").addEventListener("click", () => this.merge());
    const sort = /** @type {HTMLSelectElement} */ (byId("clusters-sort"));
    sort.addEventListener("change", () => this.refresh());
    if (patches.available) this.loadMeans();
  }

  async loadMeans() {
    try {
      this.means = new Uint8Array(await getBytes("api/means"));
      this.grid.show(this.order.length);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Clusters that are merged into another one are listed as part of it. */
  refresh() {
    const { store } = this;
    const { clusters } = store.session;
    this.members = clusters.map(() => []);
    for (let index = 0; index < clusters.length; index++) {
      this.members[store.mergedInto(index)].push(index);
    }
    this.order = clusters.map((_, index) => index).filter((index) => this.members[index].length);
    const sort = /** @type {HTMLSelectElement} */ (byId("clusters-sort")).value;
    if (sort === "count") this.order.sort((a, b) => this.size(b) - this.size(a));
    byId("cluster-count").textContent = count(this.order.length);
    this.marked = new Set([...this.marked].filter((index) => this.members[index].length));
    this.showMarked();
    this.grid.show(this.order.length);
  }

  size(index) {
    return this.members[index].reduce((sum, member) => sum + this.store.byCluster[member].length, 0);
  }

  createItem() {
    const item = make("div", { class: "item cluster" });
    const show = make("input", { type: "checkbox", class: "eye" });
    const choose = make("button", { type: "button", class: "choose" }, [
      make("span", { class: "title" }, [make("i", { class: "dot" }), make("b"), make("span", { class: "faint" })]),
      make("span", { class: "examples" }, [
        ...[0, 1, 2].map(() => make("canvas", { class: "patch" })),
        make("canvas", { class: "patch mean", title: "mean of the cluster, turned in plane" }),
      ]),
    ]);
    const mark = make("input", { type: "checkbox", class: "mark-merge" });
    show.addEventListener("change", () => this.toggleShown(Number(item.dataset.cluster)));
    mark.addEventListener("change", () => this.toggleMarked(Number(item.dataset.cluster)));
    choose.addEventListener("click", (event) => this.select(Number(item.dataset.cluster), event));
    choose.addEventListener("dblclick", () => this.isolate(Number(item.dataset.cluster)));
    choose.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const index = Number(item.dataset.index) + step;
      this.grid.focus(index);
      this.grid.tiles.get(index)?.querySelector("button").focus();
    });
    item.append(show, choose, mark);
    return item;
  }

  fillItem(item, index) {
    const { store, patches } = this;
    const { clusters } = store.session;
    const { number, color, examples } = clusters[index];
    item.dataset.cluster = String(index);
    const [show, choose, mark] = item.children;
    const members = this.members[index];
    const total = this.size(index);
    let selected = 0;
    for (const member of members) for (const row of store.byCluster[member]) selected += store.selected[row];
    show.checked = !store.hiddenClusters.has(index);
    show.title = `show cluster ${number} on map and slices`;
    show.setAttribute("aria-label", show.title);
    mark.checked = this.marked.has(index);
    mark.title = `mark cluster ${number} to merge it with others`;
    mark.setAttribute("aria-label", mark.title);
    item.classList.toggle("some", selected > 0);
    item.classList.toggle("all", selected === total && total > 0);
    item.classList.toggle("hidden-group", !show.checked);
    choose.setAttribute("aria-pressed", String(selected === total));
    choose.title = "click: select; Shift adds, Ctrl subtracts; double click: show alone";
    const [dot, name, amount] = choose.querySelector(".title").children;
    dot.style.backgroundColor = color;
    const merged = members.length > 1 ? ` + ${members.length - 1} merged` : "";
    name.textContent = `Cluster ${number}${merged}`;
    amount.textContent = selected && selected < total ? `${count(selected)} / ${count(total)}` : count(total);
    const canvases = [...choose.querySelectorAll("canvas")];
    for (let k = 0; k < 3; k++) {
      canvases[k].hidden = !patches.available || !(examples[k] >= 0);
      if (!canvases[k].hidden) patches.draw(canvases[k], examples[k]);
    }
    canvases[3].hidden = !this.means;
    if (this.means) {
      const size = patches.edge ** 2;
      drawGray(canvases[3], this.means.subarray(index * size, (index + 1) * size), patches.edge, patches.edge);
    }
  }

  /** @param {number} index @param {MouseEvent} event */
  select(index, event) {
    const found = new Uint8Array(this.store.rows);
    for (const member of this.members[index]) for (const row of this.store.byCluster[member]) found[row] = 1;
    this.store.select(combine(this.store.selected, found, combineOf(event, this.store.how)));
  }

  isolate(index) {
    const hidden = this.store.hiddenClusters;
    const { clusters } = this.store.session;
    const keep = new Set(this.members[index]);
    const alone = !hidden.has(index) && hidden.size === clusters.length - keep.size;
    hidden.clear();
    if (!alone) clusters.forEach((_, other) => keep.has(other) || hidden.add(other));
    this.store.updateShown();
  }

  toggleShown(index) {
    const hidden = this.store.hiddenClusters;
    const hide = !hidden.has(index);
    for (const member of this.members[index]) hide ? hidden.add(member) : hidden.delete(member);
    this.store.updateShown();
  }

  showAll() {
    this.store.hiddenClusters.clear();
    this.store.updateShown();
  }

  hideAll() {
    this.store.session.clusters.forEach((_, index) => this.store.hiddenClusters.add(index));
    this.store.updateShown();
  }

  toggleMarked(index) {
    this.marked.has(index) ? this.marked.delete(index) : this.marked.add(index);
    this.showMarked();
  }

  showMarked() {
    const button = /** @type {HTMLButtonElement} */ (byId("clusters-merge"));
    button.hidden = this.marked.size === 0;
    button.disabled = this.marked.size < 2;
    button.textContent = this.marked.size < 2 ? "Mark another to merge" : `Merge ${some(this.marked.size, "cluster")}`;
  }

  async merge() {
    const clusters = [...this.marked].sort((a, b) => this.size(b) - this.size(a));
    const [into, ...others] = clusters;
    this.marked.clear();
    try {
      await this.store.act({ op: "merge", clusters: others, into });
    } catch (error) {
      this.failed(error);
    }
    this.showMarked();
  }
}
