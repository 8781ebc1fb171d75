// The types of parley.js, written by hand. Fields of frames have the names of the wire contract.

export type State = 'connecting' | 'online' | 'reconnecting' | 'offline' | 'signed_out';

/** The error codes of the wire contract, and `closed`: the room was left or lost, or the client closed, before there was an answer. */
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
 * On a send, edit or delete, every code but `internal`, `unavailable` and `closed` means "not stored". `unavailable` means
 * that the connection was lost at every attempt. The client itself rejects with `too_large` what is above `limits`.
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
  /** The seq of the entry that created the message. */
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
  /** True: the missed entries follow as events. False: replace what you show by `messages`. */
  recovered: boolean;
  /** Oldest first; present if not recovered. */
  messages?: Message[];
  has_more?: boolean;
  /** Missing if the room is too large, or presence is off or unavailable. */
  members?: User[];
  member_count?: number;
}

/** The entries of a room's log arrive in order, each once, without a gap after the `joined` before them. */
export interface Events {
  state: { state: State; retry_in_ms?: number };
  /** Emitted at each connection. Everything that is not in a room's log, such as the list of rooms, may have changed meanwhile. */
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
  /** Also emitted if the server refuses to let the user join again after a reconnect; `reason` is then the error's code. */
  kicked: { type: 'kicked'; room: string; reason: string };
  /** An error that is not the answer to a command. */
  error: { type: 'error'; code: ErrorCode; message: string; retry_after_ms?: number };
}

export interface JoinOptions {
  /** A saved cursor (see `Parley.cursor`), with the log that it belongs to. */
  after?: number;
  log?: string;
  password?: string;
  /** How many of the newest messages to load, if not resumed. */
  limit?: number;
}

export interface SendOptions {
  /** By default a new one. Use the nonce of a failed send to send that message again safely. */
  nonce?: string;
  reply_to?: number;
}

export interface HistoryOptions {
  /** Messages with an id below this, newest first. */
  before: number;
  limit?: number;
}

/**
 * Returns an access token, or null if nobody is signed in any more. If it rejects, the client calls it again later.
 * With `fresh`, the last token was refused or is about to expire, so it must return a newer one.
 */
export type TokenSource = (want: { fresh: boolean }) => Promise<string | null>;

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** The part of a browser's window whose events tell that the network or the page is back. */
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
  /** The socket's URL, such as `wss://chat.example.com/ws`. */
  url: string;
  /** Without it, the browser's session cookie authenticates the socket. */
  token?: TokenSource;
  /** By default the global one; Node before 22 has none. */
  WebSocket?: new (url: string) => WebSocket;
  clock?: Clock;
  /** In [0, 1). */
  random?: () => number;
  window?: Waker;
}

export class Parley {
  constructor(options: Options);
  /** The signed-in user, from the last `hello`. */
  user: User | null;
  limits: Limits | null;
  /** `online` means that every joined room is resumed. */
  state: State;
  /** Connects, and reconnects until `close` or until nobody is signed in. */
  connect(): void;
  /** Closes the connection, leaves every room, and rejects waiting calls with `closed`. */
  close(): void;
  /** Ends the wait for the next attempt to connect. */
  retryNow(): void;
  /** Adds a listener, and returns a function that removes it. */
  on<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): () => void;
  /**
   * Joins a room, now or when there is a connection, and again after each reconnect, until `leave`. Resolves with the
   * first `joined`; rejects if the server refuses.
   */
  join(room: string, options?: JoinOptions): Promise<Joined>;
  leave(room: string): void;
  /** The position from which another client can resume the room; null before the first `joined`. */
  cursor(room: string): { after: number; log: string } | null;
  /**
   * Resolves once the message is committed. While the outcome is unknown it retries with the same nonce, in the order of
   * the calls. Rejects if the server refuses the message, or if it failed so often that it would block later messages.
   */
  send(room: string, body: string, options?: SendOptions): Promise<{ message: number; nonce: string }>;
  edit(room: string, message: number, body: string, nonce?: string): Promise<{ seq: number }>;
  delete(room: string, message: number, nonce?: string): Promise<{ seq: number }>;
  /** Rejects with `unavailable` if there is no connection. */
  history(room: string, options: HistoryOptions): Promise<{ messages: Message[]; has_more: boolean }>;
  members(room: string): Promise<{ members?: User[]; member_count?: number }>;
  /** Tells the others that the user is typing. It may be called at every key press. */
  typing(room: string): void;
}

/** At least 122 random bits, as text. */
export function newNonce(): string;
