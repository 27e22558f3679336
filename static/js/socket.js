// The live connection: reconnects with backoff and jitter, hands every frame to the store. No DOM.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const SILENCE = 15_000; // frames come every tick; so long without one means that the line is dead

export class Socket {
  constructor(store, path, page) {
    this.store = store;
    this.path = path;
    this.page = page;
    this.wait = FIRST_WAIT;
    store.on("range", () => this.subscribe());
    addEventListener("online", () => this.retry());
    addEventListener("pagehide", () => this.socket?.close(1000));
    setInterval(() => this.watch(), 2000);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    const url = new URL(this.path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ page: this.page, step: this.store.window().step });
    const socket = new WebSocket(url);
    this.socket = socket;
    this.heard = Date.now();
    socket.addEventListener("message", ({ data }) => {
      this.heard = Date.now();
      if (this.store.connection !== "open") {
        this.wait = FIRST_WAIT;
        this.store.connect("open");
      }
      this.store.hear(JSON.parse(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (socket === this.socket) this.lost(code, reason);
    });
  }

  lost(code, reason) {
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 1.7, LONGEST_WAIT);
    this.socket = null;
    this.store.connect("lost", { code, reason, retryAt: Date.now() + wait });
    this.timer = setTimeout(() => this.open(), wait);
    if (code === 1006) this.askWhy();
  }

  /** A refused upgrade looks like any broken line; a plain call tells whether the login has ended. */
  async askWhy() {
    try {
      const answer = await fetch("/api/model", { headers: { Accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) this.store.connect("refused");
    } catch {
      // The server is not there at all, which the countdown says already.
    }
  }

  retry() {
    if (this.socket) return;
    this.wait = FIRST_WAIT;
    this.open();
  }

  subscribe() {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ page: this.page, step: this.store.window().step }));
    }
  }

  watch() {
    if (!this.socket || Date.now() - this.heard <= SILENCE + 3 * this.store.first.interval_ms) return;
    const silent = this.socket;
    this.socket = null;
    silent.close();
    this.lost(1006, "silence");
  }
}
