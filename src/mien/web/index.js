/**
 * mien in JavaScript: faces found, cut out and read by the model file that Python uses, in ONNX Runtime Web.
 *
 *     import { createRecognizer } from "mien";
 *     const recognizer = await createRecognizer({ model: "fast.onnx", detector: "face_detection_yunet_2026may.onnx" });
 *     const frame = await recognizer.predict(file);
 *     for (const face of frame.faces) console.log(face.expression, face.probability, face.box);
 *
 * Results have the names of Python's `Frame.to_dict()`. Nothing is sent anywhere.
 */
import { detach, goldenCrop, threshold, verifyGraph } from "./lib/card.js";
import { MienError } from "./lib/errors.js";
import { Follower } from "./lib/follower.js";
import { crop } from "./lib/framing.js";
import { read } from "./lib/images.js";
import { measure } from "./lib/quality.js";
import { faceToDict, round } from "./lib/results.js";
import { Smoother } from "./lib/smoothing.js";
import { LONGEST, decode, fitted, placed, toTensor } from "./lib/yunet.js";

export { MienError } from "./lib/errors.js";
export { COLUMNS, UNSURE, toCsv, toRows } from "./lib/results.js";

/** Largest difference from the card's golden probabilities that is let pass. */
const GOLDEN_TOLERANCE = 1e-3;
/** Faces scored together. */
const BATCH = 64;

/**
 * Load a model and a face detector.
 * @param {object} options see index.d.ts
 * @returns {Promise<Recognizer>}
 */
export async function createRecognizer({ model, detector, runtime, errorRate = null, minSize = 0 }) {
  const ort = runtime ?? (await loadRuntime());
  const file = await bytes(model, "model");
  const { card, graphBytes } = detach(file);
  await verifyGraph(file, card, graphBytes);
  const name = detector === "none" ? "none" : "yunet";
  const framing = card.framing[name];
  if (!framing) throw new MienError("model", `the model ${card.name} does not say how to frame a face of ${name}`);
  const least = errorRate === null ? 0 : threshold(card, errorRate);
  const session = await open(ort, file, "model");
  const names = Object.keys(card.outputs);
  if (session.outputNames.join() !== names.join()) {
    throw new MienError("model", `the model has outputs ${session.outputNames}, its card names ${names}: export it again`);
  }
  const finder = name === "none" ? null : await open(ort, await bytes(detector, "detector"), "detector");
  const recognizer = new Recognizer(ort, session, finder, card, { framing, name, threshold: least, minSize });
  const difference = await recognizer.check();
  if (!(difference <= GOLDEN_TOLERANCE)) {
    await recognizer.close();
    throw new MienError("runtime", `the golden crop is read differently here, by ${difference.toPrecision(2)}: this browser's runtime computes wrongly`);
  }
  return recognizer;
}

/** Reads the expressions in pictures; made by `createRecognizer`. */
class Recognizer {
  #ort;
  #session;
  #finder;
  #options;
  #queue = Promise.resolve();

