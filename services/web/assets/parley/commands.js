// The commands that are under way on one socket, by their `id`: each is answered, fails, or times out, exactly once.
import { ConnectionLost, ParleyError } from './error.js';

/** Every server takes a frame of this size. */
const ALWAYS_TAKEN_BYTES = 1024;

/** The close code of a frame that was too large. */
const TOO_LARGE = 1009;
/** Codes of sockets that close whatever their commands are: away, drained, token, slow reader, too many frames. */
const NOT_BY_COMMAND = [1001, 1012, 4401, 4408, 4429];

/** @typedef {{bytes: number, done: (answer: any) => void, failed: (error: ParleyError) => void, timer: unknown}} Pending */

export class Commands {
  /** @type {Map<number, Pending>} */
  #pending = new Map();
  #lastId = 0;
  #clock;
  #overdue;

  /**
   * @param {import('../parley.d.ts').Clock} clock
   * @param {() => void} overdue an answer has not come in time: the socket is as good as dead
   */
  constructor(clock, overdue) {
    this.#clock = clock;
    this.#overdue = overdue;
  }

  /** The `id` of the next command. Ids go on counting across sockets, so that none is answered twice. */
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

  /** @param {any} frame one that bears an `id` */
  answer(frame) {
    const pending = this.#pending.get(frame.id);
    if (!pending) return;
    this.#pending.delete(frame.id);
    this.#clock.clearTimeout(pending.timer);
    if (frame.type === 'error') pending.failed(new ParleyError(frame.code, frame.message, frame.retry_after_ms));
    else pending.done(frame);
  }

  /**
   * The socket is gone, and what became of its commands unknown; but of one that closed for a frame too large, the
   * largest was not taken.
   * @param {number} code why it closed
   */
  lost(code) {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    const largest = Math.max(ALWAYS_TAKEN_BYTES + 1, ...all.map(({ bytes }) => bytes));
    for (const { bytes, failed, timer } of all) {
      this.#clock.clearTimeout(timer);
      if (code === TOO_LARGE && bytes === largest) failed(new ParleyError('too_large', 'the server takes no frame of this size'));
      else failed(new ConnectionLost(!NOT_BY_COMMAND.includes(code)));
    }
  }
}
