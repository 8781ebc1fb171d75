// The queue of a room's sends, edits and deletes, each with a nonce. Only one is in flight at a time, because its outcome
// can be unknown: if the next one were in flight too, it could be stored before the one that must be sent again, and the
// messages would change their order.
import { Backoff } from './backoff.js';
import { ConnectionLost, ParleyError, isOutcomeUnknown } from './error.js';

/** A room's queue holds this many commands. Further ones are rejected. */
const CAPACITY = 200;
/** After this many `internal` errors a command is rejected, so that it does not block its room for ever. */
const MAX_INTERNAL = 10;
/** After this many lost connections a command is rejected: a proxy may cut the connection because of its text. */
const MAX_LOST = 5;

/** @typedef {{frame: Record<string, any>, resolve: (answer: any) => void, reject: (error: Error) => void, internals: number, lost: number}} Op */

export class Outbox {
  /** @type {Op[]} */
  #ops = [];
  /** @type {Op | null} */
  #inFlight = null;
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
   * Queues a command. The promise resolves with the server's answer, also across reconnects, and rejects if the server
   * refuses the command.
   * @param {Record<string, any>} frame
   * @returns {Promise<any>}
   */
  push(frame) {
    if (this.#ops.length >= CAPACITY) {
      return Promise.reject(new ParleyError('rate_limited', 'too many messages are waiting to be sent; try again later'));
    }
    return new Promise((resolve, reject) => {
      this.#ops.push({ frame, resolve, reject, internals: 0, lost: 0 });
      this.#sendNext();
    });
  }

  /**
   * Starts to send when the room is joined (again). A command with which the connection was lost twice waits for a random
   * time: if it caused the loss, the commands of other rooms must not be lost with it each time.
   */
  joined() {
    this.#deps.clock.clearTimeout(this.#timer);
    if ((this.#ops[0]?.lost ?? 0) < 2) this.#resume();
    else this.#timer = this.#deps.clock.setTimeout(() => this.#resume(), this.#backoff.next());
  }

  #resume() {
    this.#deps.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#sendNext();
  }

  /**
   * Resolves a send whose message is in the log. Its answer may have been lost with a connection.
   * @param {string} nonce
   * @param {number} message
   */
  settle(nonce, message) {
    const op = this.#ops.find((o) => o.frame.type === 'send' && o.frame.nonce === nonce);
    if (op) this.#finish(op, () => op.resolve({ type: 'sent', message }));
  }

  /** Rejects all commands because the room was left. The outcome of the one in flight stays unknown. @param {string} why */
  close(why) {
    this.#deps.clock.clearTimeout(this.#timer);
    this.#timer = null;
    this.#inFlight = null;
    for (const op of this.#ops.splice(0)) op.reject(new ParleyError('closed', why));
  }

  #sendNext() {
    if (this.#inFlight || this.#timer || this.#ops.length === 0 || !this.#deps.ready()) return;
    const op = (this.#inFlight = this.#ops[0]);
    this.#deps.request(
      op.frame,
      (answer) => this.#finish(op, () => op.resolve(answer)),
      (error) => this.#failed(op, error),
    );
  }

  /** @param {Op} op @param {() => void} settlePromise */
  #finish(op, settlePromise) {
    const at = this.#ops.indexOf(op);
    if (at < 0) return; // settled by the log already, or closed
    this.#ops.splice(at, 1);
    if (this.#inFlight === op) this.#inFlight = null;
    this.#backoff.reset();
    settlePromise();
    this.#sendNext();
  }

  /** @param {Op} op @param {ParleyError} error */
  #failed(op, error) {
    if (this.#inFlight !== op) return;
    if (error.code === 'internal') op.internals++;
    if (error instanceof ConnectionLost && error.maybeCausedByCommand) op.lost++;
    if (!isOutcomeUnknown(error) || op.internals >= MAX_INTERNAL || op.lost >= MAX_LOST) {
      this.#finish(op, () => op.reject(error));
      return;
    }
    this.#inFlight = null;
    const wait = this.#backoff.next() + (error.retry_after_ms ?? 0);
    this.#timer = this.#deps.clock.setTimeout(() => this.#resume(), wait);
  }
}
