/** Probabilities of one track, averaged over time: the JavaScript side of `mien/tracking/smoothing.py`. */
export class Smoother {
  #seconds;
  #held = new Map();

  /** @param {number} seconds the time constant of the exponential moving average; above 0 */
  constructor(seconds) {
    this.#seconds = seconds;
  }

  /** The average after a new answer: label to probability. */
  update(track, at, scores) {
    for (const [key, held] of this.#held) if (at - held.at > 5 * this.#seconds) this.#held.delete(key);
    const before = this.#held.get(track);
    let mixed = { ...scores };
    if (before) {
      const keep = Math.exp(-Math.max(at - before.at, 0) / this.#seconds);
      for (const label of Object.keys(scores)) mixed[label] = keep * before.mixed[label] + (1 - keep) * scores[label];
    }
    this.#held.set(track, { at, mixed });
    return mixed;
  }
}
