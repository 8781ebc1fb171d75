// Full-jitter exponential back-off: a random share of a ceiling that doubles. The whole span is random, since ten
// thousand clients that lost the same server at the same instant must not come back at the same instant.

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

  /** The wait before the next try, in ms; the ceiling of the one after is twice as high. */
  next() {
    const ceiling = Math.min(this.#cap, this.#base * 2 ** this.#failures);
    this.#failures++;
    return this.#random() * ceiling;
  }

  reset() {
    this.#failures = 0;
  }
}
