// One message in a room, as it is now.
import { explain } from './api.js';
import { bdi, el, find, fit, hue, initial, isComposing } from './dom.js';
import { dateAndTime, dayName, dayNumber, timeOfDay } from './time.js';

const GROUP_MS = 5 * 60_000;
/** What became of a command that was given up without an answer. */
export const UNSENT = 'The connection was lost each time that it was sent.';

/** @typedef {import('./parley.js').Message} Message */
/**
 * @typedef {object} Actions
 * @property {() => {id: string, staff?: boolean}} me
 * @property {(message: Message) => void} reply
 * @property {(id: number, body: string) => Promise<unknown>} edit
 * @property {(id: number, text: string | null) => void} editing the text in the field of an edit, to be kept; null: there is no field any more
 * @property {(id: number) => Promise<unknown>} remove
 * @property {() => void} done the keyboard may go elsewhere: what had it is gone
 * @property {(id: number) => Message | undefined} lookup a message that is shown
 * @property {(id: number) => void} jump
 */

export class MessageView {
  /** @type {Message} */
  message;
  /** @type {HTMLElement} */
  element;
  #actions;
  /** The field of an edit. @type {HTMLTextAreaElement | null} */
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

  /** An edit that is under way here stays, unless the message is gone or the edit is done. @param {Message} message */
  update(message) {
    this.message = message;
    if (!this.#area) this.#render();
    else if (message.deleted || message.body === this.#area.value) this.#endEdit();
  }

  /** The body goes; who wrote it and when stays. */
  remove() {
    this.update({ ...this.message, body: undefined, deleted: true });
  }

  /** Shows the message that this one answers as it is now. */
  requote() {
    const quote = this.element.querySelector('.quote');
    const now = this.#quote();
    if (quote && now) quote.replaceChildren(...now.childNodes); // in place: a click that has begun on it is not lost
  }

  /** Whether the name and the day are shown depends on what stands before; all times, on today's date and the time zone. @param {Message | undefined} before */
  follow(before) {
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
      mayDelete && el('button', { type: 'button', class: 'act-delete', on: { click: (/** @type {any} */ e) => this.#remove(e.currentTarget), blur: disarm } }, 'Delete'),
    );
  }

  #reply() {
    this.element.classList.remove('chosen');
    this.#actions.reply(this.message);
  }

  /** Puts a text field in the message's place. @param {string} [text] that was written there before */
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
    if (text !== undefined) return; // the reader did not ask for it just now
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
    this.#fail('');
    try {
      await this.#actions.edit(this.message.id, area.value);
      this.#endEdit(); // the event has brought the new text, or is about to
      this.#actions.done();
    } catch (error) {
      if (this.#area !== area) return;
      area.readOnly = false;
      this.#fail(explain(error, { not_found: 'This message was deleted in the meantime.', unavailable: UNSENT }));
    }
  }

  #endEdit() {
    this.#area = null;
    this.#actions.editing(this.message.id, null);
    this.#fail('');
    this.#render();
  }

  /** The first press asks, the second one does it. @param {HTMLButtonElement} button */
  async #remove(button) {
    if (!button.classList.contains('armed')) {
      button.classList.add('armed');
      button.textContent = 'Really delete?';
      return;
    }
    button.disabled = true;
    this.#fail('');
    try {
      await this.#actions.remove(this.message.id);
      this.#actions.done();
    } catch (error) {
      button.disabled = false;
      this.#fail(explain(error));
    }
  }

  /** @param {string} text */
  #fail(text) {
    find('.content > .error', this.element).textContent = text;
  }
}

/** @param {Event} event */
function disarm(event) {
  const button = /** @type {HTMLElement} */ (event.currentTarget);
  button.classList.remove('armed');
  button.textContent = 'Delete';
}

/** A message in few words, for a reply to it. @param {Message | undefined} message undefined: it is not loaded */
export function summary(message) {
  if (!message) return ['an earlier message'];
  return message.deleted ? ['a deleted message'] : [bdi(message.author.name), ': ', bdi(message.body)];
}
