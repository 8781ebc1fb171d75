// JSON over HTTP, and what the answers' errors mean in plain words.

export class ApiError extends Error {
  /** @param {string} code @param {string} message @param {number} [retryAfterMs] */
  constructor(code, message, retryAfterMs) {
    super(message);
    this.code = code;
    this.retry_after_ms = retryAfterMs;
  }
}

/**
 * Rejects with an ApiError; a network that is down has the code `unavailable`.
 * @param {string} method
 * @param {string} path
 * @param {{body?: unknown, token?: string}} [options]
 * @returns {Promise<any>}
 */
export async function call(method, path, { body, token } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  let text;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    response = await fetch(path, { method, headers, body: sent, signal: AbortSignal.timeout(15_000) });
    text = await response.text();
  } catch {
    throw new ApiError('unavailable', 'the server can’t be reached');
  }
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError('unavailable', 'something between here and the server answered in its place');
  }
  if (response.ok) return answer;
  const error = answer?.error ?? {};
  throw new ApiError(error.code ?? 'internal', error.message ?? '', error.retry_after_ms);
}

/**
 * What went wrong, as a sentence for people.
 * @param {any} error an ApiError or ParleyError
 * @param {Record<string, string>} [words] better ones for some codes
 */
export function explain(error, words = {}) {
  const { code, message, retry_after_ms } = error;
  if (words[code]) return words[code];
  switch (code) {
    case 'rate_limited':
      return retry_after_ms
        ? `That was too fast. Try again in ${Math.ceil(retry_after_ms / 1000)} s.`
        : 'That was too fast. Try again in a moment.';
    case 'unavailable':
      return 'The server can’t be reached right now. Try again in a moment.';
    case 'too_large':
      return 'That is too long.';
    case 'forbidden':
      return message ? sentence(message) : 'You may not do that.';
    case 'not_found':
      return 'That is not there any more.';
    case 'unauthenticated':
      return 'Please sign in again.';
    case 'bad_request':
    case 'conflict':
      return message ? sentence(message) : 'The server did not accept that.';
    default:
      return 'Something went wrong on the server.';
  }
}

/** @param {string} text */
function sentence(text) {
  const start = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
