/** Which points lie where: pure functions on typed arrays. */

/** How a new set of rows joins the selection. */
export const COMBINE = ["replace", "add", "subtract", "intersect"];

/**
 * The way that keys held during a lasso ask for.
 * @param {{shiftKey: boolean, ctrlKey: boolean, metaKey: boolean}} event
 * @param {string} otherwise
 */
export function combineOf(event, otherwise) {
  const ctrl = event.ctrlKey || event.metaKey;
  if (event.shiftKey && ctrl) return "intersect";
  if (event.shiftKey) return "add";
  return ctrl ? "subtract" : otherwise;
}

/**
 * Join rows to a selection.
 * @param {Uint8Array} mask 1 where selected; left as it is.
 * @param {Uint8Array} found 1 where newly picked.
 * @param {string} how One of COMBINE.
 * @returns {Uint8Array}
 */
export function combine(mask, found, how) {
  const joined = new Uint8Array(mask.length);
  for (let i = 0; i < mask.length; i++) {
    if (how === "replace") joined[i] = found[i];
    else if (how === "add") joined[i] = mask[i] | found[i];
    else if (how === "subtract") joined[i] = mask[i] & (found[i] ^ 1);
    else joined[i] = mask[i] & found[i];
  }
  return joined;
}

/**
 * Fill a polygon by the even-odd rule.
 * @param {number[][]} corners [x, y] in pixels.
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array} 1 inside, one value a pixel.
 */
export function fillPolygon(corners, width, height) {
  const mask = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const y = row + 0.5;
    const crossings = [];
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
      const [x1, y1] = corners[i];
      const [x2, y2] = corners[j];
      if (y1 > y !== y2 > y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(0, Math.round(crossings[i]));
      const last = Math.min(width, Math.round(crossings[i + 1]));
      if (last > first) mask.fill(1, row * width + first, row * width + last);
    }
  }
  return mask;
}

/**
 * @typedef {{xx: number, xy: number, xz: number, x0: number,
 *            yx: number, yy: number, yz: number, y0: number,
 *            zx: number, zy: number, zz: number, z0: number}} Projection
 * Screen position and depth (0 far, 1 near) as sums of the coordinates.
 */

/**
 * Mark the shown points whose pixel is inside.
 * @param {{x: ArrayLike<number>, y: ArrayLike<number>, z: ArrayLike<number>}} at
 * @param {Projection} p
 * @param {Uint8Array} inside From `fillPolygon`.
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} shown 1 where the point may be picked.
 * @returns {Uint8Array}
 */
export function pointsInside(at, p, inside, width, height, shown) {
  const { x, y, z } = at;
  const found = new Uint8Array(x.length);
  for (let i = 0; i < x.length; i++) {
    if (!shown[i]) continue;
    const sx = Math.floor(p.xx * x[i] + p.xy * y[i] + p.xz * z[i] + p.x0);
    const sy = Math.floor(p.yx * x[i] + p.yy * y[i] + p.yz * z[i] + p.y0);
    if (sx < 0 || sy < 0 || sx >= width || sy >= height) continue;
    found[i] = inside[sy * width + sx];
  }
  return found;
}

/**
 * Return the drawn point closest to a pixel, or -1.
 * @param {{x: ArrayLike<number>, y: ArrayLike<number>, z: ArrayLike<number>}} at
 * @param {Projection} p
 * @param {number} px
 * @param {number} py
 * @param {number} reach In pixels.
 * @param {(row: number) => boolean} drawn
 */
export function closestPoint(at, p, px, py, reach, drawn) {
  const { x, y, z } = at;
  let best = reach * reach;
  let row = -1;
  for (let i = 0; i < x.length; i++) {
    const dx = p.xx * x[i] + p.xy * y[i] + p.xz * z[i] + p.x0 - px;
    if (dx > reach || dx < -reach) continue;
    const dy = p.yx * x[i] + p.yy * y[i] + p.yz * z[i] + p.y0 - py;
    const distance = dx * dx + dy * dy;
    if (distance < best && drawn(i)) {
      best = distance;
      row = i;
    }
  }
  return row;
}

/**
 * Pack a mask into bits, the least significant first.
 * @param {Uint8Array} mask
 * @returns {Uint8Array}
 */
function bitsOf(mask) {
  const bits = new Uint8Array(Math.ceil(mask.length / 8));
  for (let i = 0; i < mask.length; i++) if (mask[i]) bits[i >> 3] |= 1 << (i & 7);
  return bits;
}

/**
 * A mask as base64 of its bits.
 * @param {Uint8Array} mask
 */
export function packBits(mask) {
  const bytes = bitsOf(mask);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return btoa(text);
}

/**
 * Keep a selection in little room: as its rows, or one bit a candidate.
 * @param {Uint8Array} mask
 * @returns {{rows: Uint32Array}|{bits: Uint8Array}}
 */
export function packSelection(mask) {
  const rows = [];
  for (let i = 0; i < mask.length && rows.length <= mask.length / 32; i++) if (mask[i]) rows.push(i);
  if (rows.length <= mask.length / 32) return { rows: Uint32Array.from(rows) };
  return { bits: bitsOf(mask) };
}

/**
 * Return a selection of `packSelection`.
 * @param {{rows?: Uint32Array, bits?: Uint8Array}} packed
 * @param {number} length
 * @returns {Uint8Array}
 */
export function unpackSelection({ rows, bits }, length) {
  const mask = new Uint8Array(length);
  if (rows) for (const row of rows) mask[row] = 1;
  else for (let i = 0; i < length; i++) mask[i] = (bits[i >> 3] >> (i & 7)) & 1;
  return mask;
}

/**
 * A threshold that separates scores into two groups (Otsu), but not so low that more
 * than `most` of the candidates are above it.
 * @param {Float32Array} scores
 * @param {number} most A share, 0 to 1.
 */
export function firstThreshold(scores, most = 0.1) {
  const bins = 400;
  const histogram = new Float64Array(bins);
  const bin = (score) => Math.min(bins - 1, Math.max(0, Math.floor(((score + 1) / 2) * bins)));
  let total = 0;
  let sum = 0;
  for (const score of scores) {
    if (!(score >= -2)) continue;
    histogram[bin(score)] += 1;
    sum += bin(score);
    total += 1;
  }
  let below = 0;
  let sumBelow = 0;
  let best = -1;
  let threshold = 0;
  for (let i = 0; i < bins - 1; i++) {
    below += histogram[i];
    sumBelow += i * histogram[i];
    const above = total - below;
    if (!below || !above) continue;
    const gap = sumBelow / below - (sum - sumBelow) / above;
    if (below * above * gap * gap > best) {
      best = below * above * gap * gap;
      threshold = i + 1;
    }
  }
  let above = 0;
  let least = bins - 1;
  while (least > 0 && above + histogram[least] <= Math.max(most * total, 5)) {
    above += histogram[least];
    least -= 1;
  }
  return (Math.max(threshold, least + 1) / bins) * 2 - 1;
}
