/**
 * Who is who from frame to frame: the JavaScript side of `mien/tracking/tracker.py`, with the same numbers.
 * Constant velocity and optimal assignment (SORT), looks in the cost (DeepSORT), the looks being a thumbnail.
 */
import { assign } from "./assign.js";
import { cut, resize, roundEven } from "./pixels.js";
import { overlap } from "./yunet.js";

const THUMBNAIL = 12;
const REACH = 0.7, REACH_GROWTH = 1.5, REACH_MOST = 2.5;
const SCALE_REACH = Math.log(1.8);
const LOOKS_WEIGHT = 1, SCALE_WEIGHT = 0.5;
const LOOKS_LIMIT = 0.6, LOOKS_STRICT = 0.5, LOOKS_ALIKE = 0.2, ALIKE_REACH = 1.5;
const SPEED_MEMORY = 0.8, LOOKS_MEMORY = 0.9;
const FRAMES_REMEMBERED = 2.1;
const HIDES = 0.15;

/** Track ids for the faces of successive frames; `memory` in seconds. */
export class Tracker {
  #memory;
  #tracks = [];
  #forgotten = [];
  #count = 0;
  #last = 0;

  constructor({ memory = 1.5 } = {}) {
    this.#memory = memory;
  }

  /** Whoever is seen from now on is somebody new. */
  forget() {
    [this.#forgotten, this.#tracks] = [this.#tracks, []];
  }

  /** Take back the last `forget`: who was seen before it is known again. */
  recall() {
    [this.#tracks, this.#forgotten] = [this.#forgotten, []];
  }

  /**
   * The track id of each detection, counted from 1 in order of appearance.
   * @param picture RGB picture that they were found in
   * @param found detections with `box`
   * @param at seconds; not before that of the last call
   * @param strict the frame differs from the last one: nobody is taken for somebody who looks otherwise
   * @returns {number[]}
   */
  update(picture, found, at, strict = false) {
    const memory = Math.max(this.#memory, FRAMES_REMEMBERED * (at - this.#last));
    this.#last = at;
    this.#tracks = this.#tracks.filter((track) => at - track.seen <= memory);
    const faces = found.map(({ box }) => ({
      x: box.x + box.width / 2,
      y: box.y + box.height / 2,
      size: Math.sqrt(box.width * box.height),
      looks: thumbnail(picture, box),
    }));
    const costs = this.#tracks.map((track) => faces.map((face) => matchingCost(track, face, at, strict)));
    const taken = new Map(assign(costs, this.#tracks.length, faces.length).map(([row, column]) => [column, row]));
    const tracks = [...this.#tracks];
    return faces.map((face, column) => {
      const hidden = found.some(({ box }, other) => other !== column && overlap(found[column].box, box) > HIDES);
      let track = tracks[taken.get(column)];
      if (track) {
        move(track, face, at, !hidden);
      } else {
        track = { number: ++this.#count, ...face, seen: at, speedX: 0, speedY: 0 };
        this.#tracks.push(track);
      }
      return track.number;
    });
  }

  /** Squares where the faces seen in the last `within` seconds should be at that time. */
  expected(at, within) {
    return this.#tracks
      .filter((track) => at - track.seen <= within)
      .map((track) => {
        const [x, y] = expectedCentre(track, at);
        return { x: x - track.size / 2, y: y - track.size / 2, width: track.size, height: track.size };
      });
  }
}

function expectedCentre(track, at) {
  const passed = Math.min(at - track.seen, 0.33);
  return [track.x + track.speedX * passed, track.y + track.speedY * passed];
}

/** Infinite where it cannot be the same face. */
function matchingCost(track, face, at, strict) {
  const unseen = at - track.seen;
  let alike = 0;
  for (let index = 0; index < face.looks.length; index++) alike += face.looks[index] * track.looks[index];
  const apart = 1 - alike;
  const reach = Math.min(REACH + REACH_GROWTH * unseen, REACH_MOST) * (apart < LOOKS_ALIKE ? ALIKE_REACH : 1);
  const [x, y] = expectedCentre(track, at);
  const away = Math.hypot(face.x - x, face.y - y) / Math.max(track.size, face.size);
  const scale = Math.abs(Math.log(face.size / track.size));
  const limit = strict ? LOOKS_STRICT : unseen > 0.3 ? LOOKS_LIMIT : Infinity;
  if (away > reach || scale > SCALE_REACH || apart > limit) return Infinity;
  return away / reach + (SCALE_WEIGHT * scale) / SCALE_REACH + LOOKS_WEIGHT * apart;
}

function move(track, face, at, clear) {
  const passed = at - track.seen;
  if (passed > 0 && clear) { // the box of a face that is half hidden shrinks, which is no motion
    track.speedX = SPEED_MEMORY * track.speedX + (1 - SPEED_MEMORY) * (face.x - track.x) / passed;
    track.speedY = SPEED_MEMORY * track.speedY + (1 - SPEED_MEMORY) * (face.y - track.y) / passed;
  }
  Object.assign(track, { x: face.x, y: face.y, size: face.size, seen: at });
  if (clear) {
    track.looks = toUnit(track.looks.map((value, index) => LOOKS_MEMORY * value + (1 - LOOKS_MEMORY) * face.looks[index]));
  }
}

/** The face as a unit vector: 12 x 12 colors less their mean, so that a change of light does not count. */
function thumbnail(picture, box) {
  const within = (value, most) => roundEven(Math.min(Math.max(value, 0), most));
  const left = within(box.x, picture.width), right = within(box.x + box.width, picture.width);
  const top = within(box.y, picture.height), bottom = within(box.y + box.height, picture.height);
  if (right <= left || bottom <= top) return new Float32Array(THUMBNAIL ** 2 * 3);
  const part = resize(cut(picture, left, top, right - left, bottom - top), THUMBNAIL, THUMBNAIL).data;
  const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
  return toUnit(Float32Array.from(part, (value) => value - mean));
}

function toUnit(vector) {
  const length = Math.max(Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)), 1e-6);
  return vector.map((value) => value / length);
}
