/**
 * Pictures as RGB bytes, and resizing as OpenCV does it: `INTER_AREA` to shrink, `INTER_LINEAR` to enlarge.
 * A canvas scales differently in every browser, so a canvas only ever decodes here.
 *
 * A picture is `{width, height, data}`, data a Uint8Array of height x width x 3.
 */
import { MienError } from "./errors.js";

/** To the nearest whole number, halves to the even one: as Python rounds. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/**
 * A picture from raw pixels.
 * @param {{width: number, height: number, data: ArrayLike<number>}} image RGB or RGBA (as ImageData) or grey bytes;
 *   what is transparent shows white
 */
export function toRgb(image) {
  const { width, height, data } = image;
  const count = width * height;
  const channels = data?.length / count;
  if (!(count > 0) || ![1, 3, 4].includes(channels)) {
    throw new MienError("picture", `a picture of ${width}x${height} pixels has ${data?.length} bytes: not RGB, RGBA or grey`);
  }
  if (channels === 3) return { width, height, data: data instanceof Uint8Array ? data : Uint8Array.from(data) };
  const out = new Uint8Array(count * 3);
  if (channels === 1) {
    for (let index = 0; index < count; index++) out.fill(data[index], index * 3, index * 3 + 3);
    return { width, height, data: out };
  }
  for (let from = 0, to = 0; to < out.length; from += 4, to += 3) {
    const alpha = data[from + 3];
    if (alpha === 255) {
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    } else {
      for (let c = 0; c < 3; c++) out[to + c] = Math.round((data[from + c] * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return { width, height, data: out };
}

/**
 * A part of a picture; beyond its edges the outermost pixels are repeated.
 */
export function cut(picture, left, top, width, height) {
  const { data, width: columns, height: rows } = picture;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.min(Math.max(top + y, 0), rows - 1) * columns;
    let to = y * width * 3;
    if (left >= 0 && left + width <= columns) {
      out.set(data.subarray((row + left) * 3, (row + left + width) * 3), to);
      continue;
    }
    for (let x = 0; x < width; x++, to += 3) {
      const from = (row + Math.min(Math.max(left + x, 0), columns - 1)) * 3;
      out[to] = data[from];
      out[to + 1] = data[from + 1];
      out[to + 2] = data[from + 2];
    }
  }
  return { width, height, data: out };
}

/** A picture of another size: area averages to shrink, bilinear to enlarge either side. */
export function resize(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  return picture.width >= width && picture.height >= height
    ? shrink(picture, width, height)
    : enlarge(picture, width, height);
}

/** Area averages, as OpenCV's `INTER_AREA`. Both sides must be at most those of the picture. */
export function shrink(picture, width, height) {
  const across = picture.width / width, down = picture.height / height;
  if (Number.isInteger(across) && Number.isInteger(down)) return shrinkWhole(picture, width, height, across, down);
  const columns = weights(picture.width, width, across), rows = weights(picture.height, height, down);
  const { data } = picture;
  const stride = picture.width * 3;
  const line = new Float32Array(width * 3), sum = new Float32Array(width * 3);
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, row = 0; y < height; y++) {
    sum.fill(0);
    for (; row < rows.to.length && rows.to[row] === y; row++) {
      shrinkLine(data, rows.from[row] * stride, columns, line);
      const weight = rows.weight[row];
      for (let index = 0; index < sum.length; index++) sum[index] += weight * line[index];
    }
    const at = y * width * 3;
    for (let index = 0; index < sum.length; index++) out[at + index] = Math.min(roundEven(sum[index]), 255);
  }
  return { width, height, data: out };
}

/** The area averages along one row of the picture. */
function shrinkLine(data, start, columns, line) {
  const { from, to, weight } = columns;
  line.fill(0);
  for (let index = 0; index < from.length; index++) {
    const source = start + from[index] * 3, target = to[index] * 3, share = weight[index];
    line[target] += data[source] * share;
    line[target + 1] += data[source + 1] * share;
    line[target + 2] += data[source + 2] * share;
  }
}

/** Shrinks by whole factors: plain means, the halves of 2 x 2 upwards, all others to the even number. */
function shrinkWhole(picture, width, height, across, down) {
  const { data } = picture;
  const stride = picture.width * 3;
  const out = new Uint8Array(width * height * 3);
  const scale = Math.fround(1 / (across * down));
  const quarters = across === 2 && down === 2;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const start = y * down * stride + x * across * 3;
      for (let channel = 0; channel < 3; channel++, to++) {
        let sum = 0;
        for (let row = 0, line = start + channel; row < down; row++, line += stride) {
          for (let column = 0, at = line; column < across; column++, at += 3) sum += data[at];
        }
        out[to] = quarters ? (sum + 2) >> 2 : roundEven(Math.fround(sum * scale));
      }
    }
  }
  return { width, height, data: out };
}

