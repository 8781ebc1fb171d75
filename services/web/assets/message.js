// One message in a room, as it is now.
import { explain } from './api.js';
import { el, find, fit, hue, initial } from './dom.js';

const GROUP_MS = 5 * 60_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** @typedef {import('./parley.js').Message} Message */
/**
 * @typedef {object} Actions
 * @property {() => {id: string, staff?: boolean}} me
 * @property {(message: Message) => void} reply
 * @property {(id: number, body: string) => Promise<unknown>} edit
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
          el('span', { class: 'author' }, this.own ? 'You' : author.name),
          author.kind === 'guest' && el('span', { class: 'mark' }, 'guest'),
          el('time', { datetime: message.sent_at, title: whole.format(new Date(message.sent_at)) }, clock.format(new Date(message.sent_at))),
        ),
        el('div', { class: 'bubble' }),
        el('p', { class: 'error', role: 'alert' }),
      ),
    );
    this.#render();
  }

  /** @param {Message} message */
  update(message) {
    this.message = message;
    this.#render();
  }

  /** The body goes; who wrote it and when stays. */
  remove() {
    this.update({ ...this.message, body: undefined, deleted: true });
  }

  /** Whether the name and the day are shown depends on what stands before. @param {Message | undefined} before */
  follow(before) {
    const sent = new Date(this.message.sent_at);
    const newDay = !before || new Date(before.sent_at).toDateString() !== sent.toDateString();
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
    const to = this.#actions.lookup(id);
    const text = !to ? 'an earlier message' : to.deleted ? 'a deleted message' : `${to.author.name}: ${to.body}`;
    return el('button', { type: 'button', class: 'quote', on: { click: () => this.#actions.jump(id) } }, el('span', { class: 'unseen' }, 'In reply to '), text);
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

  /** Puts a text field in the message's place. */
  edit() {
    this.element.classList.remove('chosen');
    const bubble = find('.bubble', this.element);
    const area = el('textarea', { rows: 1, 'aria-label': 'Edit message' });
    area.value = this.message.body ?? '';
    const cancel = () => {
      this.#fail('');
      this.#render();
      this.#actions.done();
    };
    const save = async () => {
      if (!area.value.trim() || area.value === this.message.body) return cancel();
      area.readOnly = true;
      this.#fail('');
      try {
        await this.#actions.edit(this.message.id, area.value);
        this.#render(); // the event has brought the new text, or is about to
        this.#actions.done();
      } catch (error) {
        area.readOnly = false;
        this.#fail(explain(error, { not_found: 'This message was deleted in the meantime.' }));
      }
    };
    area.addEventListener('input', () => fit(area));
    area.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Escape') cancel();
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      save();
    });
    bubble.replaceChildren(
      area,
      el(
        'div',
        { class: 'edit-buttons' },
        el('button', { type: 'button', class: 'small', on: { click: cancel } }, 'Cancel'),
        el('button', { type: 'button', class: 'small primary act-save', on: { click: save } }, 'Save'),
      ),
    );
    fit(area);
    area.focus();
    this.element.scrollIntoView({ block: 'nearest' });
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

/** @param {Date} date */
function dayName(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  if (days === 0) return 'Today';
  return days === 1 ? 'Yesterday' : calendar.format(date);
}
