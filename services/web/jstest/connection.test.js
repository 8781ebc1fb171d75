import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../assets/parley/backoff.js';
import { newNonce } from '../assets/parley.js';
import { settle } from './fake.js';
import { client, entry } from './setup.js';

const waits = (c) => c.of('state').filter((e) => e.retry_in_ms !== undefined).map((e) => e.retry_in_ms);

test('full jitter: anything up to a ceiling that doubles up to a cap', () => {
  const at = (share) => {
    const backoff = new Backoff(500, 4_000, () => share);
    return [1, 2, 3, 4, 5].map(() => backoff.next());
  };
  assert.deepEqual(at(0), [0, 0, 0, 0, 0]);
  assert.deepEqual(at(0.5), [250, 500, 1_000, 2_000, 2_000]);
});

test('the back-off grows until a resume, and a mere connection does not reset it', async () => {
  const c = client();
  await c.inGeneral();
  for (let i = 0; i < 3; i++) {
    c.socket().cut();
    await c.redial();
    c.greet(); // connected and authenticated, but never back in the room
  }
  assert.deepEqual(waits(c), [250, 500, 1_000]);
  assert.equal(c.parley.state, 'reconnecting');
  c.admit();
  assert.equal(c.parley.state, 'online');
  c.socket().cut();
  assert.deepEqual(waits(c), [250, 500, 1_000, 250]);
});

test('a drain is followed at a random moment within, without back-off', async () => {
  const c = client();
  await c.inGeneral();
  c.socket().say({ type: 'draining', after_ms: 10_000 });
  await c.clock.advance(4_900);
  assert.equal(c.sockets.length, 1);
  c.socket().say(entry(1));
  await c.clock.advance(200);
  assert.equal(c.sockets.length, 2);
  assert.equal(c.sockets[0].closed, true);
  c.greet();
  assert.equal(c.socket().last('join').after, 1);
});

test('4401: the next try asks for a fresh token; none means signed out', async () => {
  const answers = ['old', 'new', null];
  const asked = [];
  const c = client({
    token: async ({ fresh }) => {
      asked.push(fresh);
      return answers.shift();
    },
  });
  await c.inGeneral();
  c.socket().cut(4401);
  await c.redial();
  assert.deepEqual(asked, [false, true]);
  c.socket().accept();
  assert.equal(c.socket().last('auth').token, 'new');
  c.socket().cut(4401);
  await c.clock.until(() => c.parley.state === 'signed_out');
  assert.deepEqual(asked, [false, true, true]);
  assert.equal(c.parley.state, 'signed_out');
  assert.equal(c.sockets.length, 2);
  assert.deepEqual(c.clock.waits(), []);
});

test('a token refused in the auth frame counts as 4401', async () => {
  const c = client();
  c.parley.connect();
  await settle();
  c.socket().accept();
  c.socket().say({ type: 'error', id: c.socket().last('auth').id, code: 'unauthenticated', message: '' });
  await c.redial();
  assert.deepEqual(c.tokens, [false, true]);
  assert.equal(c.sockets[0].closed, true);
});

test('a handshake that keeps failing asks for a fresh token, but not on every try', async () => {
  const c = client();
  c.parley.connect();
  for (let i = 0; i < 6; i++) {
    await settle();
    c.socket().cut(1006);
    await c.redial();
  }
  assert.deepEqual(c.tokens, [false, false, true, false, false, false, false]);
});

test('a token source that fails is asked again', async () => {
  let failures = 2;
  const c = client({
    token: async () => {
      if (failures-- > 0) throw new Error('no network');
      return 't';
    },
  });
  c.parley.connect();
  await c.clock.advance(2_000);
  assert.equal(c.sockets.length, 1);
});

test('the token is renewed on the open socket before it ends', async () => {
  const c = client();
  c.parley.connect();
  await settle();
  c.greet(600_000, 3_600_000);
  await c.clock.advance(530_000);
  assert.equal(c.socket().all('auth').length, 1);
  const end = c.clock.now() + 70_000;
  await c.clock.until(() => c.tokens.length === 2);
  assert.ok(c.clock.now() < end);
  assert.deepEqual(c.tokens, [false, true]);
  assert.deepEqual(c.socket().all('auth').map((f) => f.token), ['token1', 'token2']);
  c.socket().say({ type: 'authed', id: c.socket().last('auth').id, expires_at: new Date(c.clock.now() + 600_000).toISOString() });
  assert.equal(c.sockets.length, 1);
  // A renewal that is refused leaves the socket alone.
  await c.clock.until(() => c.tokens.length === 3);
  c.socket().say({ type: 'error', id: c.socket().last('auth').id, code: 'unauthenticated', message: '' });
  assert.equal(c.socket().closed, false);
  assert.equal(c.parley.state, 'online');
});

