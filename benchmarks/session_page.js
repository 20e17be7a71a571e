// What benchmarks/session_speed.py runs in the page of the session: times in milliseconds.
// Real requests and pictures; the pointer's events are made here, so that no time of the
// program that steers the browser is measured.

const byId = (id) => document.getElementById(id);
const frame = () => new Promise((done) => requestAnimationFrame(done));
const median = (values) => values.slice().sort((a, b) => a - b)[values.length >> 1];

/** Until what was changed has been drawn, and the browser has made a picture of it. */
async function drawn() {
  await frame();
  await new Promise((done) => setTimeout(done));
}

/** Until `found` is true, looked at in every frame. */
async function until(found, seconds = 120) {
  const end = performance.now() + 1000 * seconds;
  while (!found()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${found}`);
    await frame();
  }
}

function point(type, x, y, buttons) {
  const overlay = byId("map-overlay");
  overlay.setPointerCapture = () => {}; // there is no such pointer
  const box = overlay.getBoundingClientRect();
  const at = { clientX: box.left + x * box.width, clientY: box.top + y * box.height };
  overlay.dispatchEvent(new PointerEvent(type, { ...at, buttons, button: 0, bubbles: true, pointerId: 1 }));
}

/** Drag the map for a while: frames a second, and the share of a frame that drawing takes. */
async function drag(seconds) {
  point("pointerdown", 0.5, 0.5, 1);
  const redraws = [];
  const begin = performance.now();
  let frames = 0;
  while (performance.now() - begin < 1000 * seconds) {
    point("pointermove", 0.5 + 0.05 * Math.sin(frames / 7), 0.5, 1);
    await frame();
    redraws.push(Number(byId("map-points").dataset.milliseconds));
    frames += 1;
  }
  const took = performance.now() - begin;
  point("pointermove", 0.5, 0.5, 1);
  point("pointerup", 0.5, 0.5, 0);
  await drawn();
  return { rate: (1000 * frames) / took, redraw: median(redraws) };
}

/** Draw as many points of one pixel as the map has into a buffer of its size. */
function bareRedraw(rows) {
  const { width, height } = byId("map-points");
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [x, y] = [0, 1].map(() => Uint16Array.from({ length: rows }, () => 65536 * Math.random()));
  const colors = Uint32Array.from({ length: rows }, () => 0xff000000 | (Math.random() * 0xffffff));
  const times = [];
  for (let k = 0; k < 9; k++) {
    const begin = performance.now();
    pixels.fill(0xff000000);
    for (let i = 0; i < rows; i++) pixels[((y[i] * height) >> 16) * width + ((x[i] * width) >> 16)] = colors[i];
    context.putImageData(image, 0, 0);
    context.getImageData(0, 0, 1, 1); // wait for it
    times.push(performance.now() - begin);
  }
  return median(times);
}

/** A lasso of 120 corners, from letting go to the colored selection. */
async function lasso() {
  byId("tool-lasso").click();
  const times = [];
  for (let k = 0; k < 5; k++) {
    await new Promise((next) => setTimeout(next, 1000)); // the patches of the last one come
    const corner = (i) => [0.5 + 0.3 * Math.cos((i * Math.PI) / 60), 0.5 + (0.25 + 0.02 * k) * Math.sin((i * Math.PI) / 60)];
    point("pointerdown", ...corner(0), 1);
    for (let i = 1; i < 120; i++) point("pointermove", ...corner(i), 1);
    await drawn();
    const begin = performance.now();
    point("pointerup", ...corner(119), 0);
    await drawn();
    times.push(performance.now() - begin);
  }
  byId("tool-move").click();
  return { time: median(times), first: times[0], selected: byId("selection-count").textContent };
}

/** Likeness to one candidate: from the click on the button to the colored map. */
async function similar() {
  const found = byId("similar");
  byId("similar-close").click();
  byId("selection-clear").click();
  byId("map-overlay").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" })); // the one in the middle
  await new Promise((done) => setTimeout(done, 1000));
  const begin = performance.now();
  byId("similar-find").click();
  await until(() => !found.hidden);
  await drawn();
  const time = performance.now() - begin;
  const slider = byId("similar-threshold");
  const steps = [];
  for (let k = 0; k < 8; k++) {
    slider.value = String(300 + 60 * k);
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await drawn();
    steps.push(performance.now() - start);
  }
  return { time, step: median(steps) };
}

/** Show slices, each `step` from the last, after `pause`; what is drawn late counts, too. */
async function slices(step, pause, count = 24) {
  const slider = byId("slice-index");
  let index = 3;
  let took = 0;
  for (let k = 0; k <= count; k++) {
    await new Promise((done) => setTimeout(done, pause));
    const begin = performance.now();
    slider.value = String(index);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await until(() => byId("slice-image").dataset.shown === slider.value);
    if (k) took += performance.now() - begin; // not the way to the first
    index += step;
  }
  return took / count;
}

/** The bytes of an answer and nothing else: [milliseconds, bytes]. */
async function bare(path, body) {
  const headers = { "Content-Type": "application/json" };
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : {};
  const times = [];
  let size = 0;
  for (let k = 0; k < 5; k++) {
    const begin = performance.now();
    size = (await (await fetch(path, options)).arrayBuffer()).byteLength;
    times.push(performance.now() - begin);
  }
  return [median(times), size];
}
