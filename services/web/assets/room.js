// The panel of one open room: puts together what was said, what is on its way, who is here, and the field to write in.
import { explain } from './api.js';
import { Composer } from './composer.js';
import { bdi, el, fit } from './dom.js';
import { UNSENT } from './message.js';
import { newNonce } from './parley.js';
import { Pending } from './pending.js';
import { People } from './people.js';
import { Timeline } from './timeline.js';

const ASK_MEMBERS_MS = 1_500;

const REFUSALS = {
  conflict: 'Something else was sent in its place before.',
  not_found: 'What it answers is not there any more.',
  forbidden: 'You may not write in this room.',
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
  #asking;

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
        reply: (message) => this.composer.answer(message.id),
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
        el('button', { type: 'button', class: 'back icon', 'aria-label': 'Back to the rooms', on: { click: deps.back } }, '‹'),
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
    if (!joined.members) this.#askMembers();
    if (joined.recovered) return; // what was missed follows as events
    const messages = joined.messages ?? [];
    this.timeline.replace(messages, joined.has_more ?? false);
    for (const message of messages) this.#arrived(message);
    this.pending.reached(joined.cursor);
    this.composer.refresh();
  }

  /** @param {import('./parley.js').Message} message */
  message(message) {
    this.#arrived(message);
    this.timeline.add(message);
    this.people.stopped(message.author.id);
    this.composer.refresh(); // it may be a replayed one
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

  /** The panel goes. What may not have been sent stands in the field again when the room is opened the next time. */
  keepUnsent() {
    const { unsent } = this.pending;
    if (unsent.length > 0) this.#drafts.change(this.#slug, { body: [...unsent, this.composer.area.value].filter(Boolean).join('\n\n') });
  }

  /** @param {boolean} visible */
  show(visible) {
    this.element.hidden = !visible;
    if (!visible) return;
    for (const area of this.element.querySelectorAll('textarea')) fit(area); // it had no height to tell
    this.timeline.shown();
    this.#focus();
  }

  /** Not on a phone, where it would bring up the keyboard. */
  #focus() {
    if (!this.element.hidden && matchMedia('(hover: hover)').matches) this.composer.area.focus();
  }

  /** Whoever is first in a room comes before the server has counted. */
  #askMembers() {
    clearTimeout(this.#asking);
    this.#asking = setTimeout(async () => {
      try {
        this.people.replace(await this.#parley.members(this.#slug));
      } catch {
        // Not connected any more: the next `joined` tells.
      }
    }, ASK_MEMBERS_MS * (1 + Math.random()));
  }

  /** @param {import('./parley.js').Message} message */
  #arrived(message) {
    if (message.author.id === this.#me().id) this.pending.arrived(message.nonce);
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
      this.pending.reached(this.#parley.cursor(this.#slug)?.after ?? 0);
    } catch (error) {
      this.pending.failed(nonce, explain(error, REFUSALS));
    }
  }
}
