// JSON over HTTP, and error messages for people.

export class ApiError extends Error {
  /** @param {string} code @param {string} message @param {number} [retryAfterMs] */
  constructor(code, message, retryAfterMs) {
    super(message);
    this.code = code;
    this.retry_after_ms = retryAfterMs;
  }
}

/**
 * Makes an HTTP call. Rejects with an ApiError; if the network fails, its code is `unavailable`.
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
    throw new ApiError('unavailable', 'the response is not Parley’s; a proxy may have sent it');
  }
  if (response.ok) return answer;
  const error = answer?.error ?? {};
  throw new ApiError(error.code ?? 'internal', error.message ?? '', error.retry_after_ms);
}

/**
 * Returns an error as a sentence for people.
 * @param {any} error an ApiError or ParleyError
 * @param {Record<string, string>} [texts] special sentences for some codes
 */
export function explain(error, texts = {}) {
  const { code, message, retry_after_ms } = error;
  if (texts[code]) return texts[code];
  switch (code) {
    case 'rate_limited':
      return retry_after_ms
        ? `You are doing this too often. Try again in ${Math.ceil(retry_after_ms / 1000)} s.`
        : 'You are doing this too often. Try again in a moment.';
    case 'unavailable':
      return 'The server can’t be reached right now. Try again in a moment.';
    case 'too_large':
      return 'This is too long. Shorten it and try again.';
    case 'forbidden':
      return message ? sentence(message) : 'You are not allowed to do this.';
    case 'not_found':
      return 'This no longer exists.';
    case 'unauthenticated':
      return 'Please sign in again.';
    case 'bad_request':
    case 'conflict':
      return message ? sentence(message) : 'The server did not accept this.';
    default:
      return 'Something went wrong on the server. Try again in a moment.';
  }
}

/** @param {string} text */
function sentence(text) {
  const start = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
