// The commands that are under way on one socket, by their `id`: each is answered, fails, or times out, exactly once.
import { ParleyError } from './error.js';

/** @typedef {{done: (answer: any) => void, failed: (error: ParleyError) => void, timer: unknown}} Pending */

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

  /**
   * Answers the `id` to send the command with. Ids go on counting across sockets, so that none is answered twice.
   * @param {(answer: any) => void} done
   * @param {(error: ParleyError) => void} failed
   * @param {number} withinMs
   */
  add(done, failed, withinMs) {
    const id = ++this.#lastId;
    this.#pending.set(id, { done, failed, timer: this.#clock.setTimeout(this.#overdue, withinMs) });
    return id;
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

  /** The socket is gone, and what became of its commands unknown. */
  lost() {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of all) {
      this.#clock.clearTimeout(pending.timer);
      pending.failed(new ParleyError('unavailable', 'the connection was lost'));
    }
  }
}
