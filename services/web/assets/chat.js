// The page of a signed-in user: one connection, the list of rooms, and a panel for each open room.
import { explain } from './api.js';
import { wireCreateRoom } from './create-room.js';
import { Directory } from './directory.js';
import { bdi, find } from './dom.js';
import { Drafts } from './drafts.js';
import { Parley } from './parley.js';
import { RoomPanel } from './room.js';
import { Status, toast } from './status.js';
import { tabStore } from './storage.js';
import { watchDay } from './time.js';

/** After a reconnect the room list is loaded at a random time in this span, because all clients reconnect at once. */
const RELOAD_SPREAD_MS = 2_000;

export class Chat {
  /** @type {Map<string, RoomPanel>} */
  #panels = new Map();
  #active = '';
  /** Removes this chat's listeners on objects that outlive it. */
  #ended = new AbortController();
  #session;
  #user;
  #drafts;
  #parley;
  #directory;

  /** @param {import('./session.js').Session} session of a signed-in user @param {() => void} signedOut called when the server ended the session */
  constructor(session, signedOut) {
    const { signal } = this.#ended;
    this.#session = session;
    this.#user = /** @type {import('./parley.js').User} */ (session.user);
    this.#drafts = new Drafts(this.#user.id);
    this.#parley = new Parley({ url: socketURL(), token: (want) => session.token(want) });
    this.#directory = new Directory(session, { open: (slug) => this.open(slug), leave: (slug) => this.#leave(slug) }, signal);
    const status = new Status(() => this.#parley.retryNow(), signal);
    wireCreateRoom(session, (room) => {
      this.#directory.put(room);
      this.open(room.slug);
    }, signal);
    this.#parley.on('state', (event) => {
      status.show(event);
      if (event.state === 'signed_out') signedOut();
    });
    const named = location.hash.slice(1);
    this.#subscribe();
    this.#activate('');
    find('[data-user-name]').textContent = this.#user.name;
    watchDay(() => {
      for (const { timeline } of this.#panels.values()) timeline.updateDays();
    }, signal);
    addEventListener('hashchange', () => location.hash.length > 1 && this.open(location.hash.slice(1)), { signal });
    this.#parley.connect();
    this.#reopen(named);
  }

  end() {
    this.#ended.abort();
    this.#parley.close();
    for (const panel of this.#panels.values()) {
      panel.saveUnsent();
      panel.element.remove();
    }
  }

