// Commands that the server does not take, and those with which the connection is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settle } from './fake.js';
import { client, general } from './setup.js';

const bodies = (c) => c.sockets.flatMap((socket) => socket.all('send').map((frame) => frame.body));
const limits = { frame: 65_536, body: 16_384 };

/** Back in all rooms that ask for it. */
function readmit(c) {
  c.greet();
  for (const join of c.socket().all('join')) c.socket().say({ type: 'joined', id: join.id, room: { ...general, slug: join.room }, cursor: 0, recovered: true, events: [] });
}

test('a frame or a body above the limits is refused once, is not sent, and holds up nothing', async () => {
  const c = client({ limits });
  await c.inGeneral();
  const escapes = '\u001b'.repeat(16_384); // six bytes each in JSON
  const long = 'é'.repeat(8_193);
  const refused = [
    c.parley.send('general', escapes),
    c.parley.send('general', long),
    c.parley.edit('general', 1, escapes),
    c.parley.edit('general', 1, long),
  ].map((promise) => assert.rejects(promise, { code: 'too_large' }));
  const sent = c.parley.send('general', 'é'.repeat(8_192));
  await Promise.all(refused);
  assert.deepEqual(c.socket().sent.map(({ type }) => type), ['auth', 'join', 'send']);
  c.socket().say({ type: 'sent', id: c.socket().last('send').id, room: 'general', message: 1 });
  assert.equal((await sent).message, 1);
  assert.equal(c.sockets.length, 1);
});

test('1009: the largest command under way is refused, the others are sent again', async () => {
  const c = client(); // a server, or a proxy, that does not tell its limit
  await c.inGeneral();
  const tea = c.parley.join('tea');
  c.socket().say({ type: 'joined', id: c.socket().last('join').id, room: { ...general, slug: 'tea' }, cursor: 0, messages: [], recovered: false });
  await tea;
  const refused = assert.rejects(c.parley.send('general', 'x'.repeat(5_000)), { code: 'too_large' });
  c.parley.send('tea', 'small');
  c.socket().cut(1009);
  await refused;
  await c.redial();
  readmit(c);
  assert.deepEqual(c.socket().all('send').map((frame) => frame.body), ['small']);
});

test('1009 with nothing but small commands under way refuses none of them', async () => {
  const c = client();
  await c.inGeneral();
  c.parley.send('general', 'small');
  c.socket().cut(1009);
  await c.redial();
  readmit(c);
  assert.equal(c.socket().last('send').body, 'small');
});

for (const type of ['send', 'edit']) {
  test(`${type}: a command with which the connection is lost each time is given up, and the next one goes`, async () => {
    const c = client();
    await c.inGeneral();
    const poison = type === 'send' ? c.parley.send('general', 'poison') : c.parley.edit('general', 1, 'poison');
    const rejected = assert.rejects(poison, { code: 'unavailable' });
    c.parley.send('general', 'next');
    for (let lost = 0; lost < 5; lost++) {
      await c.clock.until(() => c.socket().last(type)?.body === 'poison');
      c.socket().cut(1006);
      await c.redial();
      readmit(c);
    }
    await rejected;
    await c.clock.until(() => bodies(c).at(-1) === 'next');
  });
}

test('connections lost for reasons of their own give up nothing', async () => {
  const c = client();
  await c.inGeneral();
  const sent = c.parley.send('general', 'one');
  for (let lost = 0; lost < 20; lost++) {
    c.socket().cut([1001, 1012, 4401, 4408, 4429][lost % 5]);
    await c.redial();
    readmit(c);
    await settle();
  }
  c.socket().say({ type: 'sent', id: c.socket().last('send').id, room: 'general', message: 1 });
  assert.equal((await sent).message, 1);
});
