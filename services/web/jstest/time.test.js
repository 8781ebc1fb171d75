import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dayName, timeOfDay, watchDay } from '../assets/time.js';
import { FakeClock } from './fake.js';

/** The zone that the test's local dates are in, until it ends. */
function inZone(t, zone) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  t.after(() => {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  });
}

/** Counts the changes that are told from an instant on. */
function watch(local) {
  const w = { clock: new FakeClock(Date.parse(local)), changes: 0, ended: new AbortController() };
  watchDay(() => w.changes++, w.ended.signal, w.clock);
  return w;
}

test('the days are named anew at midnight, with no event', async (t) => {
  inZone(t, 'Europe/Berlin');
  const w = watch('2026-11-30T23:59:00');
  const message = new Date(w.clock.now());
  const name = (date) => dayName(date, new Date(w.clock.now()));
  await w.clock.advance(59_999);
  assert.deepEqual([w.changes, name(message)], [0, 'Today']);
  await w.clock.advance(1);
  assert.deepEqual([w.changes, name(message), name(new Date(w.clock.now()))], [1, 'Yesterday', 'Today']);
  await w.clock.advance(24 * 3_600_000 - 1);
  assert.equal(w.changes, 1);
  await w.clock.advance(1);
  assert.equal(w.changes, 2);
  w.ended.abort();
  assert.deepEqual(w.clock.waits(), []);
});

test('days of 23 and 25 hours, and midnights that do not exist', (t) => {
  inZone(t, 'UTC');
  for (const [zone, noon] of [
    ['Europe/Berlin', '2026-03-29T12:00:00'],
    ['Europe/Berlin', '2026-03-30T12:00:00'],
    ['Europe/Berlin', '2026-10-25T12:00:00'],
    ['Europe/Berlin', '2026-10-26T12:00:00'],
    ['America/Santiago', '2026-09-06T12:00:00'], // the day begins at one o'clock
    ['America/Santiago', '2026-04-05T12:00:00'], // the day before ends twice
  ]) {
    process.env.TZ = zone;
    const now = new Date(noon);
    const before = (days, ...time) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - days, ...time);
    const names = [before(1, 0, 0), before(1, 23, 59), before(0)].map((date) => dayName(date, now));
    assert.deepEqual(names, ['Yesterday', 'Yesterday', 'Today'], `${zone} ${noon}`);
  }
});

test('another time zone changes the days and the times of day', async (t) => {
  inZone(t, 'Europe/Berlin');
  const w = watch('2026-12-01T00:30:00');
  const message = new Date(w.clock.now() - 3_600_000);
  const shown = () => [dayName(message, new Date(w.clock.now())), timeOfDay(message)];
  assert.deepEqual(shown(), ['Yesterday', timeOfDay(new Date(2026, 11, 1, 23, 30))]);
  process.env.TZ = 'America/New_York';
  await w.clock.advance(60_000);
  assert.equal(w.changes, 1);
  assert.deepEqual(shown(), ['Today', timeOfDay(new Date(2026, 10, 30, 17, 30))]);
  w.ended.abort();
});

test('a day of another year says which', () => {
  const now = new Date('2026-12-01T12:00:00Z');
  assert.match(dayName(new Date('2025-12-01T12:00:00Z'), now), /2025/);
  assert.doesNotMatch(dayName(new Date('2026-11-01T12:00:00Z'), now), /2026/);
});
