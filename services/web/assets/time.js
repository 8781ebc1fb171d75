// Formats times and days in the user's time zone, which may change while the page is open.

/** No event tells that the computer slept, or that its clock or time zone changed, so the page checks this often. */
const CHECK_MS = 60_000;

const browserClock = { now: () => Date.now(), setTimeout: (/** @type {() => void} */ run, /** @type {number} */ ms) => setTimeout(run, ms), clearTimeout: (/** @type {any} */ timer) => clearTimeout(timer) };

/** Formatters keep the time zone in which they were created. @type {{zone: string, clock: Intl.DateTimeFormat, whole: Intl.DateTimeFormat, day: Intl.DateTimeFormat, dayOfYear: Intl.DateTimeFormat}} */
let formats;

function current() {
  const { timeZone: zone } = Intl.DateTimeFormat().resolvedOptions();
  if (formats?.zone !== zone) {
    const day = /** @type {const} */ ({ weekday: 'long', day: 'numeric', month: 'long' });
    formats = {
      zone,
      clock: new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' }),
      whole: new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' }),
      day: new Intl.DateTimeFormat(undefined, day),
      dayOfYear: new Intl.DateTimeFormat(undefined, { ...day, year: 'numeric' }),
    };
  }
  return formats;
}

/** @param {Date} date */
export function timeOfDay(date) {
  return current().clock.format(date);
}

/** @param {Date} date */
export function dateAndTime(date) {
  return current().whole.format(date);
}

/** Returns the number of a calendar day. It works for days of 23 or 25 hours too. @param {Date} date */
export function dayNumber(date) {
  return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
}

/** @param {Date} date @param {Date} [now] */
export function dayName(date, now = new Date()) {
  const days = dayNumber(now) - dayNumber(date);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return date.getFullYear() === now.getFullYear() ? current().day.format(date) : current().dayOfYear.format(date);
}

/**
 * Calls changed when a new day begins or the time zone changes, until signal aborts.
 * @param {() => void} changed @param {AbortSignal} signal @param {import('./parley.js').Clock} [clock]
 */
export function watchDay(changed, signal, clock = browserClock) {
  let known = '';
  /** @type {unknown} */
  let timer;
  const check = () => {
    clock.clearTimeout(timer);
    if (signal.aborted) return;
    const now = new Date(clock.now());
    const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
    timer = clock.setTimeout(check, Math.min(midnight.getTime() - now.getTime(), CHECK_MS));
    const before = known;
    known = `${current().zone} ${dayNumber(now)}`;
    if (before && known !== before) changed();
  };
  check();
  signal.addEventListener('abort', check);
  globalThis.document?.addEventListener('visibilitychange', check, { signal });
}
