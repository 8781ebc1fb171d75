// One authenticated socket that reconnects: tokens, hello, commands and their answers, heartbeat check, backoff. It knows
// nothing of rooms. Its owner calls `resumed` when all rooms are joined again, and only that resets the backoff.
import { Backoff } from './backoff.js';
import { Commands } from './commands.js';
import { ParleyError } from './error.js';
import { Timers } from './timers.js';

const HANDSHAKE_MS = 10_000;
/** A command without an answer after this time means that the connection is dead. */
const ANSWER_MS = 15_000;
const PROBE_MS = 5_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @param {string} text in UTF-8 */
const bytesOf = (text) => new TextEncoder().encode(text).length;

const UNAUTHENTICATED = 4401;
const FLOODING = 4429;

export class Connection {
  /** Whether the socket is open and authenticated, so that commands may be sent. */
  ready = false;
  #deps;
  #clock;
  #random;
  #backoff;
  #running = false;
  /** Counts attempts, so that a token that arrives late is not used by a later attempt. */
  #attempt = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  #opened = false;
  /** @type {any} */
  #hello = null;
  #authenticated = false;
  #commands;
  /** The timers of the current socket. */
  #timers;
  /** Whether the last token was refused, so that the next attempt needs a newer one. */
  #needFresh = false;
  #failedHandshakes = 0;
  #lastReceived = 0;
  /** The time before which the server asked us not to reconnect. */
  #notBefore = 0;

  /**
   * @param {object} deps
   * @param {string} deps.url
   * @param {import('../parley.d.ts').TokenSource} [deps.token] without it, the session cookie authenticates the handshake
   * @param {new (url: string) => WebSocket} deps.WebSocket
   * @param {import('../parley.d.ts').Clock} deps.clock
   * @param {() => number} deps.random
   * @param {() => Record<string, any>} deps.probe returns a cheap command that changes nothing and is always answered
   * @param {(state: import('../parley.d.ts').State, retryInMs?: number) => void} deps.state
   * @param {(hello: any) => void} deps.up
   * @param {() => void} deps.down called before the pending commands fail
   * @param {(frame: any) => void} deps.event called with every frame that is not an answer
   */
  constructor(deps) {
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#timers = new Timers(deps.clock);
    this.#commands = new Commands(deps.clock, () => this.#lost(0));
    this.#backoff = new Backoff(500, 30_000, deps.random);
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#deps.state('connecting');
    this.#open();
  }

  /** @param {'offline' | 'signed_out'} state the new state */
  stop(state) {
    if (!this.#running) return;
    this.#running = false;
    this.#drop(0);
    this.#deps.state(state);
  }

  /** Call it when all rooms are joined again. It resets the backoff. */
  resumed() {
    this.#backoff.reset();
    this.#deps.state('online');
  }

  /** Ends a wait for the next attempt. */
  retryNow() {
    if (this.#running && this.#timers.has('retry')) this.#reopen();
  }

  /** Checks at once whether the connection works. Call it when the network or the page comes back. */
  checkNow() {
    if (this.ready) this.#probe();
    else if (this.#clock.now() >= this.#notBefore) this.retryNow();
  }

  /**
   * Sends a command, and calls either done or failed, exactly once. It uses callbacks and not a promise, because several
   * frames may arrive together, and an answer must be applied before the frame after it.
   * @param {Record<string, any>} frame
   * @param {(answer: any) => void} done
   * @param {(error: ParleyError) => void} failed
   * @param {number} [withinMs]
   */
  request(frame, done, failed, withinMs = ANSWER_MS) {
    if (!this.ready) {
      failed(new ParleyError('unavailable', 'there is no connection; try again when it is back'));
      return;
    }
    this.#command(frame, done, failed, withinMs);
  }

  /** Sends a frame that has no answer. Drops it if there is no connection. @param {Record<string, any>} frame */
  notify(frame) {
    if (this.ready) this.#socket?.send(JSON.stringify(frame));
  }

  async #open() {
    const attempt = ++this.#attempt;
    this.#timers.cancel('retry');
    let token = null;
    if (this.#deps.token) {
      try {
        token = await this.#deps.token({ fresh: this.#needFresh });
      } catch {
        if (attempt === this.#attempt && this.#running) this.#retry();
        return;
      }
      if (attempt !== this.#attempt || !this.#running) return;
      if (token === null) {
        this.stop('signed_out');
        return;
      }
      this.#needFresh = false;
    }
    this.#dial(token);
  }

  /** @param {string | null} token */
  #dial(token) {
    const socket = new this.#deps.WebSocket(this.#deps.url);
    this.#socket = socket;
    this.#opened = false;
    this.#hello = null;
    this.#authenticated = token === null;
    this.#timers.after('handshake', HANDSHAKE_MS, () => this.#lost(0));
    socket.onopen = () => {
      this.#opened = true;
      this.#failedHandshakes = 0;
      // Even if a cookie has authenticated the handshake, because the answer has the expiry of this token.
      if (token !== null) this.#authenticate(token);
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    socket.onerror = () => {}; // a close event follows, but an implementation for Node throws errors without a listener
  }

  /** @param {string} token */
  #authenticate(token) {
    this.#command(
      { type: 'auth', token },
      (answer) => {
        this.#authenticated = true;
        this.#scheduleRenewal(Date.parse(answer.expires_at));
        this.#becomeReady();
      },
      (error) => {
        // A failed renewal does not close the socket, which stays open until its current token expires.
        if (this.ready) this.#timers.after('renew', 15_000 + this.#random() * 15_000, () => this.#renew());
        else if (this.#socket) this.#lost(error.code === 'unauthenticated' ? UNAUTHENTICATED : 0);
      },
      ANSWER_MS,
    );
  }

  #becomeReady() {
    if (this.ready || !this.#hello || !this.#authenticated) return;
    this.#timers.cancel('handshake');
    this.ready = true;
    this.#watchHeartbeat(this.#hello.heartbeat_ms ?? 25_000);
    this.#deps.up(this.#hello);
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#lastReceived = this.#clock.now();
    const frame = JSON.parse(String(data));
    if (frame.type === 'hello') {
      this.#hello = frame;
      this.#becomeReady();
      return;
    }
    if (frame.id !== undefined) {
      this.#commands.answer(frame);
      return;
    }
    if (frame.type === 'draining') {
      this.#timers.after('drain', this.#random() * frame.after_ms, () => this.#lost(1012, 0));
    } else if (frame.type === 'error' && frame.retry_after_ms) {
      this.#notBefore = this.#clock.now() + frame.retry_after_ms;
    }
    this.#deps.event(frame);
  }

  /** @param {Record<string, any>} frame @param {(answer: any) => void} done @param {(error: ParleyError) => void} failed @param {number} withinMs */
  #command(frame, done, failed, withinMs) {
    const id = this.#commands.nextId();
    const text = JSON.stringify({ ...frame, id });
    const bytes = bytesOf(text);
    const limits = this.#hello?.limits ?? {};
    if (bytes > (limits.frame ?? Infinity) || bytesOf(frame.body ?? '') > (limits.body ?? Infinity)) {
      failed(new ParleyError('too_large', 'the message is larger than the server accepts; shorten it')); // the server would close the socket
      return;
    }
    this.#commands.add(id, bytes, done, failed, withinMs);
    this.#socket?.send(text);
  }

  /** Probes the connection if nothing was received in two heartbeats, because a page can't see the server's pings. @param {number} heartbeatMs */
  #watchHeartbeat(heartbeatMs) {
    this.#timers.after('watch', heartbeatMs, () => {
      if (this.#clock.now() - this.#lastReceived >= 2 * heartbeatMs) this.#probe();
      this.#watchHeartbeat(heartbeatMs);
    });
  }

