/**
 * YuNet (Wu, Peng and Yu 2023) around its network: the size a picture is searched at, the input tensor, and what the
 * network's numbers mean, as OpenCV's `FaceDetectorYN` reads them.
 */
import { resize, roundEven } from "./pixels.js";

/** Pixels of the longest side that a larger picture is searched at; a smaller one than `SHORTEST` is enlarged. */
export const LONGEST = 800;
const SHORTEST = 192;
const STRIDES = [8, 16, 32];
// Overlap above which two boxes are one face.
const SAME = 0.3;
/** Least confidence of a face. */
export const SURE = 0.7;

/** The picture at the size it is searched at, and how much wider and higher that is than the picture. */
export function fitted(picture, longest = LONGEST) {
  const most = Math.max(picture.width, picture.height);
  const scale = Math.min(Math.max(most, SHORTEST), longest) / most;
  if (scale === 1) return { scaled: picture, scaleX: 1, scaleY: 1 };
  const width = Math.max(roundEven(picture.width * scale), 1), height = Math.max(roundEven(picture.height * scale), 1);
  const scaled = resize(picture, width, height);
  return { scaled, scaleX: width / picture.width, scaleY: height / picture.height };
}

/** The input: BGR float32 (1, 3, H, W), black added at the right and bottom up to a multiple of 32. */
export function toTensor(picture) {
  const { width, height, data } = picture;
  const columns = Math.ceil(width / 32) * 32, rows = Math.ceil(height / 32) * 32;
  const values = new Float32Array(3 * rows * columns);
  const plane = rows * columns;
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0, to = y * columns; x < width; x++, to++, from += 3) {
      values[to] = data[from + 2];
      values[to + plane] = data[from + 1];
      values[to + 2 * plane] = data[from];
    }
  }
  return { values, shape: [1, 3, rows, columns] };
}

/**
 * The faces in the network's outputs, the surest first, doubles suppressed.
 * @param {Record<string, Float32Array>} outputs `cls_8` ... `kps_32`
 * @param {number} columns width of the input
 * @returns {{box: object, confidence: number, landmarks: number[][]}[]} in pixels of the input
 */
export function decode(outputs, columns, sure = SURE) {
  const found = [];
  for (const stride of STRIDES) {
    const cls = outputs[`cls_${stride}`], obj = outputs[`obj_${stride}`];
    const boxes = outputs[`bbox_${stride}`], points = outputs[`kps_${stride}`];
    const wide = columns / stride;
    for (let index = 0; index < cls.length; index++) {
      const confidence = Math.fround(Math.sqrt(Math.fround(unit(cls[index]) * unit(obj[index]))));
      if (!(confidence >= sure)) continue;
      const column = index % wide, row = Math.floor(index / wide);
      const width = Math.exp(boxes[index * 4 + 2]) * stride, height = Math.exp(boxes[index * 4 + 3]) * stride;
      const x = (column + boxes[index * 4]) * stride - width / 2, y = (row + boxes[index * 4 + 1]) * stride - height / 2;
      const landmarks = [];
      for (let point = index * 10; point < index * 10 + 10; point += 2) {
        landmarks.push([(points[point] + column) * stride, (points[point + 1] + row) * stride]);
      }
      found.push({ box: { x, y, width, height }, confidence, landmarks });
    }
  }
  return suppressed(found);
}

/** From left to right, in the pixels of the picture; detections without area or whose centre lies outside are left out. */
export function placed(found, { scaleX, scaleY }, picture) {
  return found
    .map(({ box, confidence, landmarks }) => ({
      box: { x: box.x / scaleX, y: box.y / scaleY, width: box.width / scaleX, height: box.height / scaleY },
      confidence,
      landmarks: landmarks.map(([x, y]) => [x / scaleX, y / scaleY]),
    }))
    .filter(({ box }) => {
      const x = box.x + box.width / 2, y = box.y + box.height / 2;
      return box.width >= 1 && box.height >= 1 && x >= 0 && x < picture.width && y >= 0 && y < picture.height;
    })
    .sort((a, b) => a.box.x - b.box.x || a.box.y - b.box.y);
}

/** The surest first, less those that overlap a surer one; boxes are cut to whole pixels, as OpenCV does. */
function suppressed(found) {
  const kept = [];
  for (const one of found.sort((a, b) => b.confidence - a.confidence)) {
    if (kept.every((other) => overlap(whole(one.box), whole(other.box)) <= SAME)) kept.push(one);
  }
  return kept;
}

const unit = (value) => Math.min(Math.max(value, 0), 1);

const whole = ({ x, y, width, height }) => ({
  x: Math.trunc(x), y: Math.trunc(y), width: Math.trunc(width), height: Math.trunc(height),
});

/** Intersection over union of two boxes, 0-1. */
export function overlap(one, other) {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (one.width * one.height + other.width * other.height - shared);
}
