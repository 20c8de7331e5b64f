// Runs the package's pure functions on cases that a Python test made: JSON lines on stdin, one answer a line on stdout.
import { createInterface } from "node:readline";

import { assign } from "../../src/mien/web/lib/assign.js";
import { detach } from "../../src/mien/web/lib/card.js";
import { Follower } from "../../src/mien/web/lib/follower.js";
import { crop } from "../../src/mien/web/lib/framing.js";
import { resize } from "../../src/mien/web/lib/pixels.js";
import { measure } from "../../src/mien/web/lib/quality.js";
import { faceToDict, round, toCsv } from "../../src/mien/web/lib/results.js";
import { Smoother } from "../../src/mien/web/lib/smoothing.js";
import { Tracker } from "../../src/mien/web/lib/tracker.js";
import { decode } from "../../src/mien/web/lib/yunet.js";

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text) => new Float32Array(bytes(text).buffer);
const picture = ({ width, height, data }) => ({ width, height, data: bytes(data) });
const base64 = ({ data }) => Buffer.from(data).toString("base64");

const ways = {
  resize: ({ image, width, height }) => base64(resize(picture(image), width, height)),
  crop: ({ image, box, framing, width, height }) => base64(crop(picture(image), box, framing, width, height)),
  card: ({ file }) => detach(bytes(file)),
  round: ({ values, digits }) => values.map((value) => round(value, digits)),
  quality: ({ detection, image }) => measure(detection, picture(image)),
  face: ({ face }) => faceToDict(face),
  csv: ({ frames, labels }) => toCsv(frames, labels),
  assign: ({ costs }) => assign(costs.map((row) => row.map((cost) => cost ?? Infinity))),
  smooth: ({ seconds, answers }) => {
    const smoother = new Smoother(seconds);
    return answers.map(({ track, at, scores }) => smoother.update(track, at, scores));
  },
  track: ({ memory, frames }) => {
    const tracker = new Tracker({ memory });
    return frames.map(({ image, found, at }) => tracker.update(picture(image), found, at));
  },
  follow: async ({ interval, frames }) => {
    const follower = new Follower(bright, { interval });
    const out = [];
    for (const { image, at } of frames) {
      const found = await follower.update(picture(image), at);
      out.push(found.map(({ detection, track }) => [track, detection.box.x, detection.box.y]));
    }
    return out;
  },
  decode: ({ outputs, columns, sure }) =>
    decode(Object.fromEntries(Object.entries(outputs).map(([name, text]) => [name, floats(text)])), columns, sure),
};

/** A detector of bright squares, one in each 300 columns. */
async function bright({ width, height, data }) {
  const found = new Map();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[(y * width + x) * 3] <= 200) continue;
      const key = Math.floor(x / 300);
      const [left, top, right, bottom] = found.get(key) ?? [x, y, x, y];
      found.set(key, [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)]);
    }
  }
  return [...found.values()].map(([left, top, right, bottom]) => ({
    box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 },
    confidence: 0.9,
    landmarks: [],
  }));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { way, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await ways[way](given) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
