/** Tabs of the side, and borders between the panels that can be moved. */

import { byId } from "./dom.js";

/**
 * Show one tab at a time; arrow keys go from tab to tab.
 * @param {HTMLElement} list With `role=tab` buttons that name their panel.
 */
export function tabs(list) {
  const all = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[role=tab]")]);
  const open = (tab) => {
    for (const each of all) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
  };
  for (const [index, tab] of all.entries()) {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = all[(index + step + all.length) % all.length];
      open(next);
      next.focus();
    });
  }
}

/**
 * Let a border be moved by pointer and by arrow keys.
 * @param {HTMLElement} border
 * @param {string} variable Of the style of the page: a share in percent.
 * @param {boolean} upright Whether the border stands between left and right.
 */
export function movable(border, variable, upright) {
  const page = document.documentElement;
  const area = border.parentElement;
  const set = (share) => {
    const kept = Math.min(80, Math.max(20, share));
    page.style.setProperty(variable, `${kept}%`);
    border.setAttribute("aria-valuenow", String(Math.round(kept)));
  };
  border.addEventListener("pointerdown", (event) => border.setPointerCapture(event.pointerId));
  border.addEventListener("pointermove", (event) => {
    if (!border.hasPointerCapture(event.pointerId)) return;
    const box = area.getBoundingClientRect();
    set(upright ? (100 * (event.clientX - box.left)) / box.width : (100 * (event.clientY - box.top)) / box.height);
  });
  border.addEventListener("dblclick", () => page.style.removeProperty(variable));
  border.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -2, ArrowUp: -2, ArrowRight: 2, ArrowDown: 2 }[event.key];
    if (!step) return;
    event.preventDefault();
    set(Number(border.getAttribute("aria-valuenow")) + step);
  });
}

/** Close an open menu at a click elsewhere, and at Escape. */
export function closeMenus() {
  const open = () => document.querySelectorAll("details.menu[open]");
  addEventListener("pointerdown", (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) menu.removeAttribute("open");
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !open().length) return;
    for (const menu of open()) menu.removeAttribute("open");
    event.stopImmediatePropagation();
  });
}
