// The list of a room's members, and of the people who are typing.
import { bdi, el, hue, initial } from './dom.js';

const TYPING_MS = 5_000;

/** @typedef {import('./parley.js').User} User */

export class People {
  /** @type {Map<string, User>} */
  #members = new Map();
  /** Null if the server does not send it. @type {number | null} */
  #count = null;
  /** Whether the names are known, or only the number. */
  #named = false;
  /** @type {Map<string, {name: string, timer: number}>} */
  #typists = new Map();
  #me;

  /** @param {() => string} me */
  constructor(me) {
    this.#me = me;
    this.list = el('ul', {});
    this.hint = el('p', { class: 'hint' });
    this.element = el('aside', { class: 'people', 'aria-label': 'Who is here', hidden: true }, el('h3', {}, 'Here now'), this.list, this.hint);
    this.counter = el('span', { class: 'count' });
    this.toggle = el(
      'button',
      { type: 'button', class: 'people-toggle small', 'aria-expanded': 'false', on: { click: () => this.show(Boolean(this.element.hidden)) } },
      this.counter,
    );
    this.typing = el('p', { class: 'typing' });
  }

  /** @param {boolean} visible */
  show(visible) {
    this.element.hidden = !visible;
    this.toggle.setAttribute('aria-expanded', String(visible));
  }

  /** Replaces the members by those that the server sent, either as a list or as a number. @param {{members?: User[], member_count?: number}} now */
  replace({ members, member_count }) {
    this.#named = members !== undefined;
    this.#members = new Map((members ?? []).map((user) => [user.id, user]));
    this.#count = member_count ?? members?.length ?? null;
    this.hint.textContent = this.#named ? '' : 'There are too many people to list.';
    this.#render();
  }

  /** @param {{user: User, member_count?: number}} event */
  entered({ user, member_count }) {
    if (this.#named) this.#members.set(user.id, user);
    this.#count = member_count ?? (this.#named ? this.#members.size : this.#count);
    this.#render();
  }

  /** @param {{user: User, member_count?: number}} event */
  exited({ user, member_count }) {
    this.#members.delete(user.id);
    this.#count = member_count ?? (this.#named ? this.#members.size : this.#count);
    this.stopTyping(user.id);
    this.#render();
  }

  /** @param {User} user */
  startTyping(user) {
    clearTimeout(this.#typists.get(user.id)?.timer);
    this.#typists.set(user.id, { name: user.name, timer: setTimeout(() => this.stopTyping(user.id), TYPING_MS) });
    this.#renderTyping();
  }

  /** @param {string} id of a user who has sent a message or left */
  stopTyping(id) {
    clearTimeout(this.#typists.get(id)?.timer);
    if (this.#typists.delete(id)) this.#renderTyping();
  }

  #render() {
    const members = [...this.#members.values()].sort((a, b) => a.name.localeCompare(b.name));
    this.toggle.hidden = this.#count === null;
    this.toggle.setAttribute('aria-label', this.#count === 1 ? '1 person here' : `${this.#count} people here`);
    this.counter.textContent = `${this.#count} here`;
    this.list.replaceChildren(
      ...members.map((user) =>
        el(
          'li',
          { 'data-user-id': user.id },
          el('span', { class: `avatar ${hue(user.id)}`, 'aria-hidden': 'true' }, initial(user.name)),
          el('span', { class: 'user-name' }, bdi(user.name)),
          user.id === this.#me() && el('span', { class: 'mark' }, 'you'),
          user.kind === 'guest' && el('span', { class: 'mark' }, 'guest'),
        ),
      ),
    );
  }

  #renderTyping() {
    const [first, second, ...more] = [...this.#typists.values()].map(({ name }) => bdi(name));
    this.typing.replaceChildren(
      ...(!first ? [] : !second ? [first, ' is writing…'] : more.length === 0 ? [first, ' and ', second, ' are writing…'] : ['Several people are writing…']),
    );
  }
}
