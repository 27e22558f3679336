// What the page knows: the state and the values as last heard, the shown range, and the connection. No DOM.

const RANGES = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800, "30d": 2592000 };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const POINTS = 480;

const KEPT = "wakeless.range";

function keep(key) {
  try {
    localStorage.setItem(KEPT, key);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

export class Store extends EventTarget {
  constructor(first) {
    super();
    this.first = first;
    this.state = first.state;
    this.values = first.values;
    this.time = first.time_ms;
    this.clockOffset = Date.now() - first.time_ms; // the server's clock may differ from ours
    this.connection = "connecting";
    this.paused = false;
    const key = RANGES[kept()] ? kept() : "1h";
    this.chosen = Boolean(kept());
    this.range = { key, span: RANGES[key] * 1000 };
    this.events = [];
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  on(type, listener) {
    this.addEventListener(type, (event) => listener(event.detail));
  }

  /** The server's time now, in ms. */
  now() {
    return Date.now() - this.clockOffset;
  }

  hear(frame) {
    const restarted = this.state.start_id !== frame.state.start_id;
    this.state = frame.state;
    this.time = frame.time_ms;
    this.clockOffset = Date.now() - frame.time_ms;
    this.emit("state", { restarted });
    if (frame.type === "tick") {
      this.values = frame.panels;
      this.emit("tick", frame);
    }
  }

  connect(connection, detail = {}) {
    const before = this.connection;
    this.connection = connection;
    this.emit("connection", { connection, before, ...detail });
  }

  setRange(key, { remember = true } = {}) {
    if (!RANGES[key]) return;
    if (remember) keep(key);
    this.chosen = true;
    this.applyRange({ key, span: RANGES[key] * 1000 });
  }

  /** A fixed window; the one before it is kept, so that a double click returns. */
  setWindow(start, end) {
    if (end - start >= 2000) this.applyRange({ key: "custom", start, end, back: this.range.key === "custom" ? this.range.back : this.range.key });
  }

  zoomOut() {
    if (this.range.key === "custom") this.setRange(this.range.back ?? "1h", { remember: false });
  }

  applyRange(range) {
    this.range = range;
    this.emit("range", range);
  }

  pause(paused) {
    if (paused && !this.paused) this.pausedAt = this.now();
    this.paused = paused;
    this.emit("pause", paused);
  }

  /** Pause at this moment: a moving range stands still until it is asked for again. */
  freeze() {
    this.paused = true;
    this.pausedAt = this.now();
  }

  get live() {
    return !this.paused && this.range.key !== "custom";
  }

  /** {start, end, step} in ms of what the charts show. */
  window() {
    const { start, end, span } = this.range;
    const to = end ?? (this.paused ? this.pausedAt : this.now());
    const from = start ?? to - span;
    const wanted = Math.max((to - from) / 1000 / POINTS, this.first.interval_ms / 1000);
    const step = (STEPS.find((size) => size >= wanted * 0.999) ?? 86400) * 1000;
    return { start: from, end: to, step };
  }
}
