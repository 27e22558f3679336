// What the Prometheus API answered, as the page uses it: series on one grid of times, their names, rows of a table.
// No DOM.

/** A series as PromQL writes it: gpu_power_watts{gpu="0"}. */
export function fullName(metric) {
  const { __name__: name = "", ...labels } = metric;
  const inside = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(", ");
  return inside || !name ? `${name}{${inside}}` : name;
}

/** What all series have in common, and the names of the labels in which they differ. */
export function shared(metrics) {
  const names = [...new Set(metrics.flatMap((metric) => Object.keys(metric)))].sort();
  const differing = metrics.length < 2 ? [] : names.filter((name) => metrics.some((metric) => metric[name] !== metrics[0][name]));
  const common = Object.fromEntries(names.filter((name) => !differing.includes(name)).map((name) => [name, metrics[0]?.[name]]));
  return { common, differing };
}

/** The fewest labels that still tell all series apart; the longest-winded go first (a uuid before a number). */
export function telling(metrics, differing) {
  const length = (name) => metrics.reduce((sum, metric) => sum + (metric[name] ?? "").length, 0);
  let kept = differing;
  for (const name of [...differing].sort((one, other) => length(other) - length(one))) {
    const rest = kept.filter((other) => other !== name);
    if (new Set(metrics.map((metric) => JSON.stringify(rest.map((other) => metric[other])))).size === metrics.length) kept = rest;
  }
  return kept;
}

/** A series' name beside its fellows: only what tells it from them. */
export function shortName(metric, differing) {
  if (!differing.length) return fullName(metric);
  const { __name__: name, ...labels } = metric;
  const parts = differing.filter((label) => label !== "__name__" && labels[label] !== undefined).map((label) => `${label}=${labels[label]}`);
  return [differing.includes("__name__") ? name : null, parts.join(", ")].filter(Boolean).join(" ") || fullName(metric);
}

/** How many columns of a terminal a text takes: what is written wide counts twice. */
export const widthOf = (words) => [...words].reduce((sum, letter) => sum + (letter >= "\u2e80" ? 2 : 1), 0);

const finite = (text) => {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
};

/** A matrix as charts take it: values on the grid start, start + step, …; what is absent, NaN or infinite is null. */
export function seriesOf(result, { start, end, step }, most) {
  const points = Math.floor((end - start) / step) + 1;
  const drawn = result.slice(0, most);
  const metrics = drawn.map(({ metric }) => metric);
  const { common, differing } = shared(metrics);
  const told = telling(metrics, differing);
  const series = drawn.map(({ metric, values }) => {
    const row = new Array(points).fill(null);
    for (const [time, value] of values) row[Math.round((time * 1000 - start) / step)] = finite(value);
    const key = fullName(metric);
    return { key, metric, title: shortName(metric, told), full: key, legend: "", labels: {}, style: "line", values: row };
  });
  return { series, common, told };
}

/** Any instant answer as a table: {columns, rows, common, kind}; a row is its cells, the value last and as text. */
export function tableOf({ resultType, result }) {
  if (resultType === "scalar" || resultType === "string") return { columns: [], rows: [[result[1]]], common: {}, kind: resultType };
  const { common, differing } = shared(result.map(({ metric }) => metric));
  const label = (metric) => differing.map((name) => metric[name] ?? "");
  if (resultType === "vector") {
    return { columns: differing, rows: result.map(({ metric, value }) => [...label(metric), value[1]]), common, kind: "vector" };
  }
  const rows = result.flatMap(({ metric, values }) => values.map(([time, value]) => [...label(metric), time * 1000, value]));
  return { columns: [...differing, "@time"], rows, common, kind: "samples" };
}

/** The place of a query's error in characters, [from, to]: from the answer, or `line:column` in its words. */
export function placeOf(error, query) {
  const given = error.document?.position;
  if (Array.isArray(given) && given.every(Number.isInteger)) return [given[0], Math.max(given[0] + 1, given[1])];
  const found = /(?:^|[\s"])(\d+):(\d+): parse error/.exec(error.message);
  if (!found) return null;
  const lines = query.split("\n");
  const before = lines.slice(0, Number(found[1]) - 1).reduce((sum, line) => sum + line.length + 1, 0);
  const from = Math.min(before + Number(found[2]) - 1, query.length);
  const word = /^[\w:.]+|^[^\w\s]/.exec(query.slice(from));
  return [from, from + (word?.[0].length ?? 1)];
}

/** The error's words without the parameter's name that Prometheus puts before them. */
export const sayError = (error) => error.message.replace(/^invalid parameter "query": /, "");
