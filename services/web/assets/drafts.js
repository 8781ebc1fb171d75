// Unsent drafts, by room: the text, the message that it replies to, and unfinished edits. Drafts survive a reload, leaving
// the room and signing out. Each user has separate drafts, which other users of the browser do not see.
import { browserStore } from './storage.js';

const PREFIX = 'parley.draft.';
const KEPT_MS = 30 * 24 * 3_600_000;

/**
 * @typedef {object} Draft
 * @property {string} body
 * @property {number} [replyTo] the id of the message that it replies to
 * @property {Record<string, string>} edits texts of messages that are being edited, by id
 */

export class Drafts {
  #prefix;
  #store;
  #now;

  /** @param {string} user id @param {import('./storage.js').Store} [store] @param {() => number} [now] in ms since 1970 */
  constructor(user, store = browserStore, now = Date.now) {
    this.#prefix = `${PREFIX}${user}.`;
    this.#store = store;
    this.#now = now;
    for (const key of store.keys(PREFIX)) {
      if (!(store.read(key)?.at > now() - KEPT_MS)) store.erase(key); // guests, for example, never return
    }
  }

  /** @param {string} room @returns {Draft} */
  of(room) {
    const { body = '', replyTo, edits = {} } = this.#store.read(this.#prefix + room) ?? {};
    return { body, replyTo, edits };
  }

  /** Changes a part of a room's draft. @param {string} room @param {Partial<Draft>} change */
  change(room, change) {
    const draft = { ...this.of(room), ...change };
    if (draft.body || draft.replyTo || Object.keys(draft.edits).length > 0) this.#store.write(this.#prefix + room, { ...draft, at: this.#now() });
    else this.#store.erase(this.#prefix + room);
  }

  /** @param {string} room @param {number} message @param {string | null} text null: the edit has ended */
  edit(room, message, text) {
    const { [message]: before, ...edits } = this.of(room).edits;
    if (text === null && before === undefined) return;
    this.change(room, { edits: text === null ? edits : { ...edits, [message]: text } });
  }
}
