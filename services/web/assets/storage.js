// What the browser keeps for the page. Where it keeps nothing (cookies blocked, private windows, a full disk), the page
// remembers it until it is reloaded. Nothing here ever throws.

export class Store {
  /** What the browser would not take. @type {Map<string, string>} */
  #memory = new Map();
  #open;

  /** @param {() => Storage} open may throw, as reading `localStorage` does where cookies are blocked */
  constructor(open) {
    this.#open = open;
  }

  /** The value under a key; null where there is none, or one that was not written by `write`. @param {string} key @returns {any} */
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
      // It kept nothing.
    }
  }

  /** @param {string} prefix */
  keys(prefix) {
    const keys = new Set(this.#memory.keys());
    try {
      const storage = this.#open();
      for (let i = 0; i < storage.length; i++) keys.add(storage.key(i) ?? '');
    } catch {
      // It kept nothing.
    }
    return [...keys].filter((key) => key.startsWith(prefix));
  }
}

/** For this tab. */
export const tabStore = new Store(() => sessionStorage);
/** For all tabs, across restarts of the browser. */
export const browserStore = new Store(() => localStorage);
