// The panel of one open room: the timeline, the messages being sent, the members, and the composer.
import { explain } from './api.js';
import { Composer } from './composer.js';
import { bdi, el, fit } from './dom.js';
import { UNSENT } from './message.js';
import { newNonce } from './parley.js';
import { Pending } from './pending.js';
import { People } from './people.js';
import { Timeline } from './timeline.js';

const FETCH_MEMBERS_MS = 1_500;

const SEND_ERRORS = {
  conflict: 'Another message was already sent in its place.',
  not_found: 'The message that it replies to no longer exists.',
  forbidden: 'You are not allowed to write in this room.',
  unavailable: UNSENT,
};

/** @typedef {import('./parley.js').Parley} Parley */
/** @typedef {import('./parley.js').RoomInfo} RoomInfo */

export class RoomPanel {
  #parley;
  #slug;
  #me;
  #drafts;
  /** @type {number | undefined} */
  #membersTimer;

  /**
   * @param {Parley} parley
   * @param {RoomInfo} room
   * @param {{me: () => {id: string, name: string, kind: string, staff?: boolean}, drafts: import('./drafts.js').Drafts, leave: () => void, back: () => void}} deps
   */
  constructor(parley, room, deps) {
    this.#parley = parley;
    this.#slug = room.slug;
    this.#me = deps.me;
    this.#drafts = deps.drafts;
    const draft = this.#drafts.of(room.slug);
    this.pending = new Pending(
      (nonce, body, replyTo) => this.#deliver(nonce, body, replyTo),
      (body) => this.composer.restore(body),
    );
    this.timeline = new Timeline(
      {
        me: deps.me,
        reply: (message) => this.composer.replyTo(message.id),
        edit: (id, body) => parley.edit(room.slug, id, body),
        edited: (id) => this.#drafts.of(room.slug).edits[id],
        editing: (id, text) => this.#drafts.edit(room.slug, id, text),
        remove: (id) => parley.delete(room.slug, id),
        done: () => this.#focus(),
      },
      (before, limit) => parley.history(room.slug, { before, limit }),
      this.pending.list,
    );
    this.people = new People(() => deps.me().id);
    this.composer = new Composer(room.name, draft, {
      send: (body, replyTo) => this.#send(body, replyTo),
      typing: () => parley.typing(room.slug),
      editLast: () => this.timeline.lastOwn()?.edit(),
      changed: (changed) => this.#drafts.change(room.slug, changed),
      lookup: (id) => this.timeline.lookup(id),
    });
    this.title = el('h2', {});
    this.description = el('p', { class: 'description' });
    this.element = el(
      'section',
      { class: 'room', 'data-open-room': room.slug, hidden: true },
      el(
        'header',
        { class: 'room-head' },
        el('button', { type: 'button', class: 'back icon', 'aria-label': 'Back to the list of rooms', on: { click: deps.back } }, '‹'),
        el('div', { class: 'names' }, this.title, this.description),
        this.people.toggle,
        el('button', { type: 'button', class: 'room-leave small', on: { click: deps.leave } }, 'Leave'),
      ),
      el('div', { class: 'talk' }, this.timeline.scroller, this.timeline.newer, this.people.typing, this.composer.element),
      this.people.element,
    );
    this.describe(room);
  }

  /** @param {RoomInfo} room */
  describe(room) {
    this.title.replaceChildren(bdi(room.name));
    this.description.replaceChildren(...(room.description ? [bdi(room.description)] : []));
    this.element.setAttribute('aria-label', room.name);
  }

  /** @param {import('./parley.js').Joined} joined */
  joined(joined) {
    this.describe(joined.room);
    this.people.replace(joined);
    if (!joined.members) this.#fetchMembers();
    if (joined.recovered) return; // the missed entries follow as events
    const messages = joined.messages ?? [];
    this.timeline.replace(messages, joined.has_more ?? false);
    for (const message of messages) this.#removePending(message);
    this.pending.removeUpTo(joined.cursor);
    this.composer.refresh();
  }

  /** @param {import('./parley.js').Message} message */
  message(message) {
    this.#removePending(message);
    this.timeline.add(message);
    this.people.stopTyping(message.author.id);
    this.composer.refresh(); // a replay may bring the message that is replied to
  }

  /** @param {import('./parley.js').Message} message */
  edited(message) {
    this.timeline.change(message);
    this.composer.refresh();
  }

  /** @param {number} id */
  deleted(id) {
    this.timeline.remove(id);
    this.composer.refresh();
  }

  /** Saves the texts that may not have been sent. They are in the composer when the room is opened again. */
  saveUnsent() {
    const { unsent } = this.pending;
    if (unsent.length > 0) this.#drafts.change(this.#slug, { body: [...unsent, this.composer.area.value].filter(Boolean).join('\n\n') });
  }

  /** @param {boolean} visible */
  show(visible) {
    this.element.hidden = !visible;
    if (!visible) return;
    for (const area of this.element.querySelectorAll('textarea')) fit(area); // a hidden area has no height
    this.timeline.shown();
    this.#focus();
  }

  /** Focuses the composer, but not on a touch screen, where that would open the keyboard. */
  #focus() {
    if (!this.element.hidden && matchMedia('(hover: hover)').matches) this.composer.area.focus();
  }

  /** Loads the members after a while. The first user of a room joins before the server knows the members. */
  #fetchMembers() {
    clearTimeout(this.#membersTimer);
    this.#membersTimer = setTimeout(async () => {
      try {
        this.people.replace(await this.#parley.members(this.#slug));
      } catch {
        // The connection was lost: the next `joined` brings the members.
      }
    }, FETCH_MEMBERS_MS * (1 + Math.random()));
  }

  /** @param {import('./parley.js').Message} message */
  #removePending(message) {
    if (message.author.id === this.#me().id) this.pending.remove(message.nonce);
  }

  /** @param {string} body @param {number} [replyTo] */
  #send(body, replyTo) {
    const nonce = newNonce();
    this.pending.add(nonce, body, replyTo);
    this.timeline.toEnd();
    this.#deliver(nonce, body, replyTo);
  }

  /** @param {string} nonce @param {string} body @param {number} [replyTo] */
  async #deliver(nonce, body, replyTo) {
    try {
      const { message } = await this.#parley.send(this.#slug, body, { nonce, reply_to: replyTo });
      this.pending.sent(nonce, message);
      this.pending.removeUpTo(this.#parley.cursor(this.#slug)?.after ?? 0);
    } catch (error) {
      this.pending.failed(nonce, explain(error, SEND_ERRORS));
    }
  }
}
