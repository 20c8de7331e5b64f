/**
 * Whether a frame goes on where the last one ended, or shows another scene: the JavaScript side of
 * `mien/tracking/cuts.py`, with the same numbers.
 */
import { resize } from "./pixels.js";

const WIDTH = 32, HEIGHT = 18, ROWS = 90;
const TOP = 4, LEFT = 8, MIDDLE_WIDTH = 16, MIDDLE_HEIGHT = 10;
const EMPTY = 4;
const ALIKE = 0.9, UNLIKE = 0.35;
const FOUND = 0.6, SAME_COLORS = 0.9;
const RETURN = 0.35;

/** What a frame is to the one before: the same scene, something that differs, another scene, or the old one again. */
export const Change = Object.freeze({ NONE: 0, SOME: 1, CUT: 2, BACK: 3 });

export class SceneCuts {
  #last = null;
  #before = null; // the last one before a cut that may be none
  #cutAt = 0;

  /** What the next frame is to the last one; `at` in seconds, not before that of the last call. */
  update(picture, at) {
    const small = reduced(picture);
    if (deviation(small) < EMPTY) return Change.NONE;
    const last = this.#last;
    this.#last = small;
    if (!last) return Change.NONE;
    if (at - this.#cutAt > RETURN) this.#before = null;
    if (this.#before && correlation(this.#before, small) >= ALIKE) {
      this.#before = null;
      return Change.BACK;
    }
    const alike = correlation(last, small);
    if (alike >= ALIKE) return Change.NONE;
    if (alike < UNLIKE && shifted(last, small) < FOUND && colorsShared(last, small) < SAME_COLORS) {
      [this.#before, this.#cutAt] = [last, at];
      return Change.CUT;
    }
    return Change.SOME;
  }
}

/** A copy of 32 x 18 pixels: every N-th pixel, then averages. */
function reduced({ width, height, data }) {
  const step = Math.max(Math.floor(Math.min(width, height) / ROWS), 1);
  const columns = Math.ceil(width / step), rows = Math.ceil(height / step);
  const out = new Uint8Array(columns * rows * 3);
  for (let y = 0, to = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, to += 3) {
      const from = (y * width + x) * step * 3;
      for (let channel = 0; channel < 3; channel++) out[to + channel] = data[from + channel];
    }
  }
  return resize({ width: columns, height: rows, data: out }, WIDTH, HEIGHT).data;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function deviation(values) {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length);
}

function correlation(one, other) {
  const first = mean(one), second = mean(other);
  let product = 0, a = 0, b = 0;
  for (let index = 0; index < one.length; index++) {
    const x = one[index] - first, y = other[index] - second;
    product += x * y;
    a += x * x;
    b += y * y;
  }
  return product / Math.max(Math.sqrt(a * b), 1e-6);
}

/** The best correlation of the middle of one copy with any part of the other: OpenCV's TM_CCOEFF_NORMED. */
function shifted(one, other) {
  const middle = centered(one, LEFT, TOP);
  let best = -1;
  for (let top = 0; top <= HEIGHT - MIDDLE_HEIGHT; top++) {
    for (let left = 0; left <= WIDTH - MIDDLE_WIDTH; left++) {
      const part = centered(other, left, top);
      let product = 0, a = 0, b = 0;
      for (let index = 0; index < part.length; index++) {
        product += middle[index] * part[index];
        a += middle[index] ** 2;
        b += part[index] ** 2;
      }
      best = Math.max(best, a * b > 0 ? product / Math.sqrt(a * b) : 0);
    }
  }
  return best;
}

/** A part of a copy, each channel less its mean. */
function centered(copy, left, top) {
  const part = new Float64Array(MIDDLE_WIDTH * MIDDLE_HEIGHT * 3);
  const sums = [0, 0, 0];
  for (let y = 0, to = 0; y < MIDDLE_HEIGHT; y++) {
    const from = ((top + y) * WIDTH + left) * 3;
    for (let index = 0; index < MIDDLE_WIDTH * 3; index++, to++) {
      part[to] = copy[from + index];
      sums[index % 3] += part[to];
    }
  }
  return part.map((value, index) => value - sums[index % 3] / (MIDDLE_WIDTH * MIDDLE_HEIGHT));
}

/** Intersection of the histograms of 4 x 4 x 4 colors, 0-1. */
function colorsShared(one, other) {
  const [first, second] = [one, other].map((copy) => {
    const counts = new Int32Array(64);
    for (let index = 0; index < copy.length; index += 3) {
      counts[(copy[index] >> 6) * 16 + (copy[index + 1] >> 6) * 4 + (copy[index + 2] >> 6)]++;
    }
    return counts;
  });
  return first.reduce((sum, count, color) => sum + Math.min(count, second[color]), 0) / (WIDTH * HEIGHT);
}
