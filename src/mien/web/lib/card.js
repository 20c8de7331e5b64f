/**
 * The card of a model file: JSON in the last `metadata_props` entry of the ONNX file, key `mien`.
 * The JavaScript side of `mien/models/card.py`.
 */
import { MienError } from "./errors.js";

/** Card formats that this version reads. */
const FORMATS = [1, 2, 3];
// (field number << 3) | length-delimited: ModelProto.metadata_props, StringStringEntryProto.key and .value
const METADATA_PROPS = 0x72, KEY = 0x0a, VALUE = 0x12;
const MARK = Uint8Array.of(KEY, 4, 0x6d, 0x69, 0x65, 0x6e, VALUE); // key "mien", then the value's tag

/**
 * The card of a model file.
 * @param {Uint8Array} file bytes of the `.onnx` file
 * @returns {{card: object, graphBytes: number}} the card, and how many bytes of the file before it are the graph
 */
export function detach(file) {
  const start = lastIndexOf(file, MARK);
  if (start < 0) throw new MienError("model", "the model file carries no card of mien: write it with mien export");
  const [size, begin] = readVarint(file, start + MARK.length);
  const end = begin + size;
  const contentSize = end - start;
  const graphBytes = start - 1 - varintLength(contentSize);
  const [stated, content] = readVarint(file, graphBytes + 1);
  if (end !== file.length || file[graphBytes] !== METADATA_PROPS || stated !== contentSize || content !== start) {
    throw new MienError("model", "the model file is damaged: its card is not the last thing in it; fetch it again");
  }
  return { card: parse(new TextDecoder().decode(file.subarray(begin, end))), graphBytes };
}

/** A card from its JSON, checked for what this package uses. */
export function parse(text) {
  let card;
  try {
    card = JSON.parse(text);
  } catch (error) {
    throw new MienError("model", `the model's card is not JSON (${error.message}); export it again`);
  }
  if (!FORMATS.includes(card.format)) {
    const known = FORMATS.join(" and ");
    throw new MienError("model", `the card has format ${card.format}, this mien reads ${known}: update mien`);
  }
  const complete = card.outputs && Object.keys(card.outputs).length && card.framing && card.golden
    && card.width > 0 && card.height > 0
    && Object.values(card.outputs).every((output) => Array.isArray(output.labels) && output.labels.length);
  if (!complete) throw new MienError("model", "the model's card is incomplete; export it again");
  if (goldenCrop(card).length !== card.width * card.height * 3) {
    throw new MienError("model", "the golden crop of the card is not of the card's size; export it again");
  }
  return card;
}

/** The golden crop: RGB bytes of height x width x 3. */
export function goldenCrop(card) {
  return Uint8Array.from(atob(card.golden.rgb), (letter) => letter.charCodeAt(0));
}

/**
 * Refuses a file whose graph is not the one its card names, or whose card is not the one that was written (formats 1
 * and 2 have no sha256 of the card). Needs a secure context; elsewhere nothing is checked.
 */
export async function verifyGraph(file, card, graphBytes) {
  if (!globalThis.crypto?.subtle) return;
  const digest = await sha256(file.subarray(0, graphBytes));
  if (hex(digest) !== card.graph_sha256) {
    throw new MienError("model", "the model file is damaged: its graph is not the one its card names; fetch it again");
  }
  if (card.format < 3) return;
  // The card is hashed with zeros in the place of its own sha256, behind the hash of the graph.
  const [, begin] = readVarint(file, lastIndexOf(file, MARK) + MARK.length);
  const sealed = new Uint8Array(digest.length + file.length - begin);
  sealed.set(digest);
  sealed.set(file.subarray(begin), digest.length);
  const place = lastIndexOf(sealed, new TextEncoder().encode(`"sha256": "${card.sha256}"`));
  if (place >= 0) sealed.fill(0x30, place + 11, place + 11 + 64);
  if (place < 0 || hex(await sha256(sealed)) !== card.sha256) {
    throw new MienError("model", "the model file is damaged: its card is not the one that was written; fetch it again");
  }
}

async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The least probability of the first output that counts as an answer, at a share of wrong ones among those;
 * of the rates the card knows, the largest that is not above `errorRate`.
 */
export function threshold(card, errorRate) {
  const known = Object.entries(Object.values(card.outputs)[0].abstain ?? {}).map(([rate, least]) => [+rate, least]);
  const fitting = known.filter(([rate]) => rate <= errorRate).sort((a, b) => b[0] - a[0]);
  if (!fitting.length) {
    const told = known.map(([rate]) => rate).sort().join(", ") || "none";
    throw new MienError("model", `the model knows no threshold for an error rate of ${errorRate}; it knows ${told}`);
  }
  return fitting[0][1];
}

function lastIndexOf(bytes, mark) {
  for (let start = bytes.length - mark.length; start >= 0; start--) {
    let same = 0;
    while (same < mark.length && bytes[start + same] === mark[same]) same++;
    if (same === mark.length) return start;
  }
  return -1;
}

/** The number that starts at a position, and the position behind it. */
function readVarint(bytes, position) {
  let number = 0;
  for (let index = 0; index < 5 && position + index < bytes.length; index++) {
    const byte = bytes[position + index];
    number += (byte & 0x7f) * 2 ** (7 * index);
    if (byte <= 0x7f) return [number, position + index + 1];
  }
  return [0, bytes.length];
}

function varintLength(number) {
  let length = 1;
  while (number > 0x7f) {
    number = Math.floor(number / 128);
    length++;
  }
  return length;
}
