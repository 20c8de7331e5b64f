/**
 * Where to look for faces in a moving picture: everywhere now and then, around the known ones in between.
 * The JavaScript side of `mien/tracking/follower.py`.
 */
import { Change, SceneCuts } from "./cuts.js";
import { cut, roundEven } from "./pixels.js";
import { Tracker } from "./tracker.js";
import { LONGEST, overlap } from "./yunet.js";

const REGION = 224;
const CLOSE = 0.25;
const SAME = 0.4;

export class Follower {
  #detect;
  #tracker;
  #cuts = new SceneCuts();
  #interval;
  #memory;
  #longest;
  #since;
  #last = 0;

  /**
   * @param {(picture: object, longest: number) => Promise<object[]>} detect
   * @param {{interval?: number, memory?: number, longest?: number}} options every `interval`-th frame is searched
   *   whole, at `longest` pixels; `memory` of the tracker in seconds
   */
  constructor(detect, { interval = 5, memory = 1.5, longest = LONGEST } = {}) {
    this.#detect = detect;
    this.#tracker = new Tracker({ memory });
    [this.#interval, this.#memory, this.#longest, this.#since] = [interval, memory, longest, interval];
  }

  /**
   * The faces of the next frame with their track ids, from left to right; after a cut all ids are new.
   * @returns {Promise<{detection: object, track: number}[]>}
   */
  async update(picture, at) {
    const change = this.#cuts.update(picture, at);
    if (change === Change.CUT) this.#tracker.forget();
    if (change === Change.BACK) this.#tracker.recall();
    if (at - this.#last > CLOSE || change === Change.CUT || change === Change.BACK) this.#since = this.#interval;
    const strict = change === Change.SOME && at - this.#last <= CLOSE;
    const regions = this.#regions(picture, at);
    this.#last = at;
    if (this.#since < this.#interval && !this.#tracker.expected(at, this.#memory).length) {
      this.#since++;
      return [];
    }
    this.#since++;
    const seen = [];
    for (const region of regions) seen.push(...(await this.#look(picture, region)));
    let found = withoutDoubles(seen);
    if (!regions.length || found.length < regions.length) {
      found = await this.#detect(picture, this.#longest);
      this.#since = 1;
    }
    const tracks = this.#tracker.update(picture, found, at, strict);
    return found.map((detection, index) => ({ detection, track: tracks[index] }));
  }

  /** Where to look; none: everywhere. */
  #regions(picture, at) {
    if (this.#since >= this.#interval) return [];
    const { width, height } = picture;
    const regions = this.#tracker.expected(at, at - this.#last + 1e-6).map((box) => around(box, width, height));
    const area = regions.reduce((sum, one) => sum + Math.min(one.width * one.height, REGION ** 2), 0);
    return area * 2 < Math.min(width * height, this.#longest ** 2) ? regions : [];
  }

  async #look(picture, { left, top, width, height }) {
    if (width < 8 || height < 8) return [];
    const found = await this.#detect(cut(picture, left, top, width, height), REGION);
    return found.map(({ box, confidence, landmarks }) => ({
      box: { ...box, x: box.x + left, y: box.y + top },
      confidence,
      landmarks: landmarks.map(([x, y]) => [x + left, y + top]),
    }));
  }
}

/** The surest of detections that overlap, from left to right. */
function withoutDoubles(found) {
  const kept = [];
  for (const one of [...found].sort((a, b) => b.confidence - a.confidence)) {
    if (kept.every((other) => overlap(one.box, other.box) < SAME)) kept.push(one);
  }
  return kept.sort((a, b) => a.box.x - b.box.x || a.box.y - b.box.y);
}

/** The square of twice the size around a box, as far as it lies in the picture. */
function around(box, width, height) {
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  const within = (value, most) => roundEven(Math.min(Math.max(value, 0), most));
  const left = within(x - box.width, width), top = within(y - box.height, height);
  return { left, top, width: within(x + box.width, width) - left, height: within(y + box.height, height) - top };
}
