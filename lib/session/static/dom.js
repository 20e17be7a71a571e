/** Elements of the page. All text is inserted as text, never as markup. */

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `class`, `text`, `on` (listeners by event),
 *   properties such as `disabled`, and any other attribute; false and null are left out.
 * @param {(Node|string)[]} [children]
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, children = []) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Write a count with separators: 1,162.
 * @param {number} count
 */
export const count = (count) => count.toLocaleString("en-US");

/**
 * "1 candidate", "2 candidates".
 * @param {number} number
 * @param {string} noun
 */
export const some = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/**
 * Let one of a group of buttons be pressed, by pointer and by arrow keys.
 * @param {HTMLElement} group Its buttons carry `data-value`.
 * @param {(value: string) => void} chosen
 * @returns {(value: string) => void} Shows a value as pressed without calling `chosen`.
 */
export function segmented(group, chosen) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...group.querySelectorAll("button")]);
  const show = (value) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
    }
  };
  for (const [index, button] of buttons.entries()) {
    button.addEventListener("click", () => {
      show(button.dataset.value);
      chosen(button.dataset.value);
    });
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      buttons[(index + step + buttons.length) % buttons.length].focus();
    });
  }
  return show;
}

/**
 * Call at most once a frame.
 * @param {() => void} draw
 * @returns {() => void}
 */
export function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}

/**
 * Call once after the last of several calls.
 * @param {() => void} action
 * @param {number} delay Milliseconds.
 */
export function afterPause(action, delay) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, delay);
  };
}

/**
 * Draw gray values into a canvas of that many pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} gray
 * @param {number} width
 * @param {number} height
 */
export function drawGray(canvas, gray, width, height) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = 0xff000000 | (gray[i] * 0x010101);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/**
 * Keep the pixels of a canvas in step with its size on the screen.
 * @param {HTMLCanvasElement[]} canvases Of the same size.
 * @param {() => void} resized
 * @returns {{ratio: number, width: number, height: number}} Pixels of a CSS pixel, and
 *   the size in CSS pixels; updated in place.
 */
export function fitCanvas(canvases, resized) {
  const size = { ratio: 1, width: 1, height: 1 };
  const fit = () => {
    const box = canvases[0].getBoundingClientRect();
    size.ratio = Math.min(window.devicePixelRatio || 1, 2);
    size.width = Math.max(1, Math.round(box.width));
    size.height = Math.max(1, Math.round(box.height));
    for (const canvas of canvases) {
      canvas.width = Math.round(size.width * size.ratio);
      canvas.height = Math.round(size.height * size.ratio);
    }
    resized();
  };
  new ResizeObserver(fit).observe(canvases[0]);
  fit();
  return size;
}
