// The field that one writes in.
import { el, fit, isComposing, isolated } from './dom.js';
import { summary } from './message.js';

/** @typedef {import('./parley.js').Message} Message */

export class Composer {
  /** The id of the message that the next one answers. @type {number | undefined} */
  #replyTo;
  #summary = el('span', {});
  #deps;

  /**
   * @param {string} roomName
   * @param {{body: string, replyTo?: number}} draft what was left here before
   * @param {object} deps
   * @param {(body: string, replyTo?: number) => void} deps.send
   * @param {() => void} deps.typing
   * @param {() => void} deps.editLast
   * @param {(draft: {body: string, replyTo?: number}) => void} deps.changed
   * @param {(id: number) => Message | undefined} deps.lookup a message that is loaded
   */
  constructor(roomName, draft, deps) {
    this.#deps = deps;
    this.area = el('textarea', {
      rows: 1,
      placeholder: 'Write a message',
      'aria-label': `Message to ${isolated(roomName)}`,
      enterkeyhint: 'send',
      dir: 'auto',
      on: {
        input: () => {
          fit(this.area);
          this.#changed();
          if (this.area.value) deps.typing();
        },
        keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      },
    });
    this.area.value = draft.body;
    this.reply = el(
      'div',
      { class: 'reply', hidden: true },
      this.#summary,
      el('button', { type: 'button', class: 'icon', 'aria-label': 'Don’t reply', on: { click: () => this.answer(undefined) } }, '×'),
    );
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
    this.#setReply(draft.replyTo);
  }

  /** The next message answers this one; undefined: no other. @param {number | undefined} id */
  answer(id) {
    if (id === this.#replyTo) return;
    this.#setReply(id);
    this.#changed();
    if (id) this.area.focus();
  }

  /** Messages have changed: shows the one that is answered as it is now. */
  refresh() {
    if (this.#replyTo) this.#summary.replaceChildren('Reply to ', ...summary(this.#deps.lookup(this.#replyTo)));
  }

  /** A text that was not sent comes back, if nothing else is being written. @param {string} body */
  restore(body) {
    if (this.area.value) return;
    this.area.value = body;
    fit(this.area);
    this.#changed();
    this.area.focus();
  }

  /** @param {number | undefined} id */
  #setReply(id) {
    this.#replyTo = id;
    this.reply.hidden = !id;
    this.refresh();
  }

  #changed() {
    this.#deps.changed({ body: this.area.value, replyTo: this.#replyTo });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (isComposing(event)) return;
    if (event.key === 'Escape') this.answer(undefined);
    if (event.key === 'ArrowUp' && !this.area.value) {
      event.preventDefault();
      this.#deps.editLast();
    }
    if (event.key !== 'Enter' || event.shiftKey) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const body = this.area.value;
    if (!body.trim()) return;
    this.#deps.send(body, this.#replyTo);
    this.area.value = '';
    fit(this.area);
    this.#setReply(undefined);
    this.#changed();
    this.area.focus();
  }
}
