// The types of parley.js, kept by hand. All names of frames' fields are those of the wire contract.

export type State = 'connecting' | 'online' | 'reconnecting' | 'offline' | 'signed_out';

/** The wire's error codes, and `closed`: the room was left or lost, or the client closed, before there was an answer. */
export type ErrorCode =
  | 'bad_request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'conflict'
  | 'too_large'
  | 'rate_limited'
  | 'unavailable'
  | 'internal'
  | 'closed';

/**
 * On a send, edit or delete, every code but `internal`, `unavailable` and `closed` means: not stored. `unavailable` means
 * that the connection was lost each time that it was sent. `too_large` may come from the client itself, by `limits`.
 */
export class ParleyError extends Error {
  constructor(code: ErrorCode, message: string, retryAfterMs?: number);
  code: ErrorCode;
  retry_after_ms: number | undefined;
}

export interface User {
  id: string;
  name: string;
  kind: string;
  staff?: boolean;
}

export interface RoomInfo {
  slug: string;
  name: string;
  description: string;
  staff_only: boolean;
  allow_guests: boolean;
  private: boolean;
  log: string;
  head: number;
  floor: number;
  created_at: string;
}

export interface Message {
  /** The seq of the entry that made it. */
  id: number;
  author: User;
  /** Missing once the message is deleted. */
  body?: string;
  sent_at: string;
  nonce?: string;
  reply_to?: number;
  edited_at?: string;
  deleted?: true;
}

export interface Limits {
  /** The size of a command as JSON, in UTF-8 bytes. */
  frame?: number;
  /** In UTF-8 bytes. */
  body?: number;
  rooms?: number;
  replay?: number;
}

export interface Hello {
  type: 'hello';
  session: string;
  user: User;
  heartbeat_ms: number;
  limits: Limits;
}

export interface Joined {
  type: 'joined';
  room: RoomInfo;
  cursor: number;
  /** True: what was missed follows as events. False: replace what you show by `messages`. */
  recovered: boolean;
  /** Oldest first; present where not recovered. */
  messages?: Message[];
  has_more?: boolean;
  /** Missing where the room is too large, or presence is off or away. */
  members?: User[];
  member_count?: number;
}

/** Entries of a room's log come in order, each once, with no hole between them and the `joined` before. */
export interface Events {
  state: { state: State; retry_in_ms?: number };
  /** At each connection: whatever is not in a room's log (such as the list of rooms) may have changed unseen. */
  hello: Hello;
  joined: Joined;
  message: { type: 'message'; room: string; seq: number; message: Message };
  edited: { type: 'edited'; room: string; seq: number; message: Message };
  deleted: { type: 'deleted'; room: string; seq: number; message: number };
  notice: { type: 'notice'; room: string; seq: number; text: string };
  entered: { type: 'entered'; room: string; user: User; member_count?: number };
  exited: { type: 'exited'; room: string; user: User; member_count?: number };
  typing: { type: 'typing'; room: string; user: User };
  room_created: { type: 'room_created'; room: RoomInfo };
  room_updated: { type: 'room_updated'; room: RoomInfo };
  room_deleted: { type: 'room_deleted'; room: string };
  /** Also where joining again after a lost connection was turned down; `reason` is then the error's code. */
  kicked: { type: 'kicked'; room: string; reason: string };
  /** What answers no command. */
  error: { type: 'error'; code: ErrorCode; message: string; retry_after_ms?: number };
}

export interface JoinOptions {
  /** A cursor kept from before (see `Parley.cursor`), with the log that it belongs to. */
  after?: number;
  log?: string;
  password?: string;
  /** How many of the newest messages, where not resumed. */
  limit?: number;
}

export interface SendOptions {
  /** By default a new one. The one of a send that failed makes it safe to send that message again. */
  nonce?: string;
  reply_to?: number;
}

export interface HistoryOptions {
  /** Messages with an id below this, newest first. */
  before: number;
  limit?: number;
}

/**
 * Answers an access token; null where nobody is signed in any more; rejects where it can't tell (it is asked again).
 * `fresh`: the token given last was refused or is about to end, so answer a newer one.
 */
export type TokenSource = (want: { fresh: boolean }) => Promise<string | null>;

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The part of a browser's window that tells when the network or the page is back. */
export interface Waker {
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
  document?: {
    hidden: boolean;
    addEventListener(type: string, listener: () => void): void;
    removeEventListener(type: string, listener: () => void): void;
  };
}

export interface Options {
  /** The socket's address, as `wss://chat.example.com/ws`. */
  url: string;
  /** Without it, the browser's session cookie has to do. */
  token?: TokenSource;
  /** The global one by default; Node before 22 has none. */
  WebSocket?: new (url: string) => WebSocket;
  clock?: Clock;
  /** In [0, 1). */
  random?: () => number;
  window?: Waker;
}

export class Parley {
  constructor(options: Options);
  /** Who is signed in, from the last `hello` on. */
  user: User | null;
  limits: Limits | null;
  /** `online` means that every joined room is resumed. */
  state: State;
  /** Connects, and stays connected until `close` or until nobody is signed in. */
  connect(): void;
  /** Ends the connection; every room is left, and what waits is rejected with `closed`. */
  close(): void;
  /** Cuts short the wait for the next try. */
  retryNow(): void;
  /** Returns what takes the listener away again. */
  on<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): () => void;
  /**
   * Joins, now or as soon as there is a connection, and again after each loss of it, until `leave`. Settles with the
   * first `joined`; rejects where the room is not to be had.
   */
  join(room: string, options?: JoinOptions): Promise<Joined>;
  leave(room: string): void;
  /** What resumes a joined room in another client; null before its first `joined`. */
  cursor(room: string): { after: number; log: string } | null;
  /**
   * Settles once the message is committed. Keeps trying, with the same nonce and in the order of the calls, while the
   * outcome is unknown; rejects when the server says that it is not stored, or when it has failed so often that it would
   * hold up what comes after it.
   */
  send(room: string, body: string, options?: SendOptions): Promise<{ message: number; nonce: string }>;
  edit(room: string, message: number, body: string, nonce?: string): Promise<{ seq: number }>;
  delete(room: string, message: number, nonce?: string): Promise<{ seq: number }>;
  /** Rejects with `unavailable` where there is no connection. */
  history(room: string, options: HistoryOptions): Promise<{ messages: Message[]; has_more: boolean }>;
  members(room: string): Promise<{ members?: User[]; member_count?: number }>;
  /** Tells the others; may be called at every key. */
  typing(room: string): void;
}

/** At least 122 random bits, as text. */
export function newNonce(): string;