  /** Forgets which rooms were open, so that the next user of this browser does not see them. */
  forget() {
    tabStore.erase(this.#key());
    history.replaceState(null, '', location.pathname);
  }

  /** Shows a room, and joins it if it is not open yet. @param {string} slug */
  async open(slug) {
    if (this.#panels.has(slug)) {
      this.#activate(slug);
      return;
    }
    await this.#join(slug, true);
  }

  /** @param {string} slug @param {boolean} requested whether the user asked for it: the room is then shown, and errors too */
  async #join(slug, requested) {
    this.#directory.opening(slug, true);
    try {
      await this.#parley.join(slug, { limit: 50 });
      if (requested) this.#activate(slug);
    } catch (error) {
      if (!requested || this.#ended.signal.aborted) return;
      toast(explain(error, { not_found: 'There is no such room.', forbidden: 'You are not allowed to join this room.', closed: 'You left the room before it opened.' }));
    } finally {
      this.#directory.opening(slug, false);
    }
  }

  #subscribe() {
    const { signal } = this.#ended;
    const parley = this.#parley;
    const panel = (/** @type {string} */ slug) => this.#panels.get(slug);
    let connectedBefore = false;
    parley.on('hello', (hello) => {
      this.#user = hello.user;
      const timer = setTimeout(() => this.#directory.reload(), connectedBefore ? Math.random() * RELOAD_SPREAD_MS : 0);
      signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
      connectedBefore = true;
    });
    parley.on('joined', (joined) => {
      this.#opened(joined.room);
      panel(joined.room.slug)?.joined(joined);
    });
    parley.on('message', ({ room, message }) => {
      panel(room)?.message(message);
      if ((room !== this.#active || document.hidden) && message.author.id !== this.#user.id) this.#directory.addUnread(room);
    });
    parley.on('edited', ({ room, message }) => panel(room)?.edited(message));
    parley.on('deleted', ({ room, message }) => panel(room)?.deleted(message));
    parley.on('notice', ({ room, seq, text }) => panel(room)?.timeline.notice(seq, text));
    parley.on('entered', (event) => panel(event.room)?.people.entered(event));
    parley.on('exited', (event) => panel(event.room)?.people.exited(event));
    parley.on('typing', ({ room, user }) => panel(room)?.people.startTyping(user));
    parley.on('room_created', ({ room }) => this.#directory.put(room));
    parley.on('room_updated', ({ room }) => {
      this.#directory.put(room);
      panel(room.slug)?.describe(room);
    });
    parley.on('room_deleted', ({ room }) => {
      this.#closed(room, 'This room was deleted.');
      this.#directory.remove(room);
    });
    parley.on('kicked', ({ room }) => this.#closed(room, 'You were removed from this room.'));
    parley.on('error', (error) => toast(explain(error)));
    addEventListener('beforeunload', (event) => {
      if ([...this.#panels.values()].some(({ pending }) => pending.unsent.length > 0)) event.preventDefault();
    }, { signal });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#directory.activate(this.#active);
    }, { signal });
  }

  /** @param {import('./parley.js').RoomInfo} room */
  #opened(room) {
    this.#directory.opened(room);
    if (this.#panels.has(room.slug)) return;
    const panel = new RoomPanel(this.#parley, room, {
      me: () => this.#user,
      drafts: this.#drafts,
      leave: () => this.#leave(room.slug),
      back: () => this.#activate(''),
    });
    this.#panels.set(room.slug, panel);
    find('#stage').append(panel.element);
    this.#saveOpenRooms();
  }

  /** @param {string} slug */
  #leave(slug) {
    this.#parley.leave(slug);
    this.#closed(slug);
  }

  /** @param {string} slug @param {string} [why] if the user did not ask for it */
  #closed(slug, why) {
    const panel = this.#panels.get(slug);
    if (!panel) return;
    const { length: unsent } = panel.pending.unsent;
    const name = () => bdi(panel.title.textContent);
    if (why) toast(name(), `: ${why}`);
    if (unsent) toast(name(), `: ${unsent === 1 ? 'one message' : `${unsent} messages`} may not have been sent.`);
    panel.saveUnsent();
    panel.element.remove();
    this.#panels.delete(slug);
    this.#directory.closed(slug);
    this.#saveOpenRooms();
    if (slug === this.#active) this.#activate(matchMedia('(max-width: 46rem)').matches ? '' : ([...this.#panels.keys()].at(-1) ?? ''));
  }

  /** Shows one open room, or only the list if slug is ''. @param {string} slug */
  #activate(slug) {
    this.#active = slug;
    for (const [other, panel] of this.#panels) panel.show(other === slug);
    find('#nothing-open').hidden = slug !== '';
    find('#chat').dataset.active = slug;
    this.#directory.activate(slug);
    if (slug) history.replaceState(null, '', `#${slug}`);
    else if (location.hash) history.replaceState(null, '', location.pathname);
  }

  /** After a reload, opens the rooms that were open in this tab, and the room in the address. @param {string} named */
  #reopen(named) {
    const before = tabStore.read(this.#key());
    for (const slug of Array.isArray(before) ? before : []) if (slug !== named) this.#join(slug, false);
    if (named) this.open(named);
  }

  #saveOpenRooms() {
    tabStore.write(this.#key(), [...this.#panels.keys()]);
  }

  #key() {
    return `parley.open.${this.#session.user?.id ?? this.#user.id}`;
  }
}

function socketURL() {
  const url = new URL('ws', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  url.hash = '';
  return url.href;
}