test('a clock that is ahead does not renew in a loop', async () => {
  const c = client();
  c.parley.connect();
  await settle();
  c.greet(-3_600_000);
  await c.clock.advance(29_000);
  assert.equal(c.tokens.length, 1);
});

test('the cookie alone will do', async () => {
  const c = client({ token: undefined });
  c.parley.connect();
  await settle();
  c.greet();
  assert.equal(c.parley.state, 'online');
  assert.equal(c.socket().sent.length, 0);
  c.socket().cut(4401);
  assert.equal(c.parley.state, 'signed_out');
});

test('silence for two heartbeats is probed, and a probe without answer ends the connection', async () => {
  const c = client();
  await c.inGeneral();
  await c.clock.advance(49_000);
  assert.equal(c.socket().all('leave').length, 0);
  await c.clock.advance(2_000);
  assert.equal(c.socket().all('leave').length, 1);
  c.socket().say({ type: 'left', id: c.socket().last('leave').id, room: '0' });
  await c.clock.advance(6_000);
  assert.equal(c.socket().closed, false);
  await c.clock.advance(80_000);
  assert.equal(c.sockets[0].closed, true);
});

test('a probe never leaves a room that one is in', async () => {
  const c = client();
  await c.online();
  c.parley.join('0');
  c.socket().say({ type: 'joined', id: c.socket().last('join').id, room: { slug: '0', log: 'L' }, cursor: 0, messages: [], recovered: false });
  await c.clock.advance(51_000);
  assert.equal(c.socket().last('leave').room, '00');
});

test('when the network or the page is back, a wait ends and a connection is probed', async () => {
  const listeners = {};
  const target = {
    addEventListener: (type, run) => (listeners[type] = run),
    removeEventListener: (type) => delete listeners[type],
  };
  const c = client({ random: () => 0.999, window: { ...target, document: { hidden: false, ...target } } });
  await c.inGeneral();
  listeners.visibilitychange();
  assert.equal(c.socket().all('leave').length, 1);
  c.socket().cut();
  listeners.online();
  await settle();
  assert.equal(c.sockets.length, 2);
  c.parley.close();
  assert.deepEqual(Object.keys(listeners), []);
});

test('flooding waits longer', async () => {
  const c = client();
  await c.inGeneral();
  c.socket().cut(4429);
  assert.equal(waits(c)[0], 20_250);
  c.parley.retryNow();
  await settle();
  assert.equal(c.sockets.length, 2);
});

test('a socket given up says nothing any more', async () => {
  const c = client();
  await c.inGeneral();
  c.socket().say({ type: 'draining', after_ms: 0 });
  await c.clock.advance(10);
  const old = c.sockets[0];
  assert.equal(old.onmessage, null);
  old.cut(1012);
  c.greet();
  assert.equal(c.sockets.length, 2);
  assert.equal(c.parley.state, 'reconnecting');
});

test('a listener that throws does not leave the client half-way', async (t) => {
  const c = client();
  await c.inGeneral();
  const later = t.mock.method(globalThis, 'queueMicrotask', () => {});
  c.parley.on('message', () => {
    throw new Error('mistake of the app');
  });
  c.socket().say(entry(1), entry(2));
  assert.equal(c.parley.cursor('general').after, 2);
  assert.equal(later.mock.callCount(), 2);
  assert.throws(later.mock.calls[0].arguments[0], /mistake/);
});

test('nonces are long and never the same, also where randomUUID is missing', (t) => {
  const made = new Set(Array.from({ length: 100 }, newNonce));
  assert.equal(made.size, 100);
  const whole = crypto.randomUUID;
  t.after(() => Object.defineProperty(crypto, 'randomUUID', { value: whole, configurable: true, writable: true }));
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true, writable: true });
  assert.match(newNonce(), /^[0-9a-f]{32}$/);
});
