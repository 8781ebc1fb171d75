// The connection status, and toasts: short notes that disappear by themselves.
import { el, find } from './dom.js';

const STATE_TEXTS = { connecting: 'Connecting…', online: 'Online', reconnecting: 'Reconnecting…', offline: 'Offline', signed_out: 'Signed out' };
const TOAST_MS = 8_000;

export class Status {
  #element = find('#connection-state');
  #retry = find('#retry-now');
  /** @type {number | undefined} */
  #timer;

  /** @param {() => void} retryNow @param {AbortSignal} signal removes all listeners */
  constructor(retryNow, signal) {
    this.#retry.addEventListener('click', retryNow, { signal });
    signal.addEventListener('abort', () => clearInterval(this.#timer));
  }

  /** @param {import('./parley.js').Events['state']} event */
  show({ state, retry_in_ms }) {
    clearInterval(this.#timer);
    this.#element.dataset.state = state;
    find('.text', this.#element).textContent = STATE_TEXTS[state];
    // A short wait needs no button.
    const long = (retry_in_ms ?? 0) > 1_500;
    this.#retry.hidden = !long;
    if (!long) return;
    const until = Date.now() + (retry_in_ms ?? 0);
    const count = () => {
      this.#retry.textContent = `Retry now (${Math.max(1, Math.ceil((until - Date.now()) / 1000))} s)`;
    };
    count();
    this.#timer = setInterval(count, 1_000);
  }
}

/** @param {...(string | Node)} text */
export function toast(...text) {
  const note = el('p', { class: 'toast' }, ...text);
  find('#toasts').append(note);
  setTimeout(() => note.remove(), TOAST_MS);
}