  constructor(ort, session, finder, card, options) {
    [this.#ort, this.#session, this.#finder, this.#options] = [ort, session, finder, options];
    this.card = card;
    /** The labels of the first output, in order. */
    this.labels = Object.values(card.outputs)[0].labels;
  }

  /** Read the expressions of all faces in one picture. */
  async predict(image, { source = null, longest = LONGEST } = {}) {
    const picture = await read(image);
    const found = (await this.#detect(picture, longest)).map((detection) => ({ detection, track: null }));
    return this.#frame(picture, found, { source });
  }

  /** The faces alone: `{box, confidence, landmarks}` in unrounded pixels. */
  async detect(image, { longest = LONGEST } = {}) {
    return this.#detect(await read(image), longest);
  }

  /** Follow faces through a video: an object with `predict(image, time)`. */
  stream({ source = null, interval = 5, smooth = 0.4, longest = LONGEST } = {}) {
    const follower = new Follower((picture, most) => this.#detect(picture, most), { interval, longest });
    const smoother = smooth > 0 ? new Smoother(smooth) : null;
    let index = 0;
    return {
      predict: async (image, time) => {
        const picture = await read(image);
        const found = (await follower.update(picture, time)).filter(({ detection }) => this.#large(detection));
        return this.#frame(picture, found, { source, index: index++, time, smoother });
      },
    };
  }

  /**
   * Probabilities of crops of the card's size.
   * @param {Uint8Array} crops RGB, N x height x width x 3
   * @returns {Promise<Record<string, Float32Array>>} output name to N x K probabilities
   */
  async score(crops) {
    const { width, height, outputs } = this.card;
    const each = width * height * 3;
    const count = crops.length / each;
    if (!Number.isInteger(count)) throw new MienError("picture", `crops are not N x ${height} x ${width} x 3 bytes`);
    const scores = Object.fromEntries(
      Object.entries(outputs).map(([name, output]) => [name, new Float32Array(count * output.labels.length)]),
    );
    for (let start = 0; start < count; start += BATCH) {
      const end = Math.min(start + BATCH, count);
      const part = new this.#ort.Tensor("uint8", crops.slice(start * each, end * each), [end - start, height, width, 3]);
      const found = await this.#run(this.#session, part);
      for (const [name, values] of Object.entries(found)) scores[name].set(values, start * outputs[name].labels.length);
    }
    return scores;
  }

  /** How far the golden crop's probabilities are from those in the card: the largest difference of all outputs. */
  async check() {
    const scores = await this.score(goldenCrop(this.card));
    return Math.max(
      ...Object.entries(this.card.golden.probabilities).flatMap(([name, expected]) =>
        expected.map((value, index) => Math.abs(value - scores[name][index])),
      ),
    );
  }

  /** Give the memory back. */
  async close() {
    await this.#session.release();
    await this.#finder?.release();
  }

  #large({ box }) {
    return box.width * box.height >= this.#options.minSize ** 2;
  }

  async #detect(picture, longest) {
    if (!this.#finder) {
      const box = { x: 0, y: 0, width: picture.width, height: picture.height };
      return [{ box, confidence: null, landmarks: [] }];
    }
    const fit = fitted(picture, longest);
    const { values, shape } = toTensor(fit.scaled);
    const outputs = await this.#run(this.#finder, new this.#ort.Tensor("float32", values, shape));
    return placed(decode(outputs, shape[3]), fit, picture);
  }

  async #frame(picture, found, { source, index = null, time = null, smoother = null }) {
    const { card } = this;
    const kept = found.filter(({ detection }) => this.#large(detection));
    const crops = kept.map(({ detection }) => crop(picture, detection.box, this.#options.framing, card.width, card.height));
    const each = card.width * card.height * 3;
    const stacked = new Uint8Array(crops.length * each);
    crops.forEach((one, number) => stacked.set(one.data, number * each));
    const scores = crops.length ? await this.score(stacked) : {};
    const faces = kept.map(({ detection, track }, number) => {
      const outputs = {};
      for (const [name, { labels }] of Object.entries(card.outputs)) {
        outputs[name] = Object.fromEntries(labels.map((label, at) => [label, scores[name][number * labels.length + at]]));
      }
      const smoothed = smoother ? smoother.update(track, time, Object.values(outputs)[0]) : null;
      const quality = measure(detection, crops[number]);
      return faceToDict({ ...detection, quality, track, outputs, smoothed, threshold: this.#options.threshold });
    });
    return {
      source,
      frame: index,
      time: time === null ? null : round(time, 4),
      width: picture.width,
      height: picture.height,
      detector: this.#options.name,
      model: `${card.name} ${card.version}`,
      prior: prior(card),
      faces,
      error: null,
      note: null,
    };
  }

  /** Run one session; runs wait for each other, as the runtime wants. */
  #run(session, tensor) {
    const result = this.#queue.then(async () => {
      let outputs;
      try {
        outputs = await session.run({ [session.inputNames[0]]: tensor });
      } catch (error) {
        throw runtimeError(error);
      }
      return Object.fromEntries(Object.entries(outputs).map(([name, output]) => [name, output.data]));
    });
    this.#queue = result.catch(() => {});
    return result;
  }
}

/** The prior that the first output's probabilities hold for, where the card says so. */
function prior(card) {
  const { labels, prior: shares } = Object.values(card.outputs)[0];
  if (!shares?.length) return null;
  return Object.fromEntries(labels.map((label, index) => [label, round(shares[index], 4)]));
}

async function loadRuntime() {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1; // threads need an isolated page, and bring nothing for so small networks
  return ort;
}

async function open(ort, file, what) {
  try {
    return await ort.InferenceSession.create(file, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  } catch (error) {
    throw runtimeError(error, what);
  }
}

function runtimeError(error, what = "model") {
  const text = String(error?.message ?? error).split("\n")[0];
  if (/out of memory|memory access|allocat|RangeError/i.test(`${error?.name} ${text}`)) {
    return new MienError("runtime", `not enough memory to run the ${what}: ${text}`);
  }
  return new MienError("runtime", `ONNX Runtime cannot run the ${what}: ${text}`);
}

/** Bytes of a file: given as such, or fetched. */
async function bytes(source, what) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (!source) throw new MienError(what, `no ${what} was given: pass its address or its bytes`);
  let response;
  try {
    response = await fetch(source);
  } catch (error) {
    throw new MienError(what, `cannot fetch the ${what} from ${source}: ${error.message}`);
  }
  if (!response.ok) throw new MienError(what, `cannot fetch the ${what} from ${source}: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
