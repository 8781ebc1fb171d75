// The list of rooms at the side: the open rooms, and the rooms that the server lists. Events keep it up to date.
import { explain } from './api.js';
import { bdi, el, find, isolated, setAttributes, setChildren } from './dom.js';

const PAGE = 50;

/** @typedef {import('./parley.js').RoomInfo} RoomInfo */

export class Directory {
  /** The rooms that the server listed. @type {Map<string, RoomInfo>} */
  #listed = new Map();
  /** @type {Map<string, {room: RoomInfo, unread: number}>} */
  #open = new Map();
  /** Rooms whose join is in flight. @type {Set<string>} */
  #opening = new Set();
  /** The list items, by slug. @type {Map<string, HTMLElement>} */
  #items = new Map();
  #active = '';
  #query = '';
  #next = '';
  /** Counts loads, so that the answer of an outdated load is dropped. */
  #load = 0;
  #session;
  #deps;
  #list = find('#room-list');
  #note = find('#room-list-note');
  #more = find('#more-rooms');
  /** @type {number | undefined} */
  #searchTimer;

  /**
   * @param {import('./session.js').Session} session
   * @param {{open: (slug: string) => void, leave: (slug: string) => void}} deps
   * @param {AbortSignal} signal removes all listeners
   */
  constructor(session, deps, signal) {
    this.#session = session;
    this.#deps = deps;
    const search = find('#room-search');
    search.value = '';
    search.addEventListener('input', () => {
      clearTimeout(this.#searchTimer);
      this.#searchTimer = setTimeout(() => {
        this.#query = search.value.trim();
        this.reload();
      }, 200);
    }, { signal });
    this.#more.addEventListener('click', () => this.#fetch(this.#next), { signal });
    this.#render();
  }

  /** Loads the list again, as many rooms as were shown. */
  async reload() {
    const shown = this.#listed.size;
    await this.#fetch('', shown);
  }

  /** Adds or updates a room that was created, changed or became visible. @param {RoomInfo} room */
  put(room) {
    const open = this.#open.get(room.slug);
    if (open) open.room = room;
    if (this.#listed.has(room.slug) || matches(room, this.#query)) this.#listed.set(room.slug, room);
    if (this.#listed.size > 0) this.#note.textContent = '';
    this.#render();
  }

  /** @param {string} slug */
  remove(slug) {
    this.#listed.delete(slug);
    this.#render();
  }

  /** @param {string} slug @param {boolean} busy */
  opening(slug, busy) {
    if (busy) this.#opening.add(slug);
    else this.#opening.delete(slug);
    this.#render();
  }

  /** @param {RoomInfo} room */
  opened(room) {
    this.#open.set(room.slug, { room, unread: this.#open.get(room.slug)?.unread ?? 0 });
    this.#render();
  }

  /** @param {string} slug */
  closed(slug) {
    this.#open.delete(slug);
    this.#render();
  }

  /** @param {string} slug */
  activate(slug) {
    this.#active = slug;
    const open = this.#open.get(slug);
    if (open) open.unread = 0;
    this.#render();
  }

  /** Counts an unread message in an open room that is not shown. @param {string} slug */
  addUnread(slug) {
    const open = this.#open.get(slug);
    if (!open) return;
    open.unread++;
    this.#render();
  }

  /** The number of unread messages in all open rooms. */
  unreadCount() {
    return [...this.#open.values()].reduce((sum, { unread }) => sum + unread, 0);
  }

  /** @param {string} cursor @param {number} [atLeast] loads pages until there are this many rooms */
  async #fetch(cursor, atLeast = 0) {
    const load = ++this.#load;
    const rooms = cursor ? new Map(this.#listed) : new Map();
    let next = cursor;
    try {
      do {
        const query = new URLSearchParams({ limit: String(PAGE) });
        if (this.#query) query.set('q', this.#query);
        if (next) query.set('cursor', next);
        const page = await this.#session.call('GET', `/api/rooms?${query}`);
        if (load !== this.#load) return;
        for (const room of page.rooms) rooms.set(room.slug, room);
        next = page.next ?? '';
      } while (next && rooms.size < atLeast);
    } catch (error) {
      if (load === this.#load) this.#note.textContent = explain(error, { unavailable: 'The list can’t be loaded right now.' });
      return;
    }
    this.#listed = rooms;
    this.#next = next;
    for (const [slug, room] of rooms) {
      const open = this.#open.get(slug);
      if (open) open.room = room;
    }
    this.#note.textContent = rooms.size > 0 ? '' : this.#query ? 'No room matches.' : 'There are no rooms yet.';
    this.#render();
  }

  #render() {
    const open = [...this.#open.values()].map(({ room }) => room).sort(byName);
    const rest = [...this.#listed.values()].filter((room) => !this.#open.has(room.slug)).sort(byName);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const before = this.#items;
    this.#items = new Map([...open, ...rest].map(({ slug }) => [slug, before.get(slug) ?? this.#item(slug)]));
    setChildren(find('#open-rooms'), open.map((room) => this.#show(room, true)));
    setChildren(this.#list, rest.map((room) => this.#show(room, false)));
    if (focused?.isConnected && focused !== document.activeElement) focused.focus(); // moving an item to the other list loses the focus
    find('#open-section').hidden = open.length === 0;
    this.#more.hidden = !this.#next;
    const count = this.unreadCount();
    document.title = count ? `(${count}) Parley` : 'Parley';
  }

  /** @param {string} slug */
  #item(slug) {
    return el(
      'li',
      { 'data-room': slug },
      el('button', { type: 'button', class: 'room-open', on: { click: () => this.#deps.open(slug) } }),
      el(
        'button',
        { type: 'button', class: 'room-leave icon', title: 'Leave', on: { click: () => this.#deps.leave(slug) } },
        el('span', { 'aria-hidden': 'true' }, '×'),
      ),
    );
  }

  /** Updates a room's item. @param {RoomInfo} room @param {boolean} open */
  #show(room, open) {
    const item = /** @type {HTMLElement} */ (this.#items.get(room.slug));
    const unread = this.#open.get(room.slug)?.unread ?? 0;
    const active = room.slug === this.#active;
    const [enter, leave] = item.children;
    setAttributes(item, { class: active && 'active', 'data-unread': unread || undefined, 'aria-busy': this.#opening.has(room.slug) && 'true' });
    setAttributes(enter, { 'aria-current': active && 'true', title: room.description ? isolated(room.description) : undefined });
    enter.replaceChildren(
      el('span', { class: 'room-name' }, bdi(room.name)),
      ...['staff', 'guests', 'private'].filter((_, i) => [room.staff_only, room.allow_guests, room.private][i]).map((word) => el('span', { class: 'mark' }, word)),
      ...(unread > 0 ? [el('span', { class: 'badge' }, unread > 99 ? '99+' : String(unread), el('span', { class: 'unseen' }, ' unread'))] : []),
    );
    setAttributes(leave, { 'aria-label': `Leave ${isolated(room.name)}`, hidden: !open });
    return item;
  }
}

/** @param {RoomInfo} a @param {RoomInfo} b */
function byName(a, b) {
  return a.name.localeCompare(b.name, undefined, { numeric: true, sensitivity: 'base' }) || (a.slug < b.slug ? -1 : 1);
}

/** @param {RoomInfo} room @param {string} query */
function matches(room, query) {
  const wanted = query.toLowerCase();
  return [room.slug, room.name, room.description ?? ''].some((text) => text.toLowerCase().includes(wanted));
}
