/** Drawing a lasso or a rectangle on a canvas; shared by map and tomogram. */

import { combine, combineOf, fillPolygon, pointsInside } from "./picking.js";

/**
 * The outline while it is drawn.
 * @param {number[]} from [x, y] where the pointer went down.
 * @param {string} tool "lasso" or "box".
 */
export class Outline {
  constructor(from, tool) {
    this.tool = tool;
    this.corners = [from];
  }

  /** @param {number[]} to */
  extend(to) {
    if (this.tool === "lasso") {
      const [x, y] = this.corners.at(-1);
      if (Math.hypot(to[0] - x, to[1] - y) > 2) this.corners.push(to);
    } else {
      const [x, y] = this.corners[0];
      this.corners = [[x, y], [to[0], y], to, [x, to[1]]];
    }
  }

  /** Whether it is more than a click. */
  get isArea() {
    const xs = this.corners.map((corner) => corner[0]);
    const ys = this.corners.map((corner) => corner[1]);
    return Math.max(...xs) - Math.min(...xs) + Math.max(...ys) - Math.min(...ys) > 8;
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    context.beginPath();
    for (const [x, y] of this.corners) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = "rgba(255, 255, 255, 0.08)";
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = "#ffffff";
    context.setLineDash([5, 4]);
    context.stroke();
    context.setLineDash([]);
  }
}

/**
 * Select what lies in an outline.
 * @param {import("./store.js").Store} store
 * @param {Outline} outline In pixels of the canvas.
 * @param {{at: any, projection: any, width: number, height: number, shown: Uint8Array}} scene
 * @param {PointerEvent} event For the keys held.
 */
export function selectInside(store, outline, scene, event) {
  const { at, projection, width, height, shown } = scene;
  const inside = fillPolygon(outline.corners, width, height);
  const found = pointsInside(at, projection, inside, width, height, shown);
  store.select(combine(store.selected, found, combineOf(event, store.how)));
}
