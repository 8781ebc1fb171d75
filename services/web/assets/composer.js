// The form for writing a message.
import { el, fit, isComposing, isolated } from './dom.js';
import { summary } from './message.js';

/** @typedef {import('./parley.js').Message} Message */

export class Composer {
  /** The id of the message that the next message replies to. @type {number | undefined} */
  #replyTo;
  #summary = el('span', {});
  #deps;

  /**
   * @param {string} roomName
   * @param {{body: string, replyTo?: number}} draft the saved draft
   * @param {object} deps
   * @param {(body: string, replyTo?: number) => void} deps.send
   * @param {() => void} deps.typing
   * @param {() => void} deps.editLast
   * @param {(draft: {body: string, replyTo?: number}) => void} deps.changed
   * @param {(id: number) => Message | undefined} deps.lookup returns a message if it is loaded
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
      el('button', { type: 'button', class: 'icon', 'aria-label': 'Cancel reply', on: { click: () => this.replyTo(undefined) } }, '×'),
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

  /** Makes the next message a reply to this one; undefined: to none. @param {number | undefined} id */
  replyTo(id) {
    if (id === this.#replyTo) return;
    this.#setReply(id);
    this.#changed();
    if (id) this.area.focus();
  }

  /** Shows the current state of the message that is replied to. Call it when messages have changed. */
  refresh() {
    if (this.#replyTo) this.#summary.replaceChildren('Reply to ', ...summary(this.#deps.lookup(this.#replyTo)));
  }

  /** Puts the text of an unsent message back into the field, if the field is empty. @param {string} body */
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
    if (event.key === 'Escape') this.replyTo(undefined);
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
