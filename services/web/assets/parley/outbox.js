// What a room still has to be told: sends, edits and deletes, each with a nonce, strictly one after the other. Only one
// is under way at a time, because an outcome can be unknown: were the next one under way already, it could be stored
// before the one that has to be sent again, and the messages would change places.
import { Backoff } from './backoff.js';
import { ConnectionLost, ParleyError, isUnknown } from './error.js';

/** More than this many waiting commands of one room are refused, as not stored. */
const CAPACITY = 200;
/** `internal` is worth another try, but a command that the server always stumbles over must not hold up the room for good. */
const MAX_INTERNAL = 10;
/** Nor must one with which the connection is lost each time, which would hold up everything: a proxy may not like its text. */
const MAX_LOST = 5;

/** @typedef {{frame: Record<string, any>, resolve: (answer: any) => void, reject: (error: Error) => void, internals: number, lost: number}} Op */

export class Outbox {
  /** @type {Op[]} */
  #ops = [];
  /** @type {Op | null} */
  #underWay = null;
  /** @type {unknown} */
  #timer = null;
  #backoff;
  #deps;

  /**
   * @param {object} deps
   * @param {(frame: Record<string, any>, done: (answer: any) => void, failed: (error: ParleyError) => void) => void} deps.request
   * @param {() => boolean} deps.ready whether the room is joined on an open connection
   * @param {import('../parley.d.ts').Clock} deps.clock
   * @param {() => number} deps.random
   */
  constructor(deps) {
    this.#deps = deps;
    this.#backoff = new Backoff(250, 10_000, deps.random);
  }

  /**
   * Settles with the server's answer, across reconnects; rejects where the server says that nothing was stored.
   * @param {Record<string, any>} frame
   * @returns {Promise<any>}
   */
  push(frame) {
    if (this.#ops.length >= CAPACITY) {
      return Promise.reject(new ParleyError('rate_limited', 'too many messages are waiting to be sent'));
    }
    return new Promise((resolve, reject) => {
      this.#ops.push({ frame, resolve, reject, internals: 0, lost: 0 });
      this.#pump();
    });
  }

  /**
   * The room is joined (again): what waits, goes now. But what the connection was lost with twice goes at a random moment
   * of its own: were it sent together with what waits in other rooms, they would be lost with it each time.
   */
  joined() {
    this.#deps.clock.clearTimeout(this.#timer);
    if ((this.#ops[0]?.lost ?? 0) < 2) this.#resume();
    else this.#timer = this.#deps.clock.setTimeout(() => this.#resume(), this.#backoff.next());
  }

  #resume() {
    this.#deps.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#pump();
  }

  /**
   * The log shows that a message of ours is stored. Its answer may have been lost with a connection: no need to ask again.
   * @param {string} nonce
   * @param {number} message
   */
  settle(nonce, message) {
    const op = this.#ops.find((o) => o.frame.type === 'send' && o.frame.nonce === nonce);
    if (op) this.#finish(op, () => op.resolve({ type: 'sent', message }));
  }

  /** The room is given up: whether what is under way was stored stays unknown. @param {string} why */
  close(why) {
    this.#deps.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#underWay = null;
    for (const op of this.#ops.splice(0)) op.reject(new ParleyError('closed', why));
  }

  #pump() {
    if (this.#underWay || this.#timer || this.#ops.length === 0 || !this.#deps.ready()) return;
    const op = (this.#underWay = this.#ops[0]);
    this.#deps.request(
      op.frame,
      (answer) => this.#finish(op, () => op.resolve(answer)),
      (error) => this.#failed(op, error),
    );
  }

  /** @param {Op} op @param {() => void} tell */
  #finish(op, tell) {
    const at = this.#ops.indexOf(op);
    if (at < 0) return; // settled by the log already, or given up
    this.#ops.splice(at, 1);
    if (this.#underWay === op) this.#underWay = null;
    this.#backoff.reset();
    tell();
    this.#pump();
  }

  /** @param {Op} op @param {ParleyError} error */
  #failed(op, error) {
    if (this.#underWay !== op) return;
    if (error.code === 'internal') op.internals++;
    if (error instanceof ConnectionLost && error.perhapsOurs) op.lost++;
    if (!isUnknown(error) || op.internals >= MAX_INTERNAL || op.lost >= MAX_LOST) {
      this.#finish(op, () => op.reject(error));
      return;
    }
    this.#underWay = null;
    const wait = this.#backoff.next() + (error.retry_after_ms ?? 0);
    this.#timer = this.#deps.clock.setTimeout(() => this.#resume(), wait);
  }
}
