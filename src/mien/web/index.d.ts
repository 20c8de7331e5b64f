/** mien in JavaScript. Names and units of the results are those of docs/output.md. */

/** Raw pixels: RGB, RGBA (as ImageData) or grey bytes, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

/** What `predict` takes; outside a browser only `Pixels`. */
export type Picture = Pixels | Blob | ImageBitmapSource;

/** Expression to probability, 0-1. */
export type Scores = Record<string, number>;

export interface Quality {
  /** Pixels a side of the face. */
  size: number;
  /** 0-1. */
  sharpness: number;
  /** -1 to 1: 0 looks ahead, above 0 to the picture's right; null without landmarks. */
  yaw: number | null;
  /** Degrees by which the line through the eyes falls to the right; null without landmarks. */
  roll: number | null;
  /** All of it in one number, 0-1. */
  score: number;
}

export interface Face {
  /** x, y, width, height in whole pixels, origin top left. */
  box: [number, number, number, number];
  /** The detector's, 0-1; null for detector "none". */
  confidence: number | null;
  /** Eyes, tip of the nose, corners of the mouth, in pixels. */
  landmarks: [number, number][];
  quality: Quality;
  /** Track id, counted from 1; null in single pictures. */
  track: number | null;
  /** The most probable label of the first output, or "unsure". */
  expression: string;
  probability: number;
  /** The first output averaged over the last moments; null in single pictures. */
  smoothed: Scores | null;
  smoothed_expression: string | null;
  /** Every output of the model by name. */
  outputs: Record<string, Scores>;
}

export interface Frame {
  source: string | null;
  /** Number in the stream, from 0; null for single pictures. */
  frame: number | null;
  /** Seconds, as given to `predict`; null for single pictures. */
  time: number | null;
  width: number;
  height: number;
  detector: "yunet" | "none";
  /** Name and version. */
  model: string;
  /** Share of each expression that the probabilities are calibrated for; null where the model does not say. */
  prior: Scores | null;
  /** From left to right; none is an empty list. */
  faces: Face[];
  error: string | null;
  /** What is to be known of a picture that was read; null: nothing. */
  note: string | null;
}

export interface Detection {
  box: { x: number; y: number; width: number; height: number };
  confidence: number | null;
  landmarks: [number, number][];
}

export interface RecognizerOptions {
  /** Address or bytes of a model file of mien. */
  model: string | URL | ArrayBuffer | Uint8Array;
  /** Address or bytes of YuNet's file, or "none": the whole picture is one face. */
  detector: string | URL | ArrayBuffer | Uint8Array | "none";
  /** A loaded onnxruntime-web module; left out: `onnxruntime-web/wasm` with one thread. */
  runtime?: unknown;
  /** Answer "unsure" where the model is less sure than it must be for this share of wrong answers. */
  errorRate?: number | null;
  /** Faces smaller than this many pixels a side are left out. */
  minSize?: number;
}

export interface StreamOptions {
  source?: string | null;
  /** Whole frames are searched every so many frames; in between the surroundings of known faces. */
  interval?: number;
  /** Seconds over which probabilities are averaged per track; 0: not at all. */
  smooth?: number;
  /** Longest side in pixels that whole frames are searched at. */
  longest?: number;
}

export interface Stream {
  /** The next frame; `time` in seconds, never going back. One call at a time. */
  predict(image: Picture, time: number): Promise<Frame>;
}

export interface Recognizer {
  /** The model's card: outputs, labels, framing, figures, terms. */
  readonly card: Record<string, any>;
  /** Labels of the first output, in order. */
  readonly labels: string[];
  predict(image: Picture, options?: { source?: string | null; longest?: number }): Promise<Frame>;
  detect(image: Picture, options?: { longest?: number }): Promise<Detection[]>;
  stream(options?: StreamOptions): Stream;
  /** Probabilities of RGB crops of the card's size, N x height x width x 3. */
  score(crops: Uint8Array): Promise<Record<string, Float32Array>>;
  /** Largest difference of the golden crop's probabilities from the card's. */
  check(): Promise<number>;
  close(): Promise<void>;
}

/** Load a model and a face detector; refuses a runtime that reads the golden crop differently. Throws `MienError`. */
export function createRecognizer(options: RecognizerOptions): Promise<Recognizer>;

export class MienError extends Error {
  readonly code: "model" | "detector" | "picture" | "runtime";
}

/** Columns of a table, before the labels. */
export const COLUMNS: string[];
/** What `expression` is below the threshold of `errorRate`. */
export const UNSURE: "unsure";
/** Flat objects, one per face, or one where there is none. */
export function toRows(frame: Frame): Record<string, string | number | null>[];
/** A CSV table with the columns of `mien predict --csv`. */
export function toCsv(frames: Iterable<Frame>, labels: string[]): string;
