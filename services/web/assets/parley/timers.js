// Timers by name. Setting a timer again replaces it, and all can be cancelled together.

export class Timers {
  /** @type {Map<string, unknown>} */
  #set = new Map();
  #clock;

  /** @param {import('../parley.d.ts').Clock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /** @param {string} name @param {number} ms @param {() => void} run */
  after(name, ms, run) {
    this.cancel(name);
    const timer = this.#clock.setTimeout(() => {
      this.#set.delete(name);
      run();
    }, ms);
    this.#set.set(name, timer);
  }

  /** @param {string} name */
  has(name) {
    return this.#set.has(name);
  }

  /** @param {string} name */
  cancel(name) {
    this.#clock.clearTimeout(this.#set.get(name));
    this.#set.delete(name);
  }

  cancelAll() {
    for (const name of [...this.#set.keys()]) this.cancel(name);
  }
}
