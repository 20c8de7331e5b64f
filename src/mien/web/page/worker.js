/** The one worker: loads runtime, model and detector, and answers one message after the other. */
import * as ort from "./vendor/ort.wasm.bundle.min.mjs";
import { createRecognizer } from "./mien/index.js";

const address = (path) => new URL(path, import.meta.url).href;

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: address("vendor/ort-wasm-simd-threaded.wasm") };
ort.env.logLevel = "error";

let recognizer = null;
let stream = null;

const ways = {
  async open({ model, detector }) {
    recognizer = await createRecognizer({ model: address(model), detector: address(detector), runtime: ort });
    const { name, version } = recognizer.card;
    return { name, version, labels: recognizer.labels };
  },
  async photo({ image, source }) {
    return recognizer.predict(image, { source });
  },
  async stream(options) {
    stream = recognizer.stream(options);
  },
  async frame({ image, time }) {
    return stream.predict(image, time);
  },
};

self.onmessage = async ({ data: { id, way, given } }) => {
  try {
    self.postMessage({ id, value: await ways[way](given) });
  } catch (error) {
    self.postMessage({ id, error: { code: error.code ?? "runtime", message: String(error.message ?? error) } });
  } finally {
    given?.image?.close?.();
  }
};

self.postMessage({ id: "start" });
