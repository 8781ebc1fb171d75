// The view of one message, in its current state.
import { explain } from './api.js';
import { bdi, el, find, fit, hue, initial, isComposing } from './dom.js';
import { dateAndTime, dayName, dayNumber, timeOfDay } from './time.js';

const GROUP_MS = 5 * 60_000;
/** The error text of a command that never got an answer. */
export const UNSENT = 'The connection was lost at every attempt to send it.';

/** @typedef {import('./parley.js').Message} Message */
/**
 * @typedef {object} Actions
 * @property {() => {id: string, staff?: boolean}} me
 * @property {(message: Message) => void} reply
 * @property {(id: number, body: string) => Promise<unknown>} edit
 * @property {(id: number, text: string | null) => void} editing saves the text of an unfinished edit; null: the edit has ended
 * @property {(id: number) => Promise<unknown>} remove
 * @property {() => void} done the focused element is gone, so the focus may move
 * @property {(id: number) => Message | undefined} lookup returns a message if it is loaded
 * @property {(id: number) => void} jump
 */

export class MessageView {
  /** @type {Message} */
  message;
  /** @type {HTMLElement} */
  element;
  #actions;
  /** The field of an edit, null while there is none. @type {HTMLTextAreaElement | null} */
  #area = null;

  /** @param {Message} message @param {Actions} actions */
  constructor(message, actions) {
    this.message = message;
    this.#actions = actions;
    const { author } = message;
    this.own = author.id === actions.me().id;
    this.element = el(
      'li',
      { class: this.own ? 'message own' : 'message', 'data-message-id': message.id },
      el('div', { class: 'day', hidden: true }),
      el('span', { class: `avatar ${hue(author.id)}`, 'aria-hidden': 'true' }, initial(author.name)),
      el(
        'div',
        { class: 'content' },
        el(
          'div',
          { class: 'head' },
          el('span', { class: 'author' }, this.own ? 'You' : bdi(author.name)),
          author.kind === 'guest' && el('span', { class: 'mark' }, 'guest'),
          el('time', { datetime: message.sent_at }),
        ),
        el('div', { class: 'bubble' }),
        el('p', { class: 'error', role: 'alert' }),
      ),
    );
    this.#render();
  }

