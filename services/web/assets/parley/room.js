// One room that the app wants to be in: follows its log by cursor across connections, and joins again as often as needed.
import { Backoff } from './backoff.js';
import { isUnknown, ParleyError } from './error.js';
import { Outbox } from './outbox.js';

/** @typedef {{resolve: (joined: any) => void, reject: (error: Error) => void}} Waiter */

export class Room {
  /** The highest seq applied without a hole before it; null before the first `joined`. @type {number | null} */
  cursor;
  /** The opaque name of the log that the cursor belongs to. @type {string | undefined} */
  log;
  /** Whether the present connection is in the room. */
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
   * @param {(room: Room) => void} deps.settled the room is joined
   * @param {(room: Room, error: ParleyError) => void} deps.refused the room is not to be had: the owner forgets it
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

  /** Settles with the next `joined` of this room. @returns {Promise<any>} */
  wait() {
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Joins, or joins again from the cursor on; does nothing while that is under way or there is no connection. */
  sync() {
    if (this.#syncing || !this.#deps.connected()) return;
    this.#syncing = true;
    this.#deps.clock.clearTimeout(this.#timer);
    const from = this.cursor === null ? {} : { after: this.cursor, log: this.log };
    this.#deps.request(
      { type: 'join', room: this.#slug, ...this.#join, ...from },
      (answer) => this.#take(answer),
      (error) => this.#failed(error),
    );
  }

  /** The connection is gone; the next one calls `sync`. */
  lost() {
    this.joined = false;
    this.#syncing = false;
    this.#deps.clock.clearTimeout(this.#timer);
  }

  /** The app left, or was made to. @param {ParleyError} error */
  end(error) {
    this.#ended = true;
    this.lost();
    this.outbox.close(error.message);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /**
   * One entry of the log. Kinds that this client does not know move the cursor and nothing else.
   * @param {any} event
   */
  apply(event) {
    if (this.cursor === null || event.seq <= this.cursor) return;
    if (event.seq > this.cursor + 1) {
      this.sync(); // something is missing: have it replayed, with this one
      return;
    }
    this.cursor = event.seq;
    if (event.type === 'message') this.#settleOwn(event.message);
    if (['message', 'edited', 'deleted', 'notice'].includes(event.type)) this.#deps.emit(event.type, event);
  }

  /** @param {any} answer a `joined` frame */
  #take(answer) {
    if (this.#ended) return; // left while the answer was under way
    this.#syncing = false;
    /** @type {any[]} */
    const missed = answer.recovered ? (answer.events ?? []).filter((/** @type {any} */ e) => e.seq > (this.cursor ?? 0)) : [];
    if (answer.recovered && missed.some((e, i) => e.seq !== (this.cursor ?? 0) + 1 + i)) {
      this.cursor = null; // a replay with a hole: take the room afresh rather than show it as whole
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
    if (isUnknown(error) || error.code === 'rate_limited') {
      const wait = this.#backoff.next() + (error.retry_after_ms ?? 0);
      this.#timer = this.#deps.clock.setTimeout(() => this.sync(), wait);
      return;
    }
    this.#deps.refused(this, error);
  }
}
