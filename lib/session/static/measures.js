/** What was measured of each candidate: as colors, and which of its values are shown. */

import { getBytes } from "./api.js";
import { byId } from "./dom.js";

const SAMPLED = 20000; // values that tell the range of the colors
const BEYOND = 0.02; // share of the values beyond each end of it

/**
 * Fetch a measure, once; other names are no measures and need nothing.
 * @param {import("./store.js").Store} store
 * @param {string} name
 */
export async function fetchMeasure(store, name) {
  const known = store.session.measures.some((measure) => measure.name === name);
  if (!known || store.measures[name]) return;
  const values = new Float32Array(await getBytes(`api/measure?name=${name}`));
  store.measures[name] = { values, range: rangeOf(values) };
}

/** The range that colors span: without the least and the largest few. */
export function rangeOf(values) {
  const step = Math.max(1, Math.ceil(values.length / SAMPLED));
  const sample = values.filter((value, i) => i % step === 0 && Number.isFinite(value)).sort();
  if (!sample.length) return [0, 1];
  const at = (share) => sample[Math.round(share * (sample.length - 1))];
  return [at(BEYOND), at(1 - BEYOND)];
}

/**
 * Offer the measures of the table as colors and as a filter.
 * @param {import("./store.js").Store} store
 * @param {import("./notices.js").Notices} notices
 * @param {HTMLSelectElement} color
 */
export function wireMeasures(store, notices, color) {
  const by = /** @type {HTMLSelectElement} */ (byId("filter-by"));
  const [low, high] = ["filter-low", "filter-high"].map((id) => /** @type {HTMLInputElement} */ (byId(id)));
  const { measures } = store.session;
  byId("measure-filter").hidden = !measures.length;
  for (const { name, title } of measures) {
    for (const menu of [color, by]) {
      const option = new Option(name.replace("_", " "), name);
      option.title = title;
      menu.add(option);
    }
  }
  const apply = () => {
    const chosen = by.value;
    const end = (input, open) => {
      const value = input.value.trim() === "" ? open : Number(input.value);
      input.setAttribute("aria-invalid", String(Number.isNaN(value)));
      return Number.isNaN(value) ? open : value;
    };
    const range = { name: chosen, low: end(low, -Infinity), high: end(high, Infinity) };
    store.filter = chosen ? range : null;
    store.updateShown();
  };
  by.addEventListener("change", () => notices.guard(async () => {
    await fetchMeasure(store, by.value);
    for (const input of [low, high]) {
      input.value = "";
      input.hidden = !by.value;
    }
    by.title = by.selectedOptions[0].title;
    apply();
    by.blur();
  }));
  for (const input of [low, high]) input.addEventListener("change", apply);
}
