// What only the server knows: metrics with their meaning, labels and their values. Kept for a minute, asked once.

import { call } from "../api.js";

const KEPT_MS = 60_000;

export class Source {
  /** `period()` gives {start, end} in ms: only what had samples then is proposed. */
  constructor(period) {
    this.period = period;
    this.kept = new Map();
    this.metadata = new Map();
  }

  /** [{name, kind: "metric", type, unit, help}] */
  metrics() {
    return this.ask("metrics", async () => {
      const [names, { data }] = await Promise.all([this.list("label/__name__/values"), call("/api/v1/metadata")]);
      this.metadata = new Map(Object.entries(data).map(([name, [entry]]) => [name, entry]));
      return names.map((name) => ({ name, kind: "metric", ...(this.metadata.get(name) ?? this.metadata.get(name.replace(/_(bucket|sum|count)$/, ""))) }));
    });
  }

  labels(metrics) {
    return this.ask(`labels ${metrics}`, async () => (await this.list("labels", metrics)).filter((name) => name !== "__name__").map((name) => ({ name, kind: "label" })));
  }

  values(label, metric) {
    if (!/^[a-z_]\w*$/i.test(label ?? "")) return Promise.resolve([]);
    return this.ask(`values ${label} ${metric}`, async () => (await this.list(`label/${label}/values`, metric ? [metric] : [])).map((name) => ({ name, kind: "value" })));
  }

  async list(path, metrics = []) {
    const { start, end } = this.period();
    const query = new URLSearchParams({ start: (start / 1000).toFixed(3), end: (end / 1000).toFixed(3) });
    for (const metric of metrics) query.append("match[]", /^[a-z_:][\w:]*$/i.test(metric) ? metric : `{__name__=${JSON.stringify(metric)}}`);
    return (await call(`/api/v1/${path}?${query}`)).data;
  }

  /** The answer to a question, asked again when it is old; one that failed is nothing now and asked again next time. */
  ask(key, question) {
    const known = this.kept.get(key);
    if (known && Date.now() - known.at < KEPT_MS) return known.answer;
    const answer = question().catch(() => {
      this.kept.delete(key);
      return [];
    });
    this.kept.set(key, { at: Date.now(), answer });
    return answer;
  }
}
