// The commands in flight on one socket, by their `id`. Each one is answered, fails or times out, exactly once.
import { ConnectionLost, ParleyError } from './error.js';

/** Every server accepts a frame of this size. */
const ALWAYS_ACCEPTED_BYTES = 1024;

/** The close code of a frame that was too large. */
const TOO_LARGE = 1009;
/** Close codes that no single command causes: going away, drained, token expired, slow reader, flooding. */
const NOT_CAUSED_BY_COMMAND = [1001, 1012, 4401, 4408, 4429];

/** @typedef {{bytes: number, done: (answer: any) => void, failed: (error: ParleyError) => void, timer: unknown}} Pending */

export class Commands {
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #lastId = 0;
  #clock;
  #overdue;

  /**
   * @param {import('../parley.d.ts').Clock} clock
   * @param {() => void} overdue called when an answer does not come in time: the socket is dead
   */
  constructor(clock, overdue) {
    this.#clock = clock;
    this.#overdue = overdue;
  }

  /** Returns the `id` of the next command. Ids are unique across sockets, so a late answer never matches another command. */
  nextId() {
    return ++this.#lastId;
  }

  /**
   * @param {number} id
   * @param {number} bytes the size of its frame
   * @param {(answer: any) => void} done
   * @param {(error: ParleyError) => void} failed
   * @param {number} withinMs
   */
  add(id, bytes, done, failed, withinMs) {
    this.#pending.set(id, { bytes, done, failed, timer: this.#clock.setTimeout(this.#overdue, withinMs) });
  }

  /** @param {any} frame a frame with an `id` */
  answer(frame) {
    const pending = this.#pending.get(frame.id);
    if (!pending) return;
    this.#pending.delete(frame.id);
    this.#clock.clearTimeout(pending.timer);
    if (frame.type === 'error') pending.failed(new ParleyError(frame.code, frame.message, frame.retry_after_ms));
    else pending.done(frame);
  }

  /**
   * Fails all commands, because the socket closed. Their outcome is unknown, except that after a close for a too large
   * frame the largest one was not accepted.
   * @param {number} code the close code
   */
  lost(code) {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    const largest = Math.max(ALWAYS_ACCEPTED_BYTES + 1, ...all.map(({ bytes }) => bytes));
    for (const { bytes, failed, timer } of all) {
      this.#clock.clearTimeout(timer);
      if (code === TOO_LARGE && bytes === largest) failed(new ParleyError('too_large', 'the server does not accept a frame of this size; send less text'));
      else failed(new ConnectionLost(!NOT_CAUSED_BY_COMMAND.includes(code)));
    }
  }
}
