// The session of the signed-in user. The access token is only in memory; the refresh token is a cookie that the page can't read.
import { ApiError, call } from './api.js';

/** A token is renewed when it expires in less than this, or in less than a quarter of its lifetime. */
const MARGIN_MS = 60_000;

export class Session {
  /** @type {import('./parley.js').User | null} */
  user = null;
  #token = '';
  #freshUntil = 0;
  /** @type {Promise<string | null> | null} */
  #refreshing = null;
  #onUser;

  /** @param {(user: any) => void} onUser called when the user changes without a sign-in on this page; null: signed out */
  constructor(onUser) {
    this.#onUser = onUser;
  }

  /** Resumes the session of the cookie. Returns the user, or null if there is no valid session. Rejects if the server can't be reached. */
  async resume() {
    await this.token({ fresh: true });
    return this.user;
  }

  /** @param {'login' | 'signup' | 'guest'} how @param {Record<string, string>} form */
  async signIn(how, form) {
    this.#set(await call('POST', `/api/auth/${how}`, { body: form }));
    return this.user;
  }

  /** Ends the session. Also if it rejects, the page has forgotten the session, and the caller shows the sign-in form. */
  async signOut() {
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

  /** Makes an HTTP call as the signed-in user. @param {string} method @param {string} path @param {unknown} [body] */
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
    this.#set(answer);
    if (before && before.id !== this.user?.id) {
      this.#onUser(this.user); // another tab signed in as somebody else, which replaced the cookie
      return null;
    }
    return this.#token;
  }

  /** @param {any} answer */
  #set(answer) {
    this.user = answer.user;
    this.#token = answer.access_token;
    const life = answer.expires_in * 1000;
    this.#freshUntil = Date.now() + life - Math.min(MARGIN_MS, life / 4);
  }
}
