/** Classes: name the selection, assign by digit keys, select, show, rename, remove. */

import { byId, count, make, some } from "./dom.js";
import { combine, combineOf } from "./picking.js";

// Told apart on a dark ground, by people who do not see red and green as well.
const COLORS = ["#ffb454", "#59b8ff", "#5fd38d", "#ff7ac6", "#f6e05e", "#a78bfa", "#ff8066", "#4dd8d0", "#c9d1d9"];

export class ClassPanel {
  /** @param {import("./store.js").Store} store @param {import("./notices.js").Notices} notices */
  constructor(store, notices) {
    this.store = store;
    this.notices = notices;
    this.list = byId("class-list");
    /** Called with a class that is to be taught. @type {(id: number) => void} */
    this.teach = () => {};
    this.input = /** @type {HTMLInputElement} */ (byId("class-name"));
    byId("class-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.name(this.input.value);
    });
    this.input.addEventListener("input", () => this.showButton());
    store.listen(["classes", "selection"], () => this.show());
    this.show();
  }

  /** What the selection came from, kept in the journal for a replay. */
  origin() {
    const { scores, taught, similarTo: similar, threshold } = this.store;
    if (!scores) return undefined;
    return taught ? { taught, threshold } : { similar, threshold };
  }

  /** Put the selection into the class of that name, made if there is none. */
  async name(text) {
    const name = text.trim().replace(/\s+/g, " ");
    const { store } = this;
    if (!name) {
      this.notices.say("Type a name for the selection first, for example ribosome.");
      return;
    }
    await this.notices.guard(async () => {
      const known = store.state.classes.find((each) => each.name === name);
      const color = known ? undefined : this.freeColor();
      if (store.selectedCount) await this.assign({ name, color });
      else if (known) this.notices.say(`There is a class ${name} already. Select candidates to put into it.`);
      else await store.act({ op: "class", name, color });
      this.input.value = "";
      this.showButton();
    });
  }

  freeColor() {
    const { classes } = this.store.state;
    const taken = new Set(classes.map(({ color }) => color));
    return COLORS.find((each) => !taken.has(each)) ?? COLORS[classes.length % COLORS.length];
  }

  /**
   * Put the selection into a class.
   * @param {{class?: number, name?: string, color?: string}} into A class; 0 takes the
   *   selection out of its classes. By a name that is new, the class is made as well.
   */
  async assign(into) {
    const { store } = this;
    if (!store.selectedCount) {
      this.notices.say("Nothing is selected yet: click a cluster, or draw a lasso on the map.");
      return;
    }
    const amount = store.selectedCount;
    await store.act({ op: "assign", ...into, rows: store.packedSelection(), how: this.origin() });
    const name = into.name ?? store.state.classes.find((each) => each.id === into.class)?.name;
    this.notices.say(name ? `${some(amount, "candidate")} now in ${name}. Kept.` : `${some(amount, "candidate")} taken out of their classes.`);
  }

  /** @param {number} digit 1 for the first class; 0 for none. */
  assignDigit(digit) {
    const id = digit === 0 ? 0 : this.store.state.classes[digit - 1]?.id;
    if (id === undefined) this.notices.say(`There is no class ${digit} yet: name the selection first.`);
    else this.notices.guard(() => this.assign({ class: id }));
  }

  show() {
    const { store } = this;
    byId("class-empty").hidden = store.state.classes.length > 0;
    this.list.replaceChildren(...store.state.classes.map((each, index) => this.item(each, index)));
    this.showButton();
  }

  showButton() {
    const button = /** @type {HTMLButtonElement} */ (byId("class-add"));
    const { selectedCount } = this.store;
    button.textContent = selectedCount ? `Name ${count(selectedCount)}` : "Name";
    button.disabled = !this.input.value.trim() || Boolean(this.store.state.read_only);
  }

  item({ id, name, color, count: amount }, index) {
    const digit = index < 9 ? String(index + 1) : "";
    const change = (action) => this.notices.guard(() => this.store.act({ class: id, ...action }));
    const paint = make("input", {
      type: "color", value: color, title: `color of ${name}`, "aria-label": `color of ${name}`,
      on: { change: (event) => change({ op: "recolor", color: event.target.value }) },
    });
    const select = make("button", {
      class: "choose", type: "button", title: `select all ${name}; Shift adds, Ctrl subtracts`,
      on: { click: (event) => this.select(id, event) },
    }, [make("b", { text: name }), make("span", { class: "faint", text: count(amount) })]);
    const put = make("button", {
      class: "small key", type: "button", disabled: !this.store.selectedCount, text: digit ? `+ ${digit}` : "+",
      title: `put the selection into ${name}${digit ? ` (key ${digit})` : ""}`,
      "aria-label": `put the selection into ${name}`,
      on: { click: () => this.notices.guard(() => this.assign({ class: id })) },
    });
    const teach = make("button", {
      class: "small", type: "button", text: "Teach",
      title: `find all ${name}: answer yes or no to what is doubtful (T)`, "aria-label": `teach ${name}`,
      on: { click: () => this.teach(id) },
    });
    const rename = make("button", {
      class: "small icon", type: "button", text: "✎", title: `rename ${name}`, "aria-label": `rename ${name}`,
      on: { click: () => this.rename(item, id, name) },
    });
    const remove = make("button", {
      class: "small icon", type: "button", text: "×", title: `remove the class ${name}`, "aria-label": `remove ${name}`,
      on: { click: () => change({ op: "remove" }) },
    });
    const item = make("li", { class: "class" }, [paint, select, teach, put, rename, remove]);
    return item;
  }

  rename(item, id, name) {
    const input = /** @type {HTMLInputElement} */ (make("input", { class: "rename", "aria-label": `new name of ${name}` }));
    input.value = name;
    let left = false;
    const finish = (keep) => {
      if (left) return;
      left = true;
      const text = input.value.trim();
      if (keep && text && text !== name) {
        this.notices.guard(() => this.store.act({ op: "rename", class: id, name: text }));
      } else this.show();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
      event.stopPropagation();
    });
    input.addEventListener("blur", () => finish(true));
    item.replaceChildren(input);
    input.focus();
    input.select();
  }

  select(id, event) {
    const { store } = this;
    const found = new Uint8Array(store.rows);
    for (let i = 0; i < store.rows; i++) found[i] = store.classes[i] === id ? 1 : 0;
    store.select(combine(store.selected, found, combineOf(event, store.how)));
  }
}
