// Who is signed in. The access token lives in memory only; the refresh token is a cookie that this page can't read.
import { ApiError, call } from './api.js';

/** A token with less than this left, or less than a quarter of its life, is not handed out any more. */
const MARGIN_MS = 60_000;

export class Session {
  /** @type {import('./parley.js').User | null} */
  user = null;
  #token = '';
  #freshUntil = 0;
  /** @type {Promise<string | null> | null} */
  #refreshing = null;
  #onUser;

  /** @param {(user: any) => void} onUser somebody else is signed in now (null: nobody), without having signed in here */
  constructor(onUser) {
    this.#onUser = onUser;
  }

  /** Signs in by whatever cookie there is; null if there is none that holds. Rejects where that can't be told. */
  async resume() {
    await this.token({ fresh: true });
    return this.user;
  }

  /** @param {'login' | 'signup' | 'guest'} how @param {Record<string, string>} form */
  async enter(how, form) {
    this.#take(await call('POST', `/api/auth/${how}`, { body: form }));
    return this.user;
  }

  /** Ends the session; the caller's next step is the sign-in form, also where the server could not be told. */
  async leave() {
    let token;
    try {
      token = await this.token({ fresh: false });
    } finally {
      this.user = null;
      this.#token = '';
      this.#freshUntil = 0;
    }
    if (token) await call('POST', '/api/auth/logout', { token });
  }

  /** The `token` callback of parley.js. @param {{fresh: boolean}} want @returns {Promise<string | null>} */
  async token({ fresh }) {
    if (!fresh && this.#token && Date.now() < this.#freshUntil) return this.#token;
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** An HTTP call as the one who is signed in. @param {string} method @param {string} path @param {unknown} [body] */
  async call(method, path, body) {
    const token = (await this.token({ fresh: false })) ?? undefined;
    try {
      return await call(method, path, { body, token });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'unauthenticated') throw error;
    }
    return call(method, path, { body, token: (await this.token({ fresh: true })) ?? undefined });
  }

  async #refresh() {
    const before = this.user;
    let answer;
    try {
      answer = await call('POST', '/api/auth/refresh', { body: {} });
    } catch (error) {
      if (!(error instanceof ApiError) || !['unauthenticated', 'bad_request', 'forbidden'].includes(error.code)) throw error;
      this.user = null;
      this.#token = '';
      if (before) this.#onUser(null);
      return null;
    }
    this.#take(answer);
    if (before && before.id !== this.user?.id) {
      this.#onUser(this.user); // another tab signed in as somebody else: the cookie is theirs now
      return null;
    }
    return this.#token;
  }

  /** @param {any} answer */
  #take(answer) {
    this.user = answer.user;
    this.#token = answer.access_token;
    const life = answer.expires_in * 1000;
    this.#freshUntil = Date.now() + life - Math.min(MARGIN_MS, life / 4);
  }
}
