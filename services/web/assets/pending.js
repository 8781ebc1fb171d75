// One's own messages that are not in the log yet: on their way, or refused and waiting for a word.
import { el, find } from './dom.js';

export class Pending {
  /** @type {Map<string, {element: HTMLElement, body: string, reply_to?: number, message?: number}>} */
  #rows = new Map();
  #send;
  #discarded;

  /**
   * @param {(nonce: string, body: string, reply_to?: number) => void} send tries a refused one again, with its nonce
   * @param {(body: string) => void} discarded the writer gave a refused one up
   */
  constructor(send, discarded) {
    this.#send = send;
    this.#discarded = discarded;
    this.list = el('ol', { class: 'pending', 'aria-label': 'On their way' });
  }

  /** @param {string} nonce @param {string} body @param {number} [reply_to] */
  add(nonce, body, reply_to) {
    const retry = () => {
      this.#set(nonce, 'sending', 'Sending…');
      this.#send(nonce, body, reply_to);
    };
    const discard = () => {
      this.arrived(nonce);
      this.#discarded(body);
    };
    const element = el(
      'li',
      { class: 'message own grouped', 'data-nonce': nonce },
      el(
        'div',
        { class: 'content' },
        el('div', { class: 'bubble' }, el('p', { class: 'body', dir: 'auto' }, body)),
        el(
          'div',
          { class: 'fate' },
          el('span', { class: 'what', role: 'status' }),
          el('button', { type: 'button', class: 'small act-retry', on: { click: retry } }, 'Try again'),
          el('button', { type: 'button', class: 'small act-discard', on: { click: discard } }, 'Discard'),
        ),
      ),
    );
    this.#rows.set(nonce, { element, body, reply_to });
    this.list.append(element);
    this.#set(nonce, 'sending', 'Sending…');
  }

  /** The texts that are not known to be stored. */
  get unsent() {
    return [...this.#rows.values()].filter(({ message }) => message === undefined).map(({ body }) => body);
  }

  /** The message is in what is shown. @param {string | undefined} nonce */
  arrived(nonce) {
    const row = nonce && this.#rows.get(nonce);
    if (!row) return;
    row.element.remove();
    this.#rows.delete(nonce);
  }

  /** Committed; the log shows it in a moment. @param {string} nonce @param {number} message */
  sent(nonce, message) {
    const row = this.#rows.get(nonce);
    if (row) row.message = message;
    this.#set(nonce, 'sent', '');
  }

  /** @param {string} nonce @param {string} why */
  failed(nonce, why) {
    this.#set(nonce, 'failed', `Not sent. ${why}`);
  }

  /** What is shown reaches up to this seq: whatever is committed at or below it is no longer on its way. @param {number} cursor */
  reached(cursor) {
    for (const [nonce, { message }] of this.#rows) if (message !== undefined && message <= cursor) this.arrived(nonce);
  }

  /** @param {string} nonce @param {'sending' | 'sent' | 'failed'} state @param {string} what */
  #set(nonce, state, what) {
    const element = this.#rows.get(nonce)?.element;
    if (!element) return;
    element.dataset.state = state;
    find('.what', element).textContent = what;
    for (const button of element.querySelectorAll('button')) button.hidden = state !== 'failed';
  }
}
