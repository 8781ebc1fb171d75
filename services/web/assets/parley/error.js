// What goes wrong, in the codes of the wire contract plus one of the client's own: `closed` (the room was left or
// lost, or the client closed, before there was an answer).

export class ParleyError extends Error {
  /**
   * @param {import('../parley.d.ts').ErrorCode} code
   * @param {string} message
   * @param {number} [retryAfterMs]
   */
  constructor(code, message, retryAfterMs) {
    super(message || code);
    this.name = 'ParleyError';
    this.code = code;
    /** How long the server wants to be left alone, in ms; undefined where it said nothing. */
    this.retry_after_ms = retryAfterMs;
  }
}

/** The socket closed before there was an answer. */
export class ConnectionLost extends ParleyError {
  /** @param {boolean} perhapsOurs whether the command itself can be the reason */
  constructor(perhapsOurs) {
    super('unavailable', 'the connection was lost');
    this.perhapsOurs = perhapsOurs;
  }
}

/**
 * Whether the outcome is not known: the command may have been carried out, and is safe to send again by its nonce.
 * @param {ParleyError} error
 */
export function isUnknown(error) {
  return error.code === 'unavailable' || error.code === 'internal';
}
