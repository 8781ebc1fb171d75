// One authenticated socket that keeps coming back: tokens, hello, commands and their answers, watchdog, back-off. It
// knows nothing of rooms; whoever owns it says when everything is resumed, and only that ends the back-off.
import { Backoff } from './backoff.js';
import { Commands } from './commands.js';
import { ParleyError } from './error.js';
import { Timers } from './timers.js';

const HANDSHAKE_MS = 10_000;
/** A command that has no answer after this long means that the connection is dead, whatever the socket says. */
const ANSWER_MS = 15_000;
const PROBE_MS = 5_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** @param {string} text in UTF-8 */
const bytesOf = (text) => new TextEncoder().encode(text).length;

const UNAUTHENTICATED = 4401;
const FLOODING = 4429;

export class Connection {
  /** Authenticated and open: commands may be sent. */
  ready = false;
  #deps;
  #clock;
  #random;
  #backoff;
  #running = false;
  /** Counts tries, so that a token that comes late is not used by a later one. */
  #attempt = 0;
  /** @type {WebSocket | null} */
  #socket = null;
  #opened = false;
  /** @type {any} */
  #hello = null;
  #authenticated = false;
  #commands;
  /** Of this socket, and dropped with it. */
  #timers;
  /** The token of before was refused: only a newer one will do. */
  #needFresh = false;
  #failedHandshakes = 0;
  #lastHeard = 0;
  /** The server asked not to be bothered before this instant. */
  #notBefore = 0;

  /**
   * @param {object} deps
   * @param {string} deps.url
   * @param {import('../parley.d.ts').TokenSource} [deps.token] without one, the cookie of the handshake has to do
   * @param {new (url: string) => WebSocket} deps.WebSocket
   * @param {import('../parley.d.ts').Clock} deps.clock
   * @param {() => number} deps.random
   * @param {() => Record<string, any>} deps.probe a cheap command that changes nothing and is always answered
   * @param {(state: import('../parley.d.ts').State, retryInMs?: number) => void} deps.state
   * @param {(hello: any) => void} deps.up
   * @param {() => void} deps.down called before the pending commands fail
   * @param {(frame: any) => void} deps.event everything that answers no command
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

  /** @param {'offline' | 'signed_out'} state why */
  stop(state) {
    if (!this.#running) return;
    this.#running = false;
    this.#drop(0);
    this.#deps.state(state);
  }

  /** Everything that was there before is there again: the next loss starts with a short wait. */
  resumed() {
    this.#backoff.reset();
    this.#deps.state('online');
  }

  /** A wait for the next try ends now. */
  retryNow() {
    if (this.#running && this.#timers.has('retry')) this.#again();
  }

  /** The network or the page came back: look at once whether the connection lives. */
  nudge() {
    if (this.ready) this.#probe();
    else if (this.#clock.now() >= this.#notBefore) this.retryNow();
  }

  /**
   * Sends a command; exactly one of the two is called. They are callbacks, not a promise, since frames may arrive in one
   * go, and the one after an answer must find the answer applied.
   * @param {Record<string, any>} frame
   * @param {(answer: any) => void} done
   * @param {(error: ParleyError) => void} failed
   * @param {number} [withinMs]
   */
  request(frame, done, failed, withinMs = ANSWER_MS) {
    if (!this.ready) {
      failed(new ParleyError('unavailable', 'not connected'));
      return;
    }
    this.#command(frame, done, failed, withinMs);
  }

  /** Sends what has no answer, if it can. @param {Record<string, any>} frame */
  tell(frame) {
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
      // Also where a cookie has authenticated the handshake: it then says when this token ends.
      if (token !== null) this.#authenticate(token);
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    socket.onerror = () => {}; // a close follows; but an implementation for Node throws what nobody listens to
  }

  /** @param {string} token */
  #authenticate(token) {
    this.#command(
      { type: 'auth', token },
      (answer) => {
        this.#authenticated = true;
        this.#renewBefore(Date.parse(answer.expires_at));
        this.#upIfComplete();
      },
      (error) => {
        // A renewal that fails leaves the socket alone: it lives as long as its present token.
        if (this.ready) this.#timers.after('renew', 15_000 + this.#random() * 15_000, () => this.#renew());
        else if (this.#socket) this.#lost(error.code === 'unauthenticated' ? UNAUTHENTICATED : 0);
      },
      ANSWER_MS,
    );
  }

  #upIfComplete() {
    if (this.ready || !this.#hello || !this.#authenticated) return;
    this.#timers.cancel('handshake');
    this.ready = true;
    this.#watch(this.#hello.heartbeat_ms ?? 25_000);
    this.#deps.up(this.#hello);
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#lastHeard = this.#clock.now();
    const frame = JSON.parse(String(data));
    if (frame.type === 'hello') {
      this.#hello = frame;
      this.#upIfComplete();
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
      failed(new ParleyError('too_large', 'that is larger than the server takes')); // it would close the socket
      return;
    }
    this.#commands.add(id, bytes, done, failed, withinMs);
    this.#socket?.send(text);
  }

  /** Looks every heartbeat whether anything was heard in the last two: a browser's page can't see the server's pings. @param {number} heartbeatMs */
  #watch(heartbeatMs) {
    this.#timers.after('watch', heartbeatMs, () => {
      if (this.#clock.now() - this.#lastHeard >= 2 * heartbeatMs) this.#probe();
      this.#watch(heartbeatMs);
    });
  }

  #probe() {
    this.request(this.#deps.probe(), () => {}, () => {}, PROBE_MS);
  }

  /** @param {number} expiresAt in ms since 1970; NaN and a clock that is ahead are survived */
  #renewBefore(expiresAt) {
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
   * @param {number} code why the socket closed, 0 where we gave it up
   * @param {number} [wait] in place of the back-off
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
    // A handshake refused for its cookie looks like a network that is down. A newer token brings a newer cookie; but not
    // on every try, or an edge that is away would cost the one that signs tokens a refresh from each of its clients.
    if (!opened && (++this.#failedHandshakes === 2 || this.#failedHandshakes % 8 === 0)) this.#needFresh = true;
    if (code === FLOODING) this.#notBefore = Math.max(this.#notBefore, this.#clock.now() + 10_000 + this.#random() * 20_000);
    this.#retry(wait);
  }

  /** @param {number} [wait] */
  #retry(wait = this.#backoff.next()) {
    const pause = Math.max(0, this.#notBefore - this.#clock.now()) + wait;
    this.#timers.after('retry', pause, () => this.#again());
    this.#deps.state('reconnecting', pause);
  }

  #again() {
    this.#deps.state('reconnecting');
    this.#open();
  }

  /** Ends the present socket and all that hangs on it. @param {number} code why it closed, 0 where we gave it up */
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
