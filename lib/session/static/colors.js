/** Colors of the candidates, one 32-bit number each (little-endian ABGR). */

export const NO_CLASS = "#5d646e";
const RAMP = ["#30304f", "#3b4a86", "#2f7297", "#2a9d8f", "#8cc63f", "#ffe14a"];

/** @param {string} hex "#rrggbb" */
export function packed(hex) {
  const rgb = parseInt(hex.slice(1), 16);
  return (0xff000000 | ((rgb & 255) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

/** @param {number} color */
export function hex(color) {
  const rgb = ((color & 255) << 16) | (color & 0xff00) | ((color >> 16) & 255);
  return `#${rgb.toString(16).padStart(6, "0")}`;
}

/**
 * A color for the n-th of many things: hues by the golden angle, in three tones.
 * @param {number} index
 */
export function distinct(index) {
  const hue = (index * 137.508 + 210) % 360;
  const light = [0.66, 0.56, 0.76][index % 3];
  const chroma = 0.62 * Math.min(light, 1 - light);
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return (0xff000000 | (channel(4) << 16) | (channel(8) << 8) | channel(0)) >>> 0;
}

/** The colors of scores from the least to the largest, 256 of them. */
export const SCORES = Uint32Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(place));
  const [a, b] = [packed(RAMP[low]), packed(RAMP[low + 1])];
  const mix = (shift) => {
    const from = (a >> shift) & 255;
    return Math.round(from + (place - low) * (((b >> shift) & 255) - from));
  };
  return (0xff000000 | (mix(16) << 16) | (mix(8) << 8) | mix(0)) >>> 0;
});

/**
 * The color of every candidate.
 * @param {import("./store.js").Store} store
 * @returns {Uint32Array}
 */
export function candidateColors(store) {
  const { points, session, rows, colorBy, measures } = store;
  const colors = new Uint32Array(rows);
  if (colorBy === "place") {
    const { red, green, blue } = points;
    for (let i = 0; i < rows; i++) {
      colors[i] = (0xff000000 | (blue[i] << 16) | (green[i] << 8) | red[i]) >>> 0;
    }
    return colors;
  }
  const scores = measures[colorBy]?.values ?? (colorBy === "score" && store.shownScores);
  if (scores) {
    const [least, most] = measures[colorBy]?.range ?? store.scoreRange;
    const step = 255 / Math.max(1e-6, most - least);
    for (let i = 0; i < rows; i++) {
      const shade = Math.min(255, Math.max(0, (scores[i] - least) * step)) | 0;
      colors[i] = SCORES[shade];
    }
    return colors;
  }
  const [numbers, table] = keyed(store, session);
  for (let i = 0; i < rows; i++) colors[i] = table[numbers[i]];
  return colors;
}

function keyed(store, session) {
  if (store.colorBy === "tomogram") {
    return [store.points.tomogram, session.tomograms.map((_, i) => distinct(i))];
  }
  if (store.colorBy === "class") {
    const table = [packed(NO_CLASS)];
    for (const { id, color } of store.state.classes) table[id] = packed(color);
    return [store.classes, table];
  }
  return [store.points.cluster, store.clusterColors()];
}
