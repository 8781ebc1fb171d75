// One joined room. It follows the room's log by cursor across connections, and joins again whenever needed.
import { Backoff } from './backoff.js';
import { isOutcomeUnknown, ParleyError } from './error.js';
import { Outbox } from './outbox.js';

/** @typedef {{resolve: (joined: any) => void, reject: (error: Error) => void}} Waiter */

export class Room {
  /** The seq of the last entry that was applied, without a gap before it; null before the first `joined`. @type {number | null} */
  cursor;
  /** The opaque id of the log that the cursor belongs to. @type {string | undefined} */
  log;
  /** Whether the room is joined on the current connection. */
  joined = false;
  outbox;
  #slug;
  #join;
  #deps;
  #backoff;
  #syncing = false;
  #ended = false;
  /** @type {unknown} */
  #timer = null;
  /** @type {Waiter[]} */
  #waiters = [];

  /**
   * @param {string} slug
   * @param {import('../parley.d.ts').JoinOptions} options
   * @param {object} deps
   * @param {(frame: Record<string, any>, done: (answer: any) => void, failed: (error: ParleyError) => void) => void} deps.request
   * @param {(type: string, event: any) => void} deps.emit
   * @param {() => string | undefined} deps.me the id of the user who is signed in
   * @param {() => boolean} deps.connected
   * @param {(room: Room) => void} deps.settled called when the room is joined
   * @param {(room: Room, error: ParleyError) => void} deps.refused called when the server refuses the join; the owner then removes the room
   * @param {import('../parley.d.ts').Clock} deps.clock
   * @param {() => number} deps.random
   */
  constructor(slug, options, deps) {
    const { after, log, ...join } = options;
    this.#slug = slug;
    this.#join = join;
    this.#deps = deps;
    this.#backoff = new Backoff(500, 15_000, deps.random);
    this.cursor = after ?? null;
    this.log = log;
    this.outbox = new Outbox({ ...deps, ready: () => this.joined });
  }

  /** Resolves with the next `joined` of this room. @returns {Promise<any>} */
  whenJoined() {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Joins the room, or joins again from the cursor on. Does nothing while a join is in flight or there is no connection. */
  sync() {
    if (this.#syncing || !this.#deps.connected()) return;
    this.#syncing = true;
    this.#deps.clock.clearTimeout(this.#timer);
    const from = this.cursor === null ? {} : { after: this.cursor, log: this.log };
    this.#deps.request(
      { type: 'join', room: this.#slug, ...this.#join, ...from },
      (answer) => this.#handleJoined(answer),
      (error) => this.#failed(error),
    );
  }

  /** Resets the room when the connection is lost. The next connection calls `sync`. */
  lost() {
    this.joined = false;
    this.#syncing = false;
    this.#deps.clock.clearTimeout(this.#timer);
  }

  /** Ends the room: the app left it, or the server removed the user. @param {ParleyError} error */
  end(error) {
    this.#ended = true;
    this.lost();
    this.outbox.close(error.message);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /**
   * Applies an entry of the log. An entry of an unknown type only moves the cursor.
   * @param {any} event
   */
  apply(event) {
    if (this.cursor === null || event.seq <= this.cursor) return;
    if (event.seq > this.cursor + 1) {
      this.sync(); // entries are missing: the join replays them, and this one
      return;
    }
    this.cursor = event.seq;
    if (event.type === 'message') this.#settleOwn(event.message);
    if (['message', 'edited', 'deleted', 'notice'].includes(event.type)) this.#deps.emit(event.type, event);
  }

  /** @param {any} answer a `joined` frame */
  #handleJoined(answer) {
    if (this.#ended) return; // the app left before the answer came
    this.#syncing = false;
    /** @type {any[]} */
    const missed = answer.recovered ? (answer.events ?? []).filter((/** @type {any} */ e) => e.seq > (this.cursor ?? 0)) : [];
    if (answer.recovered && missed.some((e, i) => e.seq !== (this.cursor ?? 0) + 1 + i)) {
      this.cursor = null; // the replay has a gap: load the room again
      this.sync();
      return;
    }
    this.#backoff.reset();
    this.joined = true;
    this.log = answer.room.log;
    if (!answer.recovered) this.cursor = answer.cursor;
    this.#deps.emit('joined', answer);
    for (const event of missed) this.apply({ ...event, room: this.#slug });
    for (const message of answer.messages ?? []) this.#settleOwn(message);
    if (this.#ended) return; // a listener left the room
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(answer);
    this.outbox.joined();
    this.#deps.settled(this);
  }

  /** @param {any} message */
  #settleOwn(message) {
    if (message.nonce && message.author?.id === this.#deps.me()) this.outbox.settle(message.nonce, message.id);
  }

  /** @param {ParleyError} error */
  #failed(error) {
    this.#syncing = false;
    if (this.#ended || !this.#deps.connected()) return;
    if (isOutcomeUnknown(error) || error.code === 'rate_limited') {
      const wait = this.#backoff.next() + (error.retry_after_ms ?? 0);
      this.#timer = this.#deps.clock.setTimeout(() => this.sync(), wait);
      return;
    }
    this.#deps.refused(this, error);
  }
}
