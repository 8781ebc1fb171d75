import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client, entry, general, me } from './setup.js';

const seqs = (c) => c.of('message').map((event) => event.seq);

test('a lost connection is resumed from the cursor, and nothing is shown twice', async () => {
  const c = client();
  await c.inGeneral(5);
  c.socket().say(entry(6), entry(7));
  c.socket().cut();
  await c.redial();
  assert.equal(c.sockets.length, 2);
  c.greet();
  assert.deepEqual(c.socket().last('join'), { type: 'join', id: c.socket().last('join').id, room: 'general', after: 7, log: 'L1' });
  c.admit({ recovered: true, cursor: 9, messages: undefined, events: [entry(7), entry(8), entry(9)] });
  c.socket().say(entry(9), entry(10));
  assert.deepEqual(seqs(c), [6, 7, 8, 9, 10]);
  assert.deepEqual(c.parley.cursor('general'), { after: 10, log: 'L1' });
});

test('a seq beyond the next one is a gap: the room is joined again from the cursor, once', async () => {
  const c = client();
  await c.inGeneral(5);
  c.socket().say(entry(6), entry(8), entry(9));
  assert.equal(c.socket().all('join').length, 2);
  assert.equal(c.socket().last('join').after, 6);
  // The frame right behind the answer must find it applied, though both come in one go.
  const id = c.socket().last('join').id;
  c.socket().say({ type: 'joined', id, room: general, cursor: 9, recovered: true, events: [entry(7), entry(8), entry(9)] }, entry(10));
  assert.deepEqual(seqs(c), [6, 7, 8, 9, 10]);
  assert.equal(c.socket().all('join').length, 2);
});

test('a replay with a hole is not taken for whole', async () => {
  const c = client();
  await c.inGeneral(5);
  c.socket().say(entry(7));
  c.admit({ recovered: true, cursor: 8, messages: undefined, events: [entry(6), entry(8)] });
  assert.deepEqual(seqs(c), []);
  assert.equal(c.socket().last('join').after, undefined);
  c.admit({ cursor: 8, messages: [{ id: 8, author: me, body: 'x' }] });
  assert.equal(c.of('joined').at(-1).recovered, false);
  c.socket().say(entry(9));
  assert.deepEqual(seqs(c), [9]);
});

test('what could not be recovered is said, and the cursor starts anew', async () => {
  const c = client();
  await c.inGeneral(5);
  c.socket().cut(4408);
  await c.redial();
  c.greet();
  c.admit({ cursor: 900, room: { ...general, log: 'L2' } });
  assert.equal(c.of('joined').at(-1).recovered, false);
  assert.deepEqual(c.parley.cursor('general'), { after: 900, log: 'L2' });
});

test('kinds of entries that are not known move the cursor and nothing else', async () => {
  const c = client();
  await c.inGeneral(5);
  const before = c.events.length;
  c.socket().say({ type: 'poll', room: 'general', seq: 6 }, entry(7));
  assert.deepEqual(c.events.slice(before).map((e) => e.on), ['message']);
  assert.equal(c.parley.cursor('general').after, 7);
  assert.equal(c.socket().all('join').length, 1);
});

test('a cursor kept from before resumes in a new client', async () => {
  const c = client();
  await c.online();
  c.parley.join('general', { after: 41, log: 'L1', limit: 30 });
  assert.equal(c.socket().last('join').after, 41);
  assert.equal(c.socket().last('join').log, 'L1');
  c.admit({ recovered: true, cursor: 42, messages: undefined, events: [entry(42)] });
  assert.deepEqual(seqs(c), [42]);
});

test('a join turned down after a reconnect is told as being thrown out', async () => {
  const c = client();
  await c.inGeneral(5);
  const sent = c.parley.send('general', 'hi');
  c.socket().cut();
  await c.redial();
  c.greet();
  c.socket().say({ type: 'error', id: c.socket().last('join').id, code: 'not_found', message: 'no such room' });
  await assert.rejects(sent, { code: 'closed' });
  assert.equal(c.of('kicked')[0].room, 'general');
  assert.equal(c.parley.state, 'online');
  assert.equal(c.parley.cursor('general'), null);
});

test('a join that is unavailable is tried again, not before the time asked for', async () => {
  const c = client();
  await c.online();
  const joined = c.parley.join('general');
  c.socket().say({ type: 'error', id: c.socket().last('join').id, code: 'unavailable', message: '', retry_after_ms: 4_000 });
  await c.clock.advance(3_900);
  assert.equal(c.socket().all('join').length, 1);
  await c.clock.advance(1_000);
  assert.equal(c.socket().all('join').length, 2);
  c.admit();
  assert.equal((await joined).cursor, 0);
});

test('an answer that comes after leaving brings nothing back', async () => {
  const c = client();
  await c.online();
  const joined = c.parley.join('general');
  c.parley.leave('general');
  await assert.rejects(joined, { code: 'closed' });
  c.admit({ cursor: 3 });
  c.socket().say(entry(4));
  assert.equal(c.of('joined').length, 0);
  assert.equal(c.of('message').length, 0);
});
