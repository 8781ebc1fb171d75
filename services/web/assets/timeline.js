// What was said in a room: each message once, in order of its id, older ones fetched as one scrolls up.
import { explain } from './api.js';
import { bdi, el } from './dom.js';
import { MessageView } from './message.js';

const PAGE = 50;
/** A room that stays open for days must not fill the memory: beyond the first number, only the second is kept. */
const MOST = 600;
const KEPT = 300;
const NEAR = 120;

/** @typedef {import('./parley.js').Message} Message */

export class Timeline {
  /** @type {Map<number, MessageView>} */
  #views = new Map();
  #hasMore = false;
  #loading = false;
  /** What was edited or deleted while an older page was under way, which may show it as it was. @type {Map<number, Message | null>} */
  #meanwhile = new Map();
  /** Whether the newest message is in sight, and should stay so. */
  #atEnd = true;
  #scrollTop = 0;
  /** @type {import('./message.js').Actions} */
  #actions;
  #fetchOlder;
  #edited;

  /**
   * @param {Omit<import('./message.js').Actions, 'lookup' | 'jump'> & {edited: (id: number) => string | undefined}} actions `edited`: an edit of before, to go on with
   * @param {(before: number, limit: number) => Promise<{messages: Message[], has_more: boolean}>} fetchOlder
   * @param {Element} pending what stands below the messages
   */
  constructor(actions, fetchOlder, pending) {
    this.#actions = { ...actions, lookup: (id) => this.lookup(id), jump: (id) => this.#jump(id) };
    this.#edited = actions.edited;
    this.#fetchOlder = fetchOlder;
    this.older = el('button', { type: 'button', class: 'older small', hidden: true, on: { click: () => this.#loadOlder() } }, 'Show earlier messages');
    this.list = el('ol', { class: 'messages', role: 'log', 'aria-live': 'polite', 'aria-label': 'Messages', on: { click: choose } });
    this.newer = el('button', { type: 'button', class: 'newer small', hidden: true, on: { click: () => this.toEnd() } }, 'New messages ↓');
    this.scroller = el('div', { class: 'scroller', tabindex: 0, 'aria-label': 'What was said', role: 'region', on: { scroll: () => this.#scrolled() } }, this.older, this.list, pending);
    const resized = new ResizeObserver(() => this.#keep());
    for (const part of [this.scroller, this.list, pending]) resized.observe(part);
  }

  /** All that was shown goes. @param {Message[]} messages oldest first @param {boolean} hasMore */
  replace(messages, hasMore) {
    this.#quietly(() => {
      this.#views.clear();
      this.list.replaceChildren();
      for (const message of messages) this.#insert(message);
    });
    this.#setMore(hasMore);
    this.toEnd();
    this.#fill();
  }

  /** @param {Message} message new, or replayed as it is now */
  add(message) {
    const known = this.#views.get(message.id);
    if (known) this.#update(known, message);
    else this.#insert(message);
    if (this.#atEnd) this.#trim();
    else if (!known && message.author.id !== this.#actions.me().id) this.newer.hidden = false;
    this.#keep();
  }

  /** @param {Message} message */
  change(message) {
    if (this.#loading) this.#meanwhile.set(message.id, message);
    const view = this.#views.get(message.id);
    if (view) this.#update(view, message);
    this.#keep();
  }

  /** @param {number} id */
  remove(id) {
    if (this.#loading) this.#meanwhile.set(id, null);
    this.#views.get(id)?.remove();
    this.#requote(id);
    this.#keep();
  }

  /** A message as it is now, if it is loaded. @param {number} id */
  lookup(id) {
    return this.#views.get(id)?.message;
  }

  /** Another day has begun, or the time zone is another. */
  renewDays() {
    for (const { element } of this.#views.values()) this.#regroup(element);
  }

  /** @param {number} seq @param {string} text */
  notice(seq, text) {
    this.list.append(el('li', { class: 'notice', 'data-seq': seq }, bdi(text)));
    this.#keep();
  }

  /** The newest message of one's own that can still be edited. */
  lastOwn() {
    return [...this.#views.values()].filter((view) => view.own && !view.message.deleted).sort((a, b) => b.message.id - a.message.id)[0];
  }

  toEnd() {
    this.#atEnd = true;
    this.newer.hidden = true;
    this.#keep();
  }

  /** The panel is in sight (again). */
  shown() {
    if (this.#atEnd) this.#keep();
    else this.scroller.scrollTop = this.#scrollTop;
    this.#fill();
  }

  /** @param {Message} message */
  #insert(message) {
    const view = new MessageView(message, this.#actions);
    this.#views.set(message.id, view);
    let before = this.list.lastElementChild;
    while (before && seqOf(before) > message.id) before = before.previousElementSibling;
    if (before) before.after(view.element);
    else this.list.prepend(view.element);
    this.#regroup(view.element);
    this.#regroup(view.element.nextElementSibling);
    this.#requote(message.id);
    const edit = view.own ? this.#edited(message.id) : undefined;
    if (edit === undefined) return;
    if (message.deleted || edit === message.body) this.#actions.editing(message.id, null);
    else view.edit(edit);
  }

  /** @param {MessageView} view @param {Message} message */
  #update(view, message) {
    view.update(message);
    this.#requote(message.id);
  }

  /** A message came, changed or went: those that answer it show it so. @param {number} id */
  #requote(id) {
    for (const view of this.#views.values()) if (view.message.reply_to === id) view.requote();
  }

  /** @param {Element | null} element */
  #regroup(element) {
    if (!element) return;
    let before = element.previousElementSibling;
    while (before && !before.hasAttribute('data-message-id')) before = before.previousElementSibling;
    this.#views.get(seqOf(element))?.follow(this.#views.get(seqOf(before))?.message);
  }

  async #loadOlder() {
    const first = this.#first();
    if (this.#loading || !first) return;
    this.#loading = true;
    this.older.disabled = true;
    this.older.textContent = 'Loading…';
    let failed = '';
    try {
      const { messages, has_more } = await this.#fetchOlder(first, PAGE);
      if (this.#first() !== first) return; // replaced or trimmed since
      this.#prepend(messages);
      this.#setMore(has_more && messages.length > 0);
    } catch (error) {
      failed = explain(error);
    } finally {
      this.#loading = false;
      this.#meanwhile.clear();
      this.older.disabled = false;
      this.older.textContent = failed ? `${failed} Try again` : 'Show earlier messages';
    }
    if (!failed) this.#fill();
  }

  /** Puts older messages above without moving what is in sight. @param {Message[]} messages newest first */
  #prepend(messages) {
    const fromEnd = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.#quietly(() => {
      for (const message of messages) {
        if (this.#views.has(message.id)) continue;
        const now = this.#meanwhile.get(message.id);
        this.#insert(now ?? message);
        if (now === null) this.remove(message.id);
      }
    });
    this.scroller.scrollTop = this.scroller.scrollHeight - fromEnd;
  }

  #trim() {
    if (this.#views.size <= MOST) return;
    const ids = [...this.#views.keys()].sort((a, b) => a - b).slice(0, -KEPT);
    for (const id of ids) {
      this.#views.get(id)?.element.remove();
      this.#views.delete(id);
    }
    for (const id of ids) this.#requote(id);
    while (this.list.firstElementChild?.classList.contains('notice')) this.list.firstElementChild.remove();
    this.#regroup(this.list.firstElementChild);
    this.#setMore(true);
  }

  #first() {
    return seqOf(this.list.querySelector('[data-message-id]'));
  }

  /** @param {boolean} hasMore */
  #setMore(hasMore) {
    this.#hasMore = hasMore;
    this.older.hidden = !hasMore;
  }

  #scrolled() {
    if (!this.#visible()) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.#scrollTop = scrollTop;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#atEnd) this.newer.hidden = true;
    this.#fill();
  }

  /** Fetches older messages where the top is near. */
  #fill() {
    if (this.#visible() && this.#hasMore && this.scroller.scrollTop < 2 * NEAR) this.#loadOlder();
  }

  #keep() {
    if (this.#atEnd && this.#visible()) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #visible() {
    return this.scroller.clientHeight > 0;
  }

  /** @param {number} id */
  #jump(id) {
    const element = this.#views.get(id)?.element;
    element?.scrollIntoView({ block: 'center' });
    element?.animate?.([{ opacity: 0.3 }, { opacity: 1 }], { duration: 600 });
  }

  /** Runs a change that screen readers should not read out message by message. @param {() => void} change */
  #quietly(change) {
    this.list.setAttribute('aria-live', 'off');
    change();
    requestAnimationFrame(() => this.list.setAttribute('aria-live', 'polite'));
  }
}

/** A tap on a message shows what can be done with it, where nothing hovers. @param {Event} event */
function choose(event) {
  const target = /** @type {Element} */ (event.target);
  if (target.closest('button, textarea')) return;
  const message = target.closest('.message');
  for (const other of document.querySelectorAll('.chosen')) if (other !== message) other.classList.remove('chosen');
  if (target.closest('.bubble')) message?.classList.toggle('chosen');
}

/** Of a message (whose id is its seq) or a notice. @param {Element | null | undefined} element */
function seqOf(element) {
  return Number(element?.getAttribute('data-message-id') ?? element?.getAttribute('data-seq') ?? NaN);
}
