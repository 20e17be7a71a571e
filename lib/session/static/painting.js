/** Points into pixels: typed arrays into the buffer of a 2-D canvas, one thread. */

export const BACKGROUND = 0xff1a1513; // little-endian ABGR

/**
 * Draw points, in the order given, later ones on top; in 3-D the nearest on top.
 * @param {Uint32Array} pixels
 * @param {Uint8Array|null} nearest One value a pixel for 3-D, else null.
 * @param {number} width
 * @param {number} height
 * @param {{x: Uint16Array, y: Uint16Array, z: Uint16Array}} at
 * @param {import("./picking.js").Projection} p
 * @param {ArrayLike<number>} order Rows to draw.
 * @param {number} length How many of them.
 * @param {Uint32Array} colors By row; 0 is not drawn.
 * @param {number} edge Of a point in pixels.
 * @param {number} darkest Share of the color that the farthest keep, 0 to 255.
 */
export function paintPoints(pixels, nearest, width, height, at, p, order, length, colors, edge, darkest = 96) {
  const { x, y, z } = at;
  const half = edge >> 1;
  const insets = roundInsets(edge);
  for (let k = 0; k < length; k++) {
    const i = order[k];
    let color = colors[i];
    if (color === 0) continue;
    const left = ((p.xx * x[i] + p.xy * y[i] + p.xz * z[i] + p.x0) | 0) - half;
    const top = ((p.yx * x[i] + p.yy * y[i] + p.yz * z[i] + p.y0) | 0) - half;
    if (left < 0 || top < 0 || left + edge > width || top + edge > height) continue;
    let depth = 0;
    if (nearest !== null) {
      depth = (255 * (p.zx * x[i] + p.zy * y[i] + p.zz * z[i] + p.z0)) | 0;
      depth = depth < 1 ? 1 : depth > 255 ? 255 : depth;
      if (nearest[(top + half) * width + left + half] > depth) continue;
      color = shade(color, darkest + ((depth * (256 - darkest)) >> 8));
    }
    for (let dy = 0; dy < edge; dy++) {
      const inset = insets[dy];
      let pixel = (top + dy) * width + left + inset;
      const end = (top + dy) * width + left + edge - inset;
      for (; pixel < end; pixel++) {
        pixels[pixel] = color;
        if (nearest !== null) nearest[pixel] = depth;
      }
    }
  }
}

/** How far each row of a disc is narrower than the disc, on each side. */
function roundInsets(edge) {
  const radius = edge / 2;
  return Int32Array.from({ length: edge }, (_, dy) => {
    if (edge < 4) return 0;
    return Math.round(radius - Math.sqrt(radius * radius - (dy + 0.5 - radius) ** 2));
  });
}

/**
 * @param {number} color
 * @param {number} share 0 (black) to 256 (as it is).
 */
export function shade(color, share) {
  const redBlue = (((color & 0xff00ff) * share) >>> 8) & 0xff00ff;
  const green = (((color & 0x00ff00) * share) >>> 8) & 0x00ff00;
  return (0xff000000 | redBlue | green) >>> 0;
}

/**
 * The 2-D map: centered on (x, y), with `scale` pixels a width of the map.
 * @param {{x: number, y: number, scale: number}} view
 * @param {number} width
 * @param {number} height
 * @returns {import("./picking.js").Projection}
 */
export function flatProjection(view, width, height) {
  const unit = view.scale / 65535;
  return {
    xx: unit, xy: 0, xz: 0, x0: width / 2 - view.scale * view.x,
    yx: 0, yy: -unit, yz: 0, y0: height / 2 + view.scale * view.y,
    zx: 0, zy: 0, zz: 0, z0: 0,
  };
}

/**
 * The 3-D cloud, turned about its `center` by `turn` and `tilt` (radians).
 * @param {{x: number, y: number, scale: number, turn: number, tilt: number,
 *          center: number[]}} view x and y shift the picture, 0.5 for not at all.
 * @param {number} width
 * @param {number} height
 * @returns {import("./picking.js").Projection}
 */
export function turnedProjection(view, width, height) {
  const [c, s] = [Math.cos(view.turn), Math.sin(view.turn)];
  const [ct, st] = [Math.cos(view.tilt), Math.sin(view.tilt)];
  const right = [c, s, 0];
  const up = [-s * st, c * st, ct];
  const near = [s * ct, -c * ct, st];
  const middle = (axis) => axis[0] * view.center[0] + axis[1] * view.center[1] + axis[2] * view.center[2];
  const unit = view.scale / 65535;
  const deep = 1 / 65535 / 1.4; // the cloud lies in a sphere of this diameter
  return {
    xx: right[0] * unit, xy: right[1] * unit, xz: right[2] * unit,
    x0: width / 2 - view.scale * (middle(right) + view.x - 0.5),
    yx: -up[0] * unit, yy: -up[1] * unit, yz: -up[2] * unit,
    y0: height / 2 + view.scale * (middle(up) + view.y - 0.5),
    zx: near[0] * deep, zy: near[1] * deep, zz: near[2] * deep,
    z0: 0.5 - middle(near) / 1.4,
  };
}

/**
 * The edge of a point that shows structure: large for few points, small for many.
 * @param {number} drawn
 * @param {number} area Of the canvas in pixels.
 * @param {number} zoom 1 when all is in view.
 */
export function pointEdge(drawn, area, zoom) {
  const edge = Math.sqrt((0.2 * area) / Math.max(drawn, 1)) * Math.sqrt(zoom);
  return Math.round(Math.min(9, Math.max(1.4, edge)));
}

/**
 * A fixed random order of the rows, so that the first n are a fair sample and no cluster
 * covers another.
 * @param {number} n
 * @returns {Uint32Array}
 */
export function shuffled(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 42;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((seed / 4294967296) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
