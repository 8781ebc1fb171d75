// The user's own messages that are not in the log yet: messages being sent, and failed ones that wait for a decision.
import { el, find } from './dom.js';

export class Pending {
  /** @type {Map<string, {element: HTMLElement, body: string, reply_to?: number, message?: number}>} */
  #rows = new Map();
  #send;
  #discarded;

  /**
   * @param {(nonce: string, body: string, reply_to?: number) => void} send sends a failed message again, with the same nonce
   * @param {(body: string) => void} discarded called when the user discards a failed message
   */
  constructor(send, discarded) {
    this.#send = send;
    this.#discarded = discarded;
    this.list = el('ol', { class: 'pending', 'aria-label': 'Messages being sent' });
  }

  /** @param {string} nonce @param {string} body @param {number} [reply_to] */
  add(nonce, body, reply_to) {
    const retry = () => {
      this.#set(nonce, 'sending', 'Sending…');
      this.#send(nonce, body, reply_to);
    };
    const discard = () => {
      this.remove(nonce);
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
          { class: 'delivery' },
          el('span', { class: 'delivery-status', role: 'status' }),
          el('button', { type: 'button', class: 'small act-retry', on: { click: retry } }, 'Try again'),
          el('button', { type: 'button', class: 'small act-discard', on: { click: discard } }, 'Discard'),
        ),
      ),
    );
    this.#rows.set(nonce, { element, body, reply_to });
    this.list.append(element);
    this.#set(nonce, 'sending', 'Sending…');
  }

  /** The texts of messages that may not be stored. */
  get unsent() {
    return [...this.#rows.values()].filter(({ message }) => message === undefined).map(({ body }) => body);
  }

  /** Removes a message that the timeline shows, or that was discarded. @param {string | undefined} nonce */
  remove(nonce) {
    const row = nonce && this.#rows.get(nonce);
    if (!row) return;
    row.element.remove();
    this.#rows.delete(nonce);
  }

  /** Marks a message as committed. The log will show it soon. @param {string} nonce @param {number} message */
  sent(nonce, message) {
    const row = this.#rows.get(nonce);
    if (row) row.message = message;
    this.#set(nonce, 'sent', '');
  }

  /** @param {string} nonce @param {string} why */
  failed(nonce, why) {
    this.#set(nonce, 'failed', `Not sent. ${why}`);
  }

  /** Removes the committed messages up to this seq, because the timeline shows them. @param {number} cursor */
  removeUpTo(cursor) {
    for (const [nonce, { message }] of this.#rows) if (message !== undefined && message <= cursor) this.remove(nonce);
  }

  /** @param {string} nonce @param {'sending' | 'sent' | 'failed'} state @param {string} text */
  #set(nonce, state, text) {
    const element = this.#rows.get(nonce)?.element;
    if (!element) return;
    element.dataset.state = state;
    find('.delivery-status', element).textContent = text;
    for (const button of element.querySelectorAll('button')) button.hidden = state !== 'failed';
  }
}
