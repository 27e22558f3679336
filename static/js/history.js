// The history behind the charts: loaded once per range, then grown by every tick. One point per step; the newest moves
// until its step is over. Gaps are null.

/** What the newest point shows with one more value in its step: the highest where the series is of peaks. */
function kept(series, value) {
  const before = series.values.at(-1) ?? null;
  return series.peak && before !== null && (value === null || before > value) ? before : value;
}

export class History {
  constructor() {
    this.times = [];
    this.panels = new Map();
    this.step = 1000;
    this.span = 0;
  }

  /** Take what /api/panels answered. */
  load({ start, end, step, panels }) {
    this.step = step;
    this.span = end - start;
    this.times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step);
    this.panels = new Map(Object.entries(panels).map(([id, panel]) => [id, panel]));
  }

  /** Add a tick's values. Returns true when a series appeared that has no name yet: time to load again. */
  append(time, values) {
    const last = this.times.at(-1);
    if (last === undefined || time <= last) return false;
    const moves = Math.floor(time / this.step) === Math.floor(last / this.step) && last % this.step !== 0;
    const silent = !moves && time - last > 2.5 * this.step + 1000;
    if (silent) this.push(last + this.step, () => null);
    let unknown = false;
    const value = (id, series) => values[id]?.[series.key] ?? null;
    if (moves) {
      this.times[this.times.length - 1] = time;
      this.each((id, series) => { series.values[series.values.length - 1] = kept(series, value(id, series)); });
    } else {
      this.push(time, value);
    }
    for (const [id, found] of Object.entries(values)) {
      const panel = this.panels.get(id);
      if (!panel?.series) continue;
      const keys = new Set(panel.series.map((series) => series.key));
      if (Object.keys(found).some((key) => !keys.has(key))) unknown = true;
    }
    this.trim(time);
    return unknown;
  }

  push(time, value) {
    this.times.push(time);
    this.each((id, series) => series.values.push(value(id, series)));
  }

  trim(now) {
    let drop = 0;
    while (drop < this.times.length - 2 && this.times[drop + 1] < now - this.span) drop += 1;
    if (drop < 8) return; // shifting arrays by one each second would be work for nothing
    this.times.splice(0, drop);
    this.each((_, series) => series.values.splice(0, drop));
  }

  each(visit) {
    for (const [id, panel] of this.panels) {
      for (const series of panel.series ?? []) if (series.values) visit(id, series);
    }
  }

  /** The index whose time is nearest. */
  nearest(time) {
    const { times } = this;
    let low = 0;
    let high = times.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle;
      else high = middle;
    }
    return times[high] - time < time - times[low] ? high : low;
  }
}
