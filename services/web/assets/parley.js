// Parley's JavaScript client: several rooms over one WebSocket, without lost, duplicated or reordered messages.
//
//   const parley = new Parley({ url: 'wss://chat.example.com/ws', token: async ({ fresh }) => myAccessToken(fresh) });
//   parley.on('message', ({ room, message }) => show(room, message));
//   parley.connect();
//   await parley.join('general');
//   await parley.send('general', 'hello');
//
// It runs in browsers and in Node 20 and later (pass `WebSocket` there). The types are in parley.d.ts.
import { Connection } from './parley/connection.js';
import { ParleyError } from './parley/error.js';
import { Room } from './parley/room.js';

export { ParleyError };

/** The server forwards `typing` at most once in this time, so the client sends no more. */
const TYPING_MS = 3_000;

/** Returns a nonce of 122 random bits. `randomUUID` is missing on pages that were loaded over plain http. */
export function newNonce() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @typedef {import('./parley.d.ts').Parley} ParleyType */

/** @implements {ParleyType} */
export class Parley {
  /** @type {import('./parley.d.ts').User | null} */
  user = null;
  /** @type {import('./parley.d.ts').Limits | null} */
  limits = null;
  /** @type {import('./parley.d.ts').State} */
  state = 'offline';
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Map<string, Set<Function>>} */
  #listeners = new Map();
  /** @type {Map<string, number>} */
  #lastTyping = new Map();
  #resumed = false;
  #connection;
  #clock;
  #random;
  #window;
  #checkConnection;

  /** @param {import('./parley.d.ts').Options} options */
  constructor(options) {
    this.#clock = options.clock ?? {
      now: () => Date.now(),
      setTimeout: (run, ms) => setTimeout(run, ms),
      clearTimeout: (timer) => clearTimeout(/** @type {number} */ (timer)),
    };
    this.#random = options.random ?? Math.random;
    this.#window = options.window ?? globalThis.window;
    this.#connection = new Connection({
      url: options.url,
      token: options.token,
      WebSocket: options.WebSocket ?? globalThis.WebSocket,
      clock: this.#clock,
      random: this.#random,
      state: (state, retryInMs) => this.#setState(state, retryInMs),
      up: (hello) => this.#up(hello),
      down: () => {
        for (const room of this.#rooms.values()) room.lost();
      },
      event: (frame) => this.#event(frame),
      probe: () => ({ type: 'leave', room: this.#unjoinedSlug() }),
    });
    this.#checkConnection = () => {
      if (!this.#window?.document?.hidden) this.#connection.checkNow();
    };
  }

  connect() {
    this.#window?.addEventListener('online', this.#checkConnection);
    this.#window?.document?.addEventListener('visibilitychange', this.#checkConnection);
    this.#connection.start();
  }

  close() {
    this.#connection.stop('offline');
  }

  retryNow() {
    this.#connection.retryNow();
  }

  /**
   * @template {keyof import('./parley.d.ts').Events} K
   * @param {K} type
   * @param {(event: import('./parley.d.ts').Events[K]) => void} listener
   */
  on(type, listener) {
    const set = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, set.add(listener));
    return () => void set.delete(listener);
  }

  /** @param {string} slug @param {import('./parley.d.ts').JoinOptions} [options] */
  join(slug, options = {}) {
    let room = this.#rooms.get(slug);
    if (!room) {
      room = new Room(slug, options, {
        request: (frame, done, failed) => this.#connection.request(frame, done, failed),
        emit: (type, event) => this.#emit(type, event),
        me: () => this.user?.id,
        connected: () => this.#connection.ready,
        settled: () => this.#checkResumed(),
        refused: (refused, error) => this.#refused(slug, refused, error),
        clock: this.#clock,
        random: this.#random,
      });
      this.#rooms.set(slug, room);
    }
    const joined = room.whenJoined();
    room.sync();
    return joined;
  }

  /** @param {string} slug */
  leave(slug) {
    if (!this.#rooms.has(slug)) return;
    this.#remove(slug, new ParleyError('closed', 'the room was left'));
    this.#connection.request({ type: 'leave', room: slug }, () => {}, () => {});
  }

  /** @param {string} slug */
  cursor(slug) {
    const room = this.#rooms.get(slug);
    return room?.log === undefined || room.cursor === null ? null : { after: room.cursor, log: room.log };
  }

  /** @param {string} slug @param {string} body @param {import('./parley.d.ts').SendOptions} [options] */
  async send(slug, body, options = {}) {
    const { nonce = newNonce(), reply_to } = options;
    const answer = await this.#push(slug, { type: 'send', room: slug, body, nonce, reply_to });
    return { message: answer.message, nonce };
  }

  /** @param {string} slug @param {number} message @param {string} body @param {string} [nonce] */
  async edit(slug, message, body, nonce = newNonce()) {
    const answer = await this.#push(slug, { type: 'edit', room: slug, message, body, nonce });
    return { seq: answer.seq };
  }

  /** @param {string} slug @param {number} message @param {string} [nonce] */
  async delete(slug, message, nonce = newNonce()) {
    const answer = await this.#push(slug, { type: 'delete', room: slug, message, nonce });
    return { seq: answer.seq };
  }

  /** @param {string} slug @param {import('./parley.d.ts').HistoryOptions} options */
  history(slug, options) {
    return this.#ask({ type: 'history', room: slug, ...options });
  }

  /** @param {string} slug */
  members(slug) {
    return this.#ask({ type: 'members', room: slug });
  }

  /** @param {string} slug */
  typing(slug) {
    const now = this.#clock.now();
    if (!this.#rooms.get(slug)?.joined || now - (this.#lastTyping.get(slug) ?? -Infinity) < TYPING_MS) return;
    this.#lastTyping.set(slug, now);
    this.#connection.notify({ type: 'typing', room: slug });
  }

  /** @param {Record<string, any>} frame @returns {Promise<any>} */
  #ask(frame) {
    return new Promise((resolve, reject) => this.#connection.request(frame, resolve, reject));
  }

  /** @param {string} slug @param {Record<string, any>} frame @returns {Promise<any>} */
  #push(slug, frame) {
    const room = this.#rooms.get(slug);
    return room ? room.outbox.push(frame) : Promise.reject(new ParleyError('forbidden', 'the room is not joined; join it first'));
  }

  /** @param {any} hello */
  #up(hello) {
    this.user = hello.user;
    this.limits = hello.limits ?? null;
    this.#resumed = false;
    this.#emit('hello', hello);
    for (const room of [...this.#rooms.values()]) room.sync();
    this.#checkResumed();
  }

  #checkResumed() {
    if (this.#resumed || !this.#connection.ready) return;
    if ([...this.#rooms.values()].some((room) => !room.joined)) return;
    this.#resumed = true;
    this.#connection.resumed();
  }

  /** @param {import('./parley.d.ts').State} state @param {number} [retryInMs] */
  #setState(state, retryInMs) {
    this.state = state;
    if (state === 'offline' || state === 'signed_out') {
      this.#window?.removeEventListener('online', this.#checkConnection);
      this.#window?.document?.removeEventListener('visibilitychange', this.#checkConnection);
      const code = state === 'offline' ? 'closed' : 'unauthenticated';
      for (const slug of [...this.#rooms.keys()]) this.#remove(slug, new ParleyError(code, `the client is ${state}`));
    }
    this.#emit('state', { state, retry_in_ms: retryInMs });
  }

  /** @param {string} slug @param {ParleyError} error the error for calls in flight */
  #remove(slug, error) {
    const room = this.#rooms.get(slug);
    this.#rooms.delete(slug);
    this.#lastTyping.delete(slug);
    room?.end(error);
    this.#checkResumed();
  }

  /** Removes a room whose join the server refused. If it was joined before, the app gets `kicked`, as it would while connected. @param {string} slug @param {Room} room @param {ParleyError} error */
  #refused(slug, room, error) {
    const wasJoined = room.cursor !== null;
    this.#remove(slug, error);
    if (wasJoined) this.#emit('kicked', { type: 'kicked', room: slug, reason: error.code });
  }

  /** @param {any} frame */
  #event(frame) {
    if (typeof frame.seq === 'number') {
      this.#rooms.get(frame.room)?.apply(frame);
      return;
    }
    if (frame.type === 'kicked') this.#remove(frame.room, new ParleyError('forbidden', 'you were removed from the room'));
    if (frame.type === 'room_deleted') this.#remove(frame.room, new ParleyError('not_found', 'the room was deleted'));
    if (typeof frame.type === 'string') this.#emit(frame.type, frame);
  }

  /** @param {string} type @param {any} event */
  #emit(type, event) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        // Report an app's error to the app, but finish the frame first.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** Returns the slug of a room that is not joined. Leaving it changes nothing and is answered, so it can probe the connection. */
  #unjoinedSlug() {
    let slug = '0';
    while (this.#rooms.has(slug)) slug += '0';
    return slug;
  }
}
