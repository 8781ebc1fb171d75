import { webcrypto } from 'node:crypto';
import { Parley } from '../assets/parley.js';
import { FakeClock, fakeSockets, settle } from './fake.js';

globalThis.crypto ??= webcrypto; // Node 18 has none, and is what Debian 12 brings

export const me = { id: 'u1', name: 'anna', kind: 'user', staff: false };
export const you = { id: 'u2', name: 'ben', kind: 'user', staff: false };
export const general = { slug: 'general', name: 'General', log: 'L1', head: 0, floor: 1 };

/** A client with everything around it faked, and what it emitted. */
export function client(options = {}) {
  const clock = new FakeClock();
  const { sockets, FakeSocket } = fakeSockets();
  const tokens = [];
  const parley = new Parley({
    url: 'ws://test/ws',
    token: async ({ fresh }) => {
      tokens.push(fresh);
      return `token${tokens.length}`;
    },
    WebSocket: FakeSocket,
    clock,
    random: () => 0.5,
    ...options,
  });
  const events = [];
  for (const type of ['state', 'hello', 'joined', 'message', 'edited', 'deleted', 'notice', 'kicked', 'room_deleted', 'error']) {
    parley.on(type, (event) => events.push({ on: type, ...event }));
  }
  const socket = () => sockets.at(-1);
  const of = (type) => events.filter((event) => event.on === type);
  const c = { parley, clock, sockets, tokens, events, socket, of };

  /** Lets the newest socket through the handshake. */
  c.greet = (expiresInMs = 600_000, heartbeat_ms = 25_000, limits = options.limits ?? {}) => {
    const s = socket();
    s.accept();
    s.say({ type: 'hello', session: 's', user: me, heartbeat_ms, limits });
    const auth = s.last('auth');
    if (auth) s.say({ type: 'authed', id: auth.id, expires_at: new Date(clock.now() + expiresInMs).toISOString() });
  };
  /** Lets time pass until the client dials again. */
  c.redial = () => {
    const before = sockets.length;
    return clock.until(() => sockets.length > before);
  };
  c.online = async () => {
    parley.connect();
    await settle();
    c.greet();
  };
  /** Answers the newest join of the newest socket. */
  c.admit = (answer = {}) => {
    const join = socket().last('join');
    socket().say({ type: 'joined', id: join.id, room: general, cursor: 0, messages: [], recovered: false, ...answer });
  };
  /** Online and in `general`, with the cursor at `cursor`. */
  c.inGeneral = async (cursor = 0) => {
    await c.online();
    const joined = parley.join('general');
    c.admit({ cursor });
    await joined;
  };
  return c;
}

export function entry(seq, more = {}) {
  return { type: 'message', room: 'general', seq, message: { id: seq, author: you, body: `m${seq}`, sent_at: '' }, ...more };
}
