// Errors with the codes of the wire contract, and one code of the client's own: `closed` means that the room was left or
// lost, or the client closed, before there was an answer.

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
    /** How long to wait before the next attempt, in ms; undefined if the server did not say. */
    this.retry_after_ms = retryAfterMs;
  }
}

/** The socket closed before there was an answer. */
export class ConnectionLost extends ParleyError {
  /** @param {boolean} maybeCausedByCommand whether the command itself may be the reason */
  constructor(maybeCausedByCommand) {
    super('unavailable', 'the connection was lost');
    this.maybeCausedByCommand = maybeCausedByCommand;
  }
}

/**
 * Whether the outcome of a command is unknown. It may have been executed, and is safe to send again with its nonce.
 * @param {ParleyError} error
 */
export function isOutcomeUnknown(error) {
  return error.code === 'unavailable' || error.code === 'internal';
}
