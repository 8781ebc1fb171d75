// The messages of a room, in the order of their ids. Scrolling up loads older messages.
import { explain } from './api.js';
import { bdi, el } from './dom.js';
import { MessageView } from './message.js';

const PAGE = 50;
/** A room that stays open for days must not fill the memory: above MAX_MESSAGES, only the newest KEPT_MESSAGES stay. */
const MAX_MESSAGES = 600;
const KEPT_MESSAGES = 300;
/** Within this distance the view counts as being at the end. */
const NEAR_PX = 120;

/** @typedef {import('./parley.js').Message} Message */

export class Timeline {
  /** @type {Map<number, MessageView>} */
  #views = new Map();
  #hasMore = false;
  #loading = false;
  /** Messages that were edited or deleted (null) while an older page was loading, which may have their old state. @type {Map<number, Message | null>} */
  #changedWhileLoading = new Map();
  /** Whether the newest message is visible, and should stay visible. */
  #atEnd = true;
  #scrollTop = 0;
  /** @type {import('./message.js').Actions} */
  #actions;
  #fetchOlder;
  #editOf;

  /**
   * @param {Omit<import('./message.js').Actions, 'lookup' | 'jump'> & {edited: (id: number) => string | undefined}} actions `edited` returns the text of an unfinished edit
   * @param {(before: number, limit: number) => Promise<{messages: Message[], has_more: boolean}>} fetchOlder
   * @param {Element} pending the list of messages being sent, shown below the others
   */
  constructor(actions, fetchOlder, pending) {
    this.#actions = { ...actions, lookup: (id) => this.lookup(id), jump: (id) => this.#jump(id) };
    this.#editOf = actions.edited;
    this.#fetchOlder = fetchOlder;
    this.older = el('button', { type: 'button', class: 'older small', hidden: true, on: { click: () => this.#loadOlder() } }, 'Show earlier messages');
    this.list = el('ol', { class: 'messages', role: 'log', 'aria-live': 'polite', 'aria-label': 'Messages', on: { click: choose } });
    this.newer = el('button', { type: 'button', class: 'newer small', hidden: true, on: { click: () => this.toEnd() } }, 'New messages ↓');
    this.scroller = el('div', { class: 'scroller', tabindex: 0, 'aria-label': 'Message history', role: 'region', on: { scroll: () => this.#scrolled() } }, this.older, this.list, pending);
    const resized = new ResizeObserver(() => this.#stayAtEnd());
    for (const part of [this.scroller, this.list, pending]) resized.observe(part);
  }

  /** Replaces all messages. @param {Message[]} messages oldest first @param {boolean} hasMore */
  replace(messages, hasMore) {
    this.#withoutAnnouncing(() => {
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
    this.#stayAtEnd();
  }

  /** @param {Message} message */
  change(message) {
    if (this.#loading) this.#changedWhileLoading.set(message.id, message);
    const view = this.#views.get(message.id);
    if (view) this.#update(view, message);
    this.#stayAtEnd();
  }

  /** @param {number} id */
  remove(id) {
    if (this.#loading) this.#changedWhileLoading.set(id, null);
    this.#views.get(id)?.remove();
    this.#updateQuotes(id);
    this.#stayAtEnd();
  }

  /** A message as it is now, if it is loaded. @param {number} id */
  lookup(id) {
    return this.#views.get(id)?.message;
  }

  /** Updates the days and times after a new day began or the time zone changed. */
  updateDays() {
    for (const { element } of this.#views.values()) this.#updateHead(element);
  }

  /** @param {number} seq @param {string} text */
  notice(seq, text) {
    this.list.append(el('li', { class: 'notice', 'data-seq': seq }, bdi(text)));
    this.#stayAtEnd();
  }

  /** The user's own newest message that can still be edited. */
  lastOwn() {
    return [...this.#views.values()].filter((view) => view.own && !view.message.deleted).sort((a, b) => b.message.id - a.message.id)[0];
  }

  toEnd() {
    this.#atEnd = true;
    this.newer.hidden = true;
    this.#stayAtEnd();
  }

  /** Restores the scroll position when the panel is shown again. */
  shown() {
    if (this.#atEnd) this.#stayAtEnd();
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
    this.#updateHead(view.element);
    this.#updateHead(view.element.nextElementSibling);
    this.#updateQuotes(message.id);
    const edit = view.own ? this.#editOf(message.id) : undefined;
    if (edit === undefined) return;
    if (message.deleted || edit === message.body) this.#actions.editing(message.id, null);
    else view.edit(edit);
  }

  /** @param {MessageView} view @param {Message} message */
  #update(view, message) {
    view.update(message);
    this.#updateQuotes(message.id);
  }

  /** Updates the quotes in the replies to a message that was added, changed or removed. @param {number} id */
  #updateQuotes(id) {
    for (const view of this.#views.values()) if (view.message.reply_to === id) view.updateQuote();
  }

  /** @param {Element | null} element */
  #updateHead(element) {
    if (!element) return;
    let before = element.previousElementSibling;
    while (before && !before.hasAttribute('data-message-id')) before = before.previousElementSibling;
    this.#views.get(seqOf(element))?.updateHead(this.#views.get(seqOf(before))?.message);
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
      if (this.#first() !== first) return; // the timeline was replaced or trimmed meanwhile
      this.#prepend(messages);
      this.#setMore(has_more && messages.length > 0);
    } catch (error) {
      failed = explain(error);
    } finally {
      this.#loading = false;
      this.#changedWhileLoading.clear();
      this.older.disabled = false;
      this.older.textContent = failed ? `${failed} Try again` : 'Show earlier messages';
    }
    if (!failed) this.#fill();
  }

  /** Adds older messages above, without moving the visible ones. @param {Message[]} messages newest first */
  #prepend(messages) {
    const fromEnd = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.#withoutAnnouncing(() => {
      for (const message of messages) {
        if (this.#views.has(message.id)) continue;
        const changed = this.#changedWhileLoading.get(message.id);
        this.#insert(changed ?? message);
        if (changed === null) this.remove(message.id);
      }
    });
    this.scroller.scrollTop = this.scroller.scrollHeight - fromEnd;
  }

  #trim() {
    if (this.#views.size <= MAX_MESSAGES) return;
    const ids = [...this.#views.keys()].sort((a, b) => a - b).slice(0, -KEPT_MESSAGES);
    for (const id of ids) {
      this.#views.get(id)?.element.remove();
      this.#views.delete(id);
    }
    for (const id of ids) this.#updateQuotes(id);
    while (this.list.firstElementChild?.classList.contains('notice')) this.list.firstElementChild.remove();
    this.#updateHead(this.list.firstElementChild);
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
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.#atEnd) this.newer.hidden = true;
    this.#fill();
  }

  /** Loads older messages if the view is near the top. */
  #fill() {
    if (this.#visible() && this.#hasMore && this.scroller.scrollTop < 2 * NEAR_PX) this.#loadOlder();
  }

  #stayAtEnd() {
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

  /** Runs a change that screen readers should not announce message by message. @param {() => void} change */
  #withoutAnnouncing(change) {
    this.list.setAttribute('aria-live', 'off');
    change();
    requestAnimationFrame(() => this.list.setAttribute('aria-live', 'polite'));
  }
}

/** On touch screens, which can't hover, a tap on a message shows its actions. @param {Event} event */
function choose(event) {
  const target = /** @type {Element} */ (event.target);
  if (target.closest('button, textarea')) return;
  const message = target.closest('.message');
  for (const other of document.querySelectorAll('.chosen')) if (other !== message) other.classList.remove('chosen');
  if (target.closest('.bubble')) message?.classList.toggle('chosen');
}

/** Returns the seq of a message (its id) or of a notice. @param {Element | null | undefined} element */
function seqOf(element) {
  return Number(element?.getAttribute('data-message-id') ?? element?.getAttribute('data-seq') ?? NaN);
}
