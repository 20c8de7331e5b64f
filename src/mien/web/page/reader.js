/** The page's side of the worker: calls as promises, and a new worker where the browser stopped the old one. */

// Milliseconds without an answer after which the worker counts as stopped.
const PATIENCE = 60_000;

export class Reader {
  #worker = null;
  #isOpen = false;
  #waiting = new Map();
  #count = 0;
  #files;
  #onStopped;

  /**
   * @param {{model: string, detector: string}} files addresses relative to the page
   * @param {() => void} onStopped called when a worker that had been running broke down
   */
  constructor(files, onStopped) {
    [this.#files, this.#onStopped] = [files, onStopped];
  }

  /** Start the worker and load everything; the model's name, version and labels. */
  async open() {
    // A worker of a blob address has the page's own content security policy, one of a file only what its server sends.
    const code = `import ${JSON.stringify(new URL("worker.js", document.baseURI).href)};`;
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const worker = new Worker(address, { type: "module", name: "mien" });
    this.#worker = worker;
    this.#isOpen = false;
    const { promise: started, resolve: onStarted, reject: onDead } = withResolvers();
    this.#waiting.set("start", { resolve: onStarted, reject: onDead, timer: this.#timer(worker) });
    worker.onmessage = ({ data: { id, value, error } }) => {
      const call = this.#waiting.get(id);
      this.#waiting.delete(id);
      clearTimeout(call?.timer);
      if (error) call?.reject(Object.assign(new Error(error.message), { code: error.code }));
      else call?.resolve(value);
    };
    worker.onerror = worker.onmessageerror = (event) => this.#broken(worker, event.message);
    try {
      await started; // what is sent before the worker's module runs would be lost
      const model = await this.call("open", this.#files);
      this.#isOpen = true;
      return model;
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /** Ask the worker; what is in `transfer` is handed over. */
  call(way, given, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = ++this.#count;
      const worker = this.#worker;
      this.#waiting.set(id, { resolve, reject, timer: this.#timer(worker) });
      worker.postMessage({ id, way, given }, transfer);
    });
  }

  #timer(worker) {
    return setTimeout(() => this.#broken(worker, "no answer"), PATIENCE);
  }

  #broken(worker, why) {
    if (worker !== this.#worker) return;
    worker.terminate();
    this.#worker = null;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(Object.assign(new Error(`the computing part stopped: ${why ?? "unknown"}`), { code: "stopped" }));
    }
    this.#waiting.clear();
    if (this.#isOpen) this.#onStopped(); // one that never ran would not run the second time either
  }
}

function withResolvers() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}