  #probe() {
    this.request(this.#deps.probe(), () => {}, () => {}, PROBE_MS);
  }

  /** @param {number} expiresAt in ms since 1970; NaN and past times are handled too */
  #scheduleRenewal(expiresAt) {
    const left = expiresAt - this.#clock.now();
    const wait = left > 0 ? Math.max(1000, left - Math.min(left / 2, 30_000 + this.#random() * 60_000)) : 30_000;
    this.#timers.after('renew', Math.min(wait, MAX_TIMER_MS), () => this.#renew());
  }

  async #renew() {
    const socket = this.#socket;
    let token;
    try {
      token = await this.#deps.token?.({ fresh: true });
    } catch {
      if (socket === this.#socket) this.#timers.after('renew', 5_000 + this.#random() * 5_000, () => this.#renew());
      return;
    }
    if (socket !== this.#socket || !this.ready) return;
    if (token) this.#authenticate(token);
    else this.stop('signed_out');
  }

  /**
   * @param {number} code the close code, 0 if the client closed the socket
   * @param {number} [wait] replaces the backoff
   */
  #lost(code, wait) {
    const opened = this.#opened;
    this.#drop(code);
    if (!this.#running) return;
    if (code === UNAUTHENTICATED) {
      this.#needFresh = true;
      if (!this.#deps.token) {
        this.stop('signed_out');
        return;
      }
    }
    // A handshake that is refused for its cookie looks like a network failure. A new token also sets a new cookie. But do
    // not ask for one on every attempt: while an edge is unreachable, all its clients would load auth with refreshes.
    if (!opened && (++this.#failedHandshakes === 2 || this.#failedHandshakes % 8 === 0)) this.#needFresh = true;
    if (code === FLOODING) this.#notBefore = Math.max(this.#notBefore, this.#clock.now() + 10_000 + this.#random() * 20_000);
    this.#retry(wait);
  }

  /** @param {number} [wait] */
  #retry(wait = this.#backoff.next()) {
    const pause = Math.max(0, this.#notBefore - this.#clock.now()) + wait;
    this.#timers.after('retry', pause, () => this.#reopen());
    this.#deps.state('reconnecting', pause);
  }

  #reopen() {
    this.#deps.state('reconnecting');
    this.#open();
  }

  /** Closes the current socket, its timers and its commands. @param {number} code the close code, 0 if the client closed it */
  #drop(code) {
    this.#attempt++;
    const socket = this.#socket;
    this.#socket = null;
    this.#timers.cancelAll();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
    const wasReady = this.ready;
    this.ready = false;
    this.#opened = false;
    if (wasReady) this.#deps.down();
    this.#commands.lost(code);
  }
}
