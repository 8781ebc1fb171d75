// A clock that only moves when told to, and a socket whose server is the test.

export class FakeClock {
  #now;
  #timers = new Map();
  #last = 0;

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now() {
    return this.#now;
  }

  setTimeout(run, ms) {
    this.#timers.set(++this.#last, { at: this.#now + ms, run });
    return this.#last;
  }

  clearTimeout(id) {
    this.#timers.delete(id);
  }

  /** Runs what falls due in the next `ms`, in order, letting promises settle in between. */
  async advance(ms) {
    const end = this.#now + ms;
    await settle();
    while (await this.#runNext(end));
    this.#now = end;
  }

  /** Moves on from timer to timer until the condition holds. */
  async until(condition) {
    await settle();
    while (!condition()) {
      if (!(await this.#runNext(Infinity))) throw new Error('no timer is set that could bring it about');
    }
  }

  async #runNext(end) {
    const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
    if (!due) return false;
    this.#timers.delete(due[0]);
    this.#now = Math.max(this.#now, due[1].at);
    due[1].run();
    await settle();
    return true;
  }

  /** In how many ms the timers that are set fall due, soonest first. */
  waits() {
    return [...this.#timers.values()].map((t) => t.at - this.#now).sort((a, b) => a - b);
  }
}

export function settle() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A WebSocket class of its own for each test, with the sockets that were opened through it. */
export function fakeSockets() {
  const sockets = [];
  class FakeSocket {
    sent = [];
    closed = false;

    constructor(url) {
      this.url = url;
      sockets.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close() {
      this.closed = true;
    }

    // The server's side.
    accept() {
      this.onopen?.({});
    }

    say(...frames) {
      for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
    }

    cut(code = 1006) {
      this.onclose?.({ code });
    }

    last(type) {
      return this.sent.findLast((frame) => frame.type === type);
    }

    all(type) {
      return this.sent.filter((frame) => frame.type === type);
    }
  }
  return { sockets, FakeSocket };
}