/** Which source pixels go into each target pixel, with what share: OpenCV's `computeResizeAreaTab`. */
function weights(source, target, scale) {
  const from = [], to = [], weight = [];
  const add = (index, pixel, share) => {
    from.push(index);
    to.push(pixel);
    weight.push(share);
  };
  for (let pixel = 0; pixel < target; pixel++) {
    const begin = pixel * scale, end = begin + scale;
    const cell = Math.min(scale, source - begin);
    const last = Math.min(Math.floor(end), source - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > 1e-3) add(first - 1, pixel, (first - begin) / cell);
    for (let index = first; index < last; index++) add(index, pixel, 1 / cell);
    if (end - last > 1e-3) add(last, pixel, Math.min(Math.min(end - last, 1), cell) / cell);
  }
  return { from: Int32Array.from(from), to: Int32Array.from(to), weight: Float32Array.from(weight) };
}

/** Bilinear in 11-bit fixed point, as OpenCV's `INTER_LINEAR` of 8-bit pictures. */
export function enlarge(picture, width, height) {
  const { data, width: columns, height: rows } = picture;
  const across = places(columns, width, true), down = places(rows, height, false);
  const out = new Uint8Array(width * height * 3);
  const lines = [new Int32Array(width * 3), new Int32Array(width * 3)];
  const held = [-1, -1];
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < 2; k++) {
      const row = Math.min(Math.max(down.at[y] + k, 0), rows - 1);
      if (held[k] === row) continue;
      if (k === 0 && held[1] === row) {
        lines.reverse();
        held.reverse();
        continue;
      }
      enlargeLine(data, row * columns * 3, columns, across, lines[k]);
      held[k] = row;
    }
    const [above, below] = lines;
    const high = down.first[y], low = down.second[y];
    for (let index = 0, to = y * width * 3; index < above.length; index++, to++) {
      out[to] = (((high * (above[index] >> 4)) >> 16) + ((low * (below[index] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return { width, height, data: out };
}

function enlargeLine(data, start, columns, across, line) {
  const { at, first, second } = across;
  for (let x = 0, to = 0; x < at.length; x++) {
    const left = start + at[x] * 3;
    const right = at[x] + 1 < columns ? left + 3 : left;
    for (let channel = 0; channel < 3; channel++, to++) {
      line[to] = data[left + channel] * first[x] + data[right + channel] * second[x];
    }
  }
}

/** The source pixel before each target pixel, and the weights of it and the next in 1/2048. */
function places(source, target, clamp) {
  const scale = source / target;
  const at = new Int32Array(target), first = new Int32Array(target), second = new Int32Array(target);
  for (let pixel = 0; pixel < target; pixel++) {
    let place = Math.fround((pixel + 0.5) * scale - 0.5);
    let index = Math.floor(place);
    place = Math.fround(place - index);
    if (clamp && index < 0) [index, place] = [0, 0];
    if (clamp && index >= source - 1) [index, place] = [source - 1, 0];
    at[pixel] = index;
    first[pixel] = roundEven(Math.fround(1 - place) * 2048);
    second[pixel] = roundEven(place * 2048);
  }
  return { at, first, second };
}