  /** Shows the message's new state. An unfinished edit stays open, unless the message was deleted or has the edit's text. @param {Message} message */
  update(message) {
    this.message = message;
    if (!this.#area) this.#render();
    else if (message.deleted || message.body === this.#area.value) this.#endEdit();
  }

  /** Shows the message as deleted: without its body, but with its author and time. */
  remove() {
    this.update({ ...this.message, body: undefined, deleted: true });
  }

  /** Updates the quote of the message that this one replies to. */
  updateQuote() {
    const quote = this.element.querySelector('.quote');
    const now = this.#quote();
    if (quote && now) quote.replaceChildren(...now.childNodes); // in place, so that a click on the quote is not lost
  }

  /** Updates the name, day and time. They depend on the message before this one, on today's date and on the time zone. @param {Message | undefined} before */
  updateHead(before) {
    const sent = new Date(this.message.sent_at);
    const time = find('time', this.element);
    time.textContent = timeOfDay(sent);
    time.title = dateAndTime(sent);
    const newDay = !before || dayNumber(new Date(before.sent_at)) !== dayNumber(sent);
    const day = find('.day', this.element);
    day.hidden = !newDay;
    day.textContent = newDay ? dayName(sent) : '';
    const grouped = !newDay && before?.author.id === this.message.author.id && sent.getTime() - new Date(before.sent_at).getTime() < GROUP_MS;
    this.element.classList.toggle('grouped', grouped);
  }

  #render() {
    const { message } = this;
    const bubble = find('.bubble', this.element);
    this.element.toggleAttribute('data-deleted', Boolean(message.deleted));
    if (message.deleted) {
      bubble.replaceChildren(el('p', { class: 'body gone' }, 'This message was deleted.'));
      return;
    }
    bubble.replaceChildren(
      ...[this.#quote(), el('p', { class: 'body', dir: 'auto' }, message.body ?? ''), message.edited_at && el('span', { class: 'edited' }, 'edited'), this.#bar()].filter(Boolean),
    );
  }

  #quote() {
    const id = this.message.reply_to;
    if (!id) return null;
    return el('button', { type: 'button', class: 'quote', on: { click: () => this.#actions.jump(id) } }, el('span', { class: 'unseen' }, 'In reply to '), ...summary(this.#actions.lookup(id)));
  }

  #bar() {
    const mayDelete = this.own || this.#actions.me().staff;
    return el(
      'div',
      { class: 'bar' },
      el('button', { type: 'button', class: 'act-reply', on: { click: () => this.#reply() } }, 'Reply'),
      this.own && el('button', { type: 'button', class: 'act-edit', on: { click: () => this.edit() } }, 'Edit'),
      mayDelete && el('button', { type: 'button', class: 'act-delete', on: { click: (/** @type {any} */ e) => this.#remove(e.currentTarget), blur: cancelConfirmation } }, 'Delete'),
    );
  }

  #reply() {
    this.element.classList.remove('chosen');
    this.#actions.reply(this.message);
  }

  /** Puts a text field in the message's place. @param {string} [text] of an unfinished edit */
  edit(text) {
    if (this.message.deleted) return;
    this.element.classList.remove('chosen');
    const area = (this.#area = el('textarea', { rows: 1, 'aria-label': 'Edit message', dir: 'auto' }));
    area.value = text ?? this.message.body ?? '';
    area.addEventListener('input', () => {
      fit(area);
      this.#actions.editing(this.message.id, area.value);
    });
    area.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (isComposing(event)) return;
      if (event.key === 'Escape') this.#cancel();
      if (event.key !== 'Enter' || event.shiftKey) return;
      event.preventDefault();
      this.#save(area);
    });
    find('.bubble', this.element).replaceChildren(
      area,
      el(
        'div',
        { class: 'edit-buttons' },
        el('button', { type: 'button', class: 'small', on: { click: () => this.#cancel() } }, 'Cancel'),
        el('button', { type: 'button', class: 'small primary act-save', on: { click: () => this.#save(area) } }, 'Save'),
      ),
    );
    fit(area);
    if (text !== undefined) return; // restored, not requested just now: leave the focus alone
    area.focus();
    this.element.scrollIntoView({ block: 'nearest' });
  }

  #cancel() {
    this.#endEdit();
    this.#actions.done();
  }

  /** @param {HTMLTextAreaElement} area */
  async #save(area) {
    if (!area.value.trim() || area.value === this.message.body) {
      this.#cancel();
      return;
    }
    area.readOnly = true;
    this.#showError('');
    try {
      await this.#actions.edit(this.message.id, area.value);
      this.#endEdit(); // the event with the new text has come, or will come soon
      this.#actions.done();
    } catch (error) {
      if (this.#area !== area) return;
      area.readOnly = false;
      this.#showError(explain(error, { not_found: 'This message was deleted in the meantime.', unavailable: UNSENT }));
    }
  }

  #endEdit() {
    this.#area = null;
    this.#actions.editing(this.message.id, null);
    this.#showError('');
    this.#render();
  }

  /** The first click asks for confirmation, the second one deletes. @param {HTMLButtonElement} button */
  async #remove(button) {
    if (!button.classList.contains('confirming')) {
      button.classList.add('confirming');
      button.textContent = 'Really delete?';
      return;
    }
    button.disabled = true;
    this.#showError('');
    try {
      await this.#actions.remove(this.message.id);
      this.#actions.done();
    } catch (error) {
      button.disabled = false;
      this.#showError(explain(error));
    }
  }

  /** @param {string} text */
  #showError(text) {
    find('.content > .error', this.element).textContent = text;
  }
}

/** @param {Event} event */
function cancelConfirmation(event) {
  const button = /** @type {HTMLElement} */ (event.currentTarget);
  button.classList.remove('confirming');
  button.textContent = 'Delete';
}

/** A short form of a message, for a reply to it. @param {Message | undefined} message undefined: it is not loaded */
export function summary(message) {
  if (!message) return ['an earlier message'];
  return message.deleted ? ['a deleted message'] : [bdi(message.author.name), ': ', bdi(message.body)];
}
