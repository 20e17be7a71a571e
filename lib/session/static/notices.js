/** What the page says: errors in a quiet banner, and short confirmations. */

import { byId, make } from "./dom.js";

const SHOWN_FOR = 3500; // milliseconds

export class Notices {
  constructor() {
    this.banner = byId("messages");
    this.toast = byId("toast");
  }

  /** Show an error until it is closed. @param {Error} error */
  fail(error) {
    if (error.name === "AbortError") return;
    this.keep(error.message, "error");
  }

  /** Show a text until it is closed. @param {string} text @param {"note"|"error"} kind */
  keep(text, kind = "note") {
    const same = [...this.banner.children].find((line) => line.dataset.text === text);
    if (same) return;
    const close = make("button", { type: "button", class: "small icon", text: "×", "aria-label": "close this message" });
    const line = make("div", { class: `line ${kind}`, "data-text": text }, [make("span", { text }), close]);
    close.addEventListener("click", () => line.remove());
    this.banner.append(line);
    while (this.banner.children.length > 3) this.banner.firstChild.remove();
  }

  /** Confirm briefly. @param {string} text */
  say(text) {
    clearTimeout(this.timer);
    this.toast.textContent = text;
    this.toast.classList.add("shown");
    this.timer = setTimeout(() => this.toast.classList.remove("shown"), SHOWN_FOR);
  }

  /** Show what goes wrong in an action. @param {() => Promise<void>} action */
  async guard(action) {
    try {
      await action();
    } catch (error) {
      this.fail(error);
    }
  }
}
