/** What can be missing, and what to say then. Each text says what happened and what still works or to do. */

const ELSE = "Photos and videos can be read all the same.";

export const WORDS = {
  insecure: `The camera needs a secure address: open this page by https, or on this machine as localhost. ${ELSE}`,
  noCameraApi: `This browser gives pages no camera. ${ELSE}`,
  denied: `The camera was not allowed. Allow it for this page in the browser (the sign beside the address), then press Camera again. ${ELSE}`,
  noCamera: `No camera was found. Connect one and press Camera again. ${ELSE}`,
  inUse: `The camera cannot be opened; another program may be using it. Close that, then press Camera again. ${ELSE}`,
  noSimd: "This browser is too old for this page: it lacks WebAssembly with SIMD. Chrome and Edge 91, Firefox 114 and Safari 16.4 have it.",
  noMemory: "There is not enough memory. Close other tabs, then reload this page.",
  stopped: "The part that computes was stopped and has been started again. If that repeats, close other tabs.",
  notStarted: "The part that computes cannot be started here. Reload this page; if that does not help, use a newer browser.",
  notKept: "This page could not be kept for use without a network: the storage is full or blocked. It works as long as it is open.",
  hidden: "Paused while this page is hidden; the camera is off.",
};

/** The text for an error of `getUserMedia`. */
export function cameraProblem(error) {
  const texts = {
    NotAllowedError: WORDS.denied,
    SecurityError: WORDS.denied,
    NotFoundError: WORDS.noCamera,
    OverconstrainedError: WORDS.noCamera,
    NotReadableError: WORDS.inUse,
    AbortError: WORDS.inUse,
  };
  return texts[error?.name] ?? `The camera cannot be opened: ${error?.message ?? error}. ${ELSE}`;
}

/** The text for an error of the recognizer. */
export function readerProblem(error) {
  if (error.code === "stopped") return `${WORDS.notStarted} (${error.message})`;
  if (/not enough memory/.test(error.message)) return `${WORDS.noMemory} (${error.message})`;
  return error.message.charAt(0).toUpperCase() + error.message.slice(1) + (/[.!?]$/.test(error.message) ? "" : ".");
}

/** Whether WebAssembly knows SIMD: a module with one such instruction. */
export function hasSimd() {
  const module = Uint8Array.of(
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  );
  return typeof WebAssembly === "object" && WebAssembly.validate(module);
}
