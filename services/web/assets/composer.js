// The field that one writes in.
import { el, fit } from './dom.js';

/** @typedef {import('./parley.js').Message} Message */

export class Composer {
  /** @type {Message | null} */
  #replyTo = null;
  #deps;

  /** @param {string} roomName @param {{send: (body: string, replyTo?: number) => void, typing: () => void, editLast: () => void}} deps */
  constructor(roomName, deps) {
    this.#deps = deps;
    this.area = el('textarea', {
      rows: 1,
      placeholder: 'Write a message',
      'aria-label': `Message to ${roomName}`,
      enterkeyhint: 'send',
      dir: 'auto',
      on: {
        input: () => {
          fit(this.area);
          if (this.area.value) deps.typing();
        },
        keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      },
    });
    this.reply = el('div', { class: 'reply', hidden: true });
    this.element = el(
      'form',
      {
        class: 'composer',
        on: {
          submit: (/** @type {Event} */ event) => {
            event.preventDefault();
            this.#submit();
          },
        },
      },
      this.reply,
      el('div', { class: 'field' }, this.area, el('button', { class: 'send primary', title: 'Send (Enter)' }, 'Send')),
    );
  }

  /** The next message answers this one; null: no other. @param {Message | null} message */
  answer(message) {
    this.#replyTo = message;
    this.reply.hidden = !message;
    if (!message) return;
    this.reply.replaceChildren(
      el('span', {}, `Reply to ${message.author.name}: ${message.body}`),
      el('button', { type: 'button', class: 'icon', 'aria-label': 'Don’t reply', on: { click: () => this.answer(null) } }, '×'),
    );
    this.area.focus();
  }

  /** A text that was not sent comes back, if nothing else is being written. @param {string} body */
  restore(body) {
    if (this.area.value) return;
    this.area.value = body;
    fit(this.area);
    this.area.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === 'Escape') this.answer(null);
    if (event.key === 'ArrowUp' && !this.area.value) {
      event.preventDefault();
      this.#deps.editLast();
    }
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const body = this.area.value;
    if (!body.trim()) return;
    this.#deps.send(body, this.#replyTo?.id);
    this.area.value = '';
    fit(this.area);
    this.answer(null);
    this.area.focus();
  }
}
