import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from './fake.js';
import { client, entry, me } from './setup.js';

const bodies = (socket) => socket.all('send').map((frame) => frame.body);
const answer = (c, code, more = {}) => c.socket().say({ type: 'error', id: c.socket().last('send').id, code, message: '', ...more });
const ack = (c, message) => c.socket().say({ type: 'sent', id: c.socket().last('send').id, room: 'general', message });

test('an unknown outcome is sent again with the same nonce, and the next one waits for it', async () => {
  const c = client();
  await c.inGeneral();
  const first = c.parley.send('general', 'one');
  const second = c.parley.send('general', 'two');
  assert.deepEqual(bodies(c.socket()), ['one']);
  answer(c, 'unavailable', { retry_after_ms: 1_000 });
  c.parley.send('general', 'three');
  await c.clock.advance(900);
  assert.deepEqual(bodies(c.socket()), ['one']);
  await c.clock.advance(10_000);
  assert.deepEqual(bodies(c.socket()), ['one', 'one']);
  ack(c, 1);
  ack(c, 2);
  assert.deepEqual(bodies(c.socket()), ['one', 'one', 'two', 'three']);
  const [a, b] = c.socket().all('send');
  assert.equal(a.nonce, b.nonce);
  assert.equal((await first).message, 1);
  assert.equal((await second).message, 2);
});

test('a connection lost before the answer: sent again in order, after the room is resumed', async () => {
  const c = client();
  await c.inGeneral();
  const first = c.parley.send('general', 'one');
  const second = c.parley.send('general', 'two');
  const edited = c.parley.edit('general', 1, 'uno');
  const nonce = c.socket().last('send').nonce;
  c.socket().cut();
  await c.redial();
  c.greet();
  await c.clock.advance(5_000);
  assert.deepEqual(bodies(c.socket()), []);
  c.admit({ recovered: true, messages: undefined, events: [] });
  assert.equal(c.socket().last('send').nonce, nonce);
  ack(c, 1);
  assert.equal(c.socket().last('edit'), undefined);
  ack(c, 2);
  assert.equal(c.socket().last('edit').body, 'uno');
  c.socket().say({ type: 'ok', id: c.socket().last('edit').id, seq: 3 });
  assert.deepEqual([(await first).message, (await second).message, (await edited).seq], [1, 2, 3]);
});

test('one that the replayed log shows is not sent again', async () => {
  const c = client();
  await c.inGeneral();
  const first = c.parley.send('general', 'one');
  const nonce = c.socket().last('send').nonce;
  c.socket().cut();
  await c.redial();
  c.greet();
  c.admit({ recovered: true, messages: undefined, cursor: 1, events: [entry(1, { message: { id: 1, author: me, body: 'one', nonce } })] });
  assert.deepEqual(await first, { message: 1, nonce });
  assert.equal(c.socket().last('send'), undefined);
});

test("another's message with the same nonce settles nothing", async () => {
  const c = client();
  await c.inGeneral();
  c.parley.send('general', 'one', { nonce: 'n' });
  c.parley.send('general', 'two');
  c.socket().say(entry(1, { message: { id: 1, author: { id: 'u2' }, body: 'x', nonce: 'n' } }));
  assert.deepEqual(bodies(c.socket()), ['one']);
  c.socket().say(entry(2, { message: { id: 2, author: me, body: 'one', nonce: 'n' } }));
  assert.deepEqual(bodies(c.socket()), ['one', 'two']);
});

test('what is not stored is rejected, and the next one goes', async () => {
  const c = client();
  await c.inGeneral();
  const first = c.parley.send('general', 'one', { nonce: 'mine' });
  c.parley.send('general', 'two');
  answer(c, 'rate_limited', { retry_after_ms: 700 });
  await assert.rejects(first, { code: 'rate_limited', retry_after_ms: 700 });
  assert.deepEqual(bodies(c.socket()), ['one', 'two']);
  assert.equal(c.socket().all('send')[0].nonce, 'mine');
});

test('a command that the server always stumbles over is given up', async () => {
  const c = client();
  await c.inGeneral();
  const first = c.parley.send('general', 'poison');
  c.parley.send('general', 'two');
  const rejected = assert.rejects(first, { code: 'internal' });
  for (let i = 0; i < 10; i++) {
    answer(c, 'internal');
    await c.clock.advance(10_000);
  }
  await rejected;
  assert.equal(bodies(c.socket()).at(-1), 'two');
});

test('a room that is not joined takes no sends; the queue of one that is, is bounded', async () => {
  const c = client();
  await assert.rejects(c.parley.send('general', 'x'), { code: 'forbidden' });
  await c.inGeneral();
  const kept = Array.from({ length: 200 }, () => c.parley.send('general', 'x'));
  await assert.rejects(c.parley.send('general', 'x'), { code: 'rate_limited' });
  c.parley.close();
  for (const result of await Promise.allSettled(kept)) assert.equal(result.reason.code, 'closed');
});

test('typing is told every three seconds at most, and only in a joined room', async () => {
  const c = client();
  c.parley.typing('general');
  await c.inGeneral();
  c.parley.typing('general');
  c.parley.typing('general');
  await c.clock.advance(3_000);
  c.parley.typing('general');
  assert.equal(c.socket().all('typing').length, 2);
});

test('no answer at all means a dead connection, and the send is repeated on the next', async () => {
  const c = client();
  await c.inGeneral();
  c.parley.send('general', 'one');
  await c.clock.advance(15_000);
  assert.equal(c.sockets[0].closed, true);
  await c.clock.advance(1_000);
  c.greet();
  c.admit();
  await settle();
  assert.deepEqual(bodies(c.socket()), ['one']);
});
