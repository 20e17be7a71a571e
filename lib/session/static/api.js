/** Requests to the session. Links are relative, so that they work behind a prefix. */

/** What the session answered instead of data, in words for the user. */
export class SessionError extends Error {}

/**
 * @param {string} path
 * @param {any} [body] Sent as JSON by POST.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function ask(path, body, signal) {
  const options = { signal };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new SessionError(
      "The session does not answer. Is phoenix_visualization.py still running, and the " +
        "ssh tunnel open? What you named is kept; reload the page when it is back.",
    );
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = text;
  try {
    message = JSON.parse(text).error ?? text;
  } catch {
    // plain text is shown as it is
  }
  throw new SessionError(message || `The session answered ${response.status}.`);
}

export const getJson = async (path) => (await ask(path)).json();
export const postJson = async (path, body) => (await ask(path, body)).json();
export const getBytes = async (path) => (await ask(path)).arrayBuffer();

/**
 * @param {{tomogram: number, axis: string, index: number, sigma: number}} wanted
 * @returns {Promise<{gray: Uint8Array, width: number, height: number}>}
 */
export async function getSlice({ tomogram, axis, index, sigma }) {
  const query = new URLSearchParams({ tomogram, axis, index, sigma });
  const response = await ask(`api/slice?${query}`);
  const [height, width] = response.headers.get("X-Shape").split(",").map(Number);
  return { gray: new Uint8Array(await response.arrayBuffer()), width, height };
}

/**
 * @param {number[]} rows At most 512.
 * @param {number} view
 * @returns {Promise<Uint8Array>} Their patches, one after the other.
 */
export async function postPatches(rows, view) {
  const response = await ask("api/patches", { rows, view });
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * @param {number[]} rows
 * @returns {Promise<Float32Array>} The likeness of every candidate to them, -1 to 1.
 */
export async function postSimilar(rows) {
  const response = await ask("api/similar", { rows });
  return fromHalf(new Uint16Array(await response.arrayBuffer()));
}

/**
 * @param {number} id A class that is taught.
 * @returns {Promise<{scores: Float32Array, told: any}>} The probability of every
 *   candidate, and what to ask next.
 */
export async function postTeach(id) {
  const response = await ask("api/teach", { class: id });
  const told = JSON.parse(response.headers.get("X-Lesson"));
  return { scores: new Float32Array(await response.arrayBuffer()), told };
}

/** Every half-precision number, which few browsers read by themselves. */
const HALF = Float32Array.from({ length: 65536 }, (_, bits) => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
});

/**
 * Convert half-precision numbers; a loop takes a hundredth of `Float32Array.from`.
 * @param {Uint16Array} half
 */
export function fromHalf(half) {
  const numbers = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) numbers[i] = HALF[half[i]];
  return numbers;
}

// Columns of several numbers a candidate, all of the first number first.
const PARTS = {
  map: ["x", "y"],
  cloud: ["cloud_x", "cloud_y", "cloud_z"],
  position: ["position_x", "position_y", "position_z"],
  place: ["red", "green", "blue"],
};

/**
 * Fetch the columns of all candidates.
 * @returns {Promise<Object<string, any>>} Typed arrays by name, those of PARTS split.
 */
export async function getPoints() {
  const response = await ask("api/points");
  const columns = JSON.parse(response.headers.get("X-Columns"));
  return readColumns(columns, await response.arrayBuffer());
}

const KINDS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

/**
 * @param {{name: string, dtype: string, length: number}[]} columns
 * @param {ArrayBuffer} bytes
 */
export function readColumns(columns, bytes) {
  const found = {};
  let offset = 0;
  for (const { name, dtype, length } of columns) {
    const Kind = KINDS[dtype];
    const end = offset + length * Kind.BYTES_PER_ELEMENT;
    // a copy, because a column may begin at an odd byte
    const column = new Kind(bytes.slice(offset, end));
    offset = end;
    const parts = PARTS[name] ?? [name];
    const rows = length / parts.length;
    parts.forEach((part, k) => (found[part] = column.subarray(k * rows, (k + 1) * rows)));
  }
  return found;
}
