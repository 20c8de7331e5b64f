// What the package promises without a runtime, under Node: node --test tests/web/
import assert from "node:assert/strict";
import { test } from "node:test";

import { createRecognizer, MienError, toCsv, toRows } from "../../src/mien/web/index.js";
import { parse, threshold } from "../../src/mien/web/lib/card.js";
import { cut, resize, toRgb } from "../../src/mien/web/lib/pixels.js";
import { read } from "../../src/mien/web/lib/images.js";
import { fitted, overlap, placed, toTensor } from "../../src/mien/web/lib/yunet.js";
import { Tracker } from "../../src/mien/web/lib/tracker.js";

const filled = (width, height, color) => ({
  width, height, data: Uint8Array.from({ length: width * height * 3 }, (_, index) => color[index % 3]),
});

test("RGBA becomes RGB, and what is transparent shows white", () => {
  const rgba = { width: 3, height: 1, data: Uint8ClampedArray.of(1, 2, 3, 255, 9, 9, 9, 0, 100, 0, 200, 128) };
  assert.deepEqual([...toRgb(rgba).data], [1, 2, 3, 255, 255, 255, 177, 127, 227]);
  assert.deepEqual([...toRgb({ width: 2, height: 1, data: [5, 6] }).data], [5, 5, 5, 6, 6, 6]);
});

test("a picture of the wrong number of bytes is refused", async () => {
  await assert.rejects(read({ width: 2, height: 2, data: new Uint8Array(7) }), { name: "MienError", code: "picture" });
  assert.throws(() => toRgb({ width: 0, height: 0, data: new Uint8Array(0) }), MienError);
});

test("outside a browser an encoded picture is refused by a message that says what works", async () => {
  await assert.rejects(read("photo.jpg"), /raw RGB or RGBA bytes/);
});

test("beyond the picture its outermost pixels are repeated", () => {
  const picture = { width: 2, height: 1, data: Uint8Array.of(10, 11, 12, 20, 21, 22) };
  assert.deepEqual([...cut(picture, -1, -1, 4, 1).data], [10, 11, 12, 10, 11, 12, 20, 21, 22, 20, 21, 22]);
});

test("a picture of the right size is not copied", () => {
  const picture = filled(4, 3, [1, 2, 3]);
  assert.equal(resize(picture, 4, 3), picture);
});

test("pictures are searched at between 192 pixels and the longest side that is asked for", () => {
  const size = (width, height, longest) => {
    const { scaled } = fitted(filled(width, height, [0, 0, 0]), longest);
    return [scaled.width, scaled.height];
  };
  assert.deepEqual(size(1600, 900, 800), [800, 450]);
  assert.deepEqual(size(640, 480, 320), [320, 240]);
  assert.deepEqual(size(48, 24, 800), [192, 96]);
  assert.deepEqual(size(300, 200, 800), [300, 200]);
});

test("the input is BGR with black up to multiples of 32", () => {
  const { values, shape } = toTensor(filled(33, 5, [1, 2, 3]));
  assert.deepEqual(shape, [1, 3, 32, 64]);
  const plane = 32 * 64;
  assert.deepEqual([values[32], values[plane + 32], values[2 * plane + 32]], [3, 2, 1]);
  assert.equal(values[33], 0);
  assert.equal(values[5 * 64], 0);
});

test("faces come from left to right; those whose centre is outside are left out", () => {
  const face = (x) => ({ box: { x, y: 1, width: 10, height: 10 }, confidence: 0.9, landmarks: [[x, 1]] });
  const found = placed([face(40), face(2), face(96)], { scaleX: 2, scaleY: 2 }, { width: 50, height: 50 });
  assert.deepEqual(found.map(({ box }) => [box.x, box.width]), [[1, 5], [20, 5]]);
  assert.deepEqual(found[0].landmarks, [[1, 0.5]]);
});

test("overlap is intersection over union", () => {
  assert.equal(overlap({ x: 0, y: 0, width: 2, height: 2 }, { x: 1, y: 0, width: 2, height: 2 }), 1 / 3);
  assert.equal(overlap({ x: 0, y: 0, width: 1, height: 1 }, { x: 1, y: 0, width: 1, height: 1 }), 0);
});

test("without anything else to go by a face keeps its track id where it stands", () => {
  const tracker = new Tracker();
  const face = (x) => [{ box: { x, y: 10, width: 20, height: 20 } }];
  const picture = filled(200, 60, [50, 60, 70]);
  assert.deepEqual([0, 1, 2].map((n) => tracker.update(picture, face(10 + n), n / 20)), [[1], [1], [1]]);
  assert.deepEqual(tracker.update(picture, face(170), 0.2), [2]);
});

test("labels, sizes and thresholds come from the card", () => {
  const card = {
    format: 2, width: 1, height: 1, framing: {}, golden: { rgb: btoa("abc"), probabilities: {} },
    outputs: { answer: { labels: ["x", "y"], abstain: { 0.2: 0.3, 0.1: 0.6 } } },
  };
  const read = parse(JSON.stringify(card));
  assert.deepEqual(read.outputs.answer.labels, ["x", "y"]);
  assert.equal(threshold(read, 0.15), 0.6);
  assert.equal(threshold(read, 0.2), 0.3);
  assert.throws(() => threshold(read, 0.05), /knows 0.1, 0.2/);
  assert.throws(() => parse(JSON.stringify({ ...card, format: 9 })), /update mien/);
  assert.throws(() => parse(JSON.stringify({ ...card, outputs: {} })), /incomplete/);
  assert.throws(() => parse(JSON.stringify({ ...card, width: 2 })), /golden crop/);
  assert.throws(() => parse("{"), /not JSON/);
});

test("a file that is no model of mien, or missing, is an error that says so", async () => {
  await assert.rejects(createRecognizer({ model: new Uint8Array(100), detector: "none", runtime: {} }), /no card of mien/);
  await assert.rejects(createRecognizer({ detector: "none", runtime: {} }), /no model was given/);
  await assert.rejects(createRecognizer({ model: "http://127.0.0.1:1/x.onnx", detector: "none", runtime: {} }), /cannot fetch the model/);
});

test("a frame without faces is one row, and one with an error says why", () => {
  const frame = { source: "a,b", frame: 0, time: 0.5, width: 1, height: 1, faces: [], error: 'bad "file"', note: "cut" };
  assert.deepEqual(toRows(frame).length, 1);
  assert.equal(toCsv([frame], ["x"]).split("\n")[1], '"a,b",0,0.5,,,,,,,,,,,,,"bad ""file""",cut,');
});
