/** Results under the names, and with the rounding, of Python's `Frame.to_dict()` and `Frame.to_rows()`. */
import { roundEven } from "./pixels.js";

/** What `expression` is where the model is less sure than its user asked for. */
export const UNSURE = "unsure";

/** The columns of a table; each of the model's labels follows as a column of its own. */
export const COLUMNS = [
  "source", "frame", "time", "face", "track", "x", "y", "width", "height", "confidence", "quality", "expression",
  "probability", "smoothed", "smoothed_probability", "error", "note",
];

/** As Python's `round(value, digits)`: the nearest decimal, exact halves to the even one. */
export function round(value, digits) {
  const half = value * 2 ** (digits + 1); // only such values lie exactly between two decimals
  if (Number.isInteger(half) && half % 2) return roundEven(value * 10 ** digits) / 10 ** digits;
  return Number(value.toFixed(digits)) + 0;
}

/**
 * One face as a plain object.
 * @param face `{box, confidence, landmarks, quality, track, outputs, smoothed, threshold}`
 */
export function faceToDict({ box, confidence, landmarks, quality, track = null, outputs, smoothed = null, threshold = 0 }) {
  const [expression, probability] = answer(Object.values(outputs)[0], threshold);
  return {
    box: [box.x, box.y, box.width, box.height].map(roundEven),
    confidence: confidence === null ? null : round(confidence, 4),
    landmarks: landmarks.map((point) => point.map((value) => round(value, 1))),
    quality: {
      size: round(quality.size, 1),
      sharpness: round(quality.sharpness, 3),
      yaw: quality.yaw === null ? null : round(quality.yaw, 3),
      roll: quality.roll === null ? null : round(quality.roll, 1),
      score: round(quality.score, 3),
    },
    track,
    expression,
    probability: round(probability, 4),
    smoothed: smoothed && rounded(smoothed),
    smoothed_expression: smoothed && answer(smoothed, threshold)[0],
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, scores]) => [name, rounded(scores)])),
  };
}

/** Flat objects for a table: one per face, or a single one where there is none. */
export function toRows(frame) {
  const bare = Object.fromEntries(COLUMNS.map((name) => [name, null]));
  const { source, time, error, note } = frame;
  Object.assign(bare, { source, frame: frame.frame, time, error, note });
  if (!frame.faces.length) return [bare];
  return frame.faces.map((face, index) => {
    const [x, y, width, height] = face.box;
    return {
      ...bare,
      face: index + 1,
      track: face.track,
      x, y, width, height,
      confidence: face.confidence,
      quality: face.quality.score,
      expression: face.expression,
      probability: face.probability,
      smoothed: face.smoothed && face.smoothed_expression,
      smoothed_probability: face.smoothed && Math.max(...Object.values(face.smoothed)),
      ...Object.values(face.outputs)[0],
    };
  });
}

/** A CSV table of frames, with the columns of `mien predict --csv`. */
export function toCsv(frames, labels) {
  const columns = [...COLUMNS, ...labels];
  const lines = [columns.join(",")];
  for (const frame of frames) {
    for (const row of toRows(frame)) lines.push(columns.map((name) => quoted(row[name])).join(","));
  }
  return lines.join("\n") + "\n";
}

function quoted(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The most probable label, or `unsure`, and its probability. */
function answer(scores, threshold) {
  let best = null;
  for (const pair of Object.entries(scores)) if (best === null || pair[1] > best[1]) best = pair;
  return [best[1] >= threshold ? best[0] : UNSURE, best[1]];
}

function rounded(scores) {
  return Object.fromEntries(Object.entries(scores).map(([label, value]) => [label, round(value, 4)]));
}
