// Exponential backoff with full jitter: each wait is a random share of a ceiling that doubles. So ten thousand clients
// that lost the same server at the same time do not reconnect at the same time.

export class Backoff {
  #base;
  #cap;
  #random;
  #failures = 0;

  /**
   * @param {number} base the first ceiling, in ms
   * @param {number} cap the highest ceiling, in ms
   * @param {() => number} random in [0, 1)
   */
  constructor(base, cap, random) {
    this.#base = base;
    this.#cap = cap;
    this.#random = random;
  }

  /** Returns the next wait, in ms, and doubles the ceiling. */
  next() {
    const ceiling = Math.min(this.#cap, this.#base * 2 ** this.#failures);
    this.#failures++;
    return this.#random() * ceiling;
  }

  reset() {
    this.#failures = 0;
  }
}
