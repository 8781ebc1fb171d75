// The browser's storage. If it is not available (blocked cookies, private windows, a full disk), values are kept in memory
// until the page is reloaded. No method throws.

export class Store {
  /** Values that the browser did not store. @type {Map<string, string>} */
  #memory = new Map();
  #open;

  /** @param {() => Storage} open may throw, as `localStorage` does if cookies are blocked */
  constructor(open) {
    this.#open = open;
  }

  /** Returns the value of a key; null if there is none, or if `write` did not write it. @param {string} key @returns {any} */
  read(key) {
    try {
      return JSON.parse(this.#memory.get(key) ?? this.#open().getItem(key) ?? 'null');
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {unknown} value */
  write(key, value) {
    const text = JSON.stringify(value);
    try {
      this.#open().setItem(key, text);
      this.#memory.delete(key);
    } catch {
      this.#memory.set(key, text);
    }
  }

  /** @param {string} key */
  erase(key) {
    this.#memory.delete(key);
    try {
      this.#open().removeItem(key);
    } catch {
      // The browser stores nothing.
    }
  }

  /** @param {string} prefix */
  keys(prefix) {
    const keys = new Set(this.#memory.keys());
    try {
      const storage = this.#open();
      for (let i = 0; i < storage.length; i++) keys.add(storage.key(i) ?? '');
    } catch {
      // The browser stores nothing.
    }
    return [...keys].filter((key) => key.startsWith(prefix));
  }
}

/** Values of this tab. */
export const tabStore = new Store(() => sessionStorage);
/** Values of all tabs. They survive a restart of the browser. */
export const browserStore = new Store(() => localStorage);
