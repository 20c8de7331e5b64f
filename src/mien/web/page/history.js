/** What was read since the camera or video was opened: kept for export, drawn as a timeline, summed up in words. */
import { toCsv } from "./mien/lib/results.js";
import { colorOf, percent, shown } from "./view.js";

// Frames kept at most: about an hour and a half of a camera. What comes later is shown, but not kept.
const MOST = 100_000;
// Seconds: a face that was missed for less counts as seen all the time; where frames come slowly, so does one that the
// frame before showed, unless that was longer ago than the second number.
const GAP = 0.5, SLOW = 2;

export class History {
  #frames = []; // as JSON: a fifth of the memory of objects
  #spans = []; // {track, label, from, to}
  #open = new Map(); // track id to its last span
  #labels;
  end = 0;

  constructor(labels) {
    this.#labels = labels;
  }

  get size() {
    return this.#frames.length;
  }

  get isFull() {
    return this.#frames.length >= MOST;
  }

  /** A new camera or video: its timeline begins, what was read before stays. */
  begin() {
    this.#spans = [];
    this.#open.clear();
    this.end = 0;
  }

  add(frame) {
    if (!this.isFull) this.#frames.push(JSON.stringify(frame));
    if (frame.time === null) return;
    const before = this.end;
    this.end = frame.time;
    for (const face of frame.faces) {
      const [label] = shown(face);
      const last = this.#open.get(face.track);
      const seen = last && frame.time - last.to <= (last.to === before ? SLOW : GAP);
      if (seen) last.to = frame.time;
      if (seen && last.label === label) continue;
      const span = { track: face.track, label, from: frame.time, to: frame.time };
      this.#spans.push(span);
      this.#open.set(face.track, span);
    }
  }

  /** Shares of the seen time of each track and expression, in words. */
  shares() {
    const sums = new Map();
    for (const { track, label, from, to } of this.#spans) {
      const sum = sums.get(track) ?? sums.set(track, new Map()).get(track);
      sum.set(label, (sum.get(label) ?? 0) + to - from);
    }
    return [...sums]
      .map(([track, sum]) => {
        const all = [...sum.values()].reduce((a, b) => a + b, 0);
        const parts = [...sum].filter(([, time]) => time / all >= 0.005).sort((a, b) => b[1] - a[1]);
        return [track, all, parts.map(([label, time]) => `${label} ${percent(time / all)}`).join(", ")];
      })
      .filter(([, all]) => all > 0)
      .map(([track, all, text]) => `Face ${track} (${all.toFixed(0)} s): ${text}.`);
  }

  /** Draw a band per track over the whole time; the newest tracks where there are more than fit. */
  draw(canvas) {
    const ratio = globalThis.devicePixelRatio ?? 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width || !height) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const tracks = [...new Set(this.#spans.map(({ track }) => track))].slice(-6);
    const band = height / Math.max(tracks.length, 1);
    const scale = width / Math.max(this.end, 1);
    for (const { track, label, from, to } of this.#spans) {
      const row = tracks.indexOf(track);
      if (row < 0) continue;
      context.fillStyle = colorOf(label, this.#labels);
      context.fillRect(from * scale, row * band + 1, Math.max((to - from) * scale, 1), Math.max(band - 2, 1));
    }
  }

  toJson() {
    return this.#frames.length ? `[\n${this.#frames.join(",\n")}\n]\n` : "[]\n";
  }

  toCsv() {
    return toCsv(this.#parsed(), this.#labels);
  }

  *#parsed() {
    for (const text of this.#frames) yield JSON.parse(text);
  }
}

/** Hand a text to the user as a file. */
export function save(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  [link.href, link.download] = [address, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
