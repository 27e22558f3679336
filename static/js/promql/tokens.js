// PromQL as tokens: for colours, for what may be completed, and for guesses about a query. Lenient: half-written text
// has tokens too. No DOM.

const PATTERN = new RegExp([
  /(?<comment>#[^\n]*)/,
  /(?<string>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|`[^`]*`?)/,
  /(?<number>(?:\d+(?:ms|[smhdwy]))+|0x[\da-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/,
  /(?<name>[a-z_:][\w:]*)/,
  /(?<operator>=~|!~|!=|==|>=|<=|[=<>+\-*/%^@])/,
  /(?<bracket>[(){}[\]])/,
  /(?<comma>,)/,
  /(?<space>\s+)/,
  /(?<other>[^])/,
].map((part) => part.source).join("|"), "giu");

/** [{kind, text, from, to}]: everything, spaces and comments as well. */
export function tokenize(text) {
  const tokens = [];
  for (const match of text.matchAll(PATTERN)) {
    const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    tokens.push({ kind, text: match[0], from: match.index, to: match.index + match[0].length });
  }
  return tokens;
}

const SILENT = new Set(["space", "comment"]);
const GROUPING = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
const PARTNER = { "(": ")", "{": "}", "[": "]" };

/** Tokens without spaces and comments, each with its `role`: what the name or the string means where it stands. */
export function parse(text, words) {
  const tokens = tokenize(text).filter((token) => !SILENT.has(token.kind));
  const open = [];
  let metric = null;
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const around = open.at(-1);
    token.around = around;
    if (token.kind === "bracket") {
      if (PARTNER[token.text]) {
        const grouping = token.text === "(" && before?.kind === "name" && GROUPING.has(before.text.toLowerCase());
        open.push({ text: token.text, token, grouping, caller: token.text === "(" && !grouping ? before : null, metric: token.text === "{" && before?.role === "metric" ? before.text : null });
      } else if (around && PARTNER[around.text] === token.text) {
        open.pop();
      }
    } else if (token.kind === "name") {
      token.role = roleOf(token, tokens[index + 1], around, words);
      if (token.role === "metric") metric = token;
    } else if (token.kind === "string" && around?.text === "{") {
      token.role = before?.kind === "operator" ? "value" : "metric";
      if (token.role === "value") token.label = tokens[index - 2]?.text;
    }
  });
  return { tokens, open, metric };
}

function roleOf(token, after, around, words) {
  if (around?.text === "{" || around?.grouping) return "label";
  if (around?.text === "[") return "duration";
  const known = words.get(token.text.toLowerCase());
  if (known?.kind === "keyword") return "keyword";
  if (known && (after?.text === "(" || (after?.kind === "name" && GROUPING.has(after.text.toLowerCase())))) return "function";
  if (/^(nan|inf)$/i.test(token.text)) return "number";
  return "metric";
}

/** The metrics that a query names. */
export function metricsOf(text, words) {
  return [...new Set(parse(text, words).tokens.filter((token) => token.role === "metric").map((token) => token.text.replace(/^["'`]|["'`]$/g, "")))];
}

/** Whether the query is nothing but a selector, whose samples can be exported as they are stored. */
export function isSelector(text, words) {
  const { tokens, open } = parse(text, words);
  const [first] = tokens;
  if (!first || open.length) return false;
  if (first.role === "metric" && tokens.length === 1) return true;
  const braces = first.text === "{" ? 0 : first.role === "metric" && tokens[1]?.text === "{" ? 1 : -1;
  return braces >= 0 && tokens.findIndex((token) => token.text === "}" && token.kind === "bracket") === tokens.length - 1;
}

/** The unit of a query's values, one of the panels' units, guessed from what the metrics are said to be. */
export function guessUnit(text, words, metadata) {
  const { tokens: all } = parse(text, words);
  const filter = all.findIndex(({ text: word, role, around }) => role === "keyword" && !around && /^(and|unless)$/i.test(word));
  const tokens = filter > 0 ? all.slice(0, filter) : all; // what comes after only says which of them stay
  const functions = tokens.filter((token) => token.role === "function").map((token) => token.text);
  if (["count", "count_values", "changes", "resets", "absent", "timestamp", "time", "group"].includes(functions[0])) return "count";
  const found = new Set(tokens.filter((token) => token.role === "metric").map((token) => unitOf(token.text, metadata)));
  if (!found.size || tokens.some((token) => token.text === "*" || token.text === "^")) return "count";
  const divided = tokens.some((token, index) => token.text === "/" && tokens[index + 1]?.kind !== "number");
  if (divided) return found.size === 1 ? "ratio" : "count";
  if (found.size > 1) return "count";
  const [{ 0: unit }] = [[...found]];
  const rate = functions.some((name) => ["rate", "irate", "deriv"].includes(name));
  if (functions.includes("histogram_quantile") || !rate) return unit;
  return { bytes: "bytes_per_second", seconds: "ratio", count: "per_second" }[unit] ?? "count";
}

function unitOf(metric, metadata) {
  const base = metric.replace(/_(bucket|sum|count)$/, "");
  if (/_count$/.test(metric)) return "count";
  const { unit } = metadata.get(metric) ?? metadata.get(base) ?? {};
  if (unit === "bytes/second") return "bytes_per_second";
  const known = ["seconds", "bytes", "ratio", "celsius", "watts", "hertz"];
  const last = base.replace(/_total$/, "").split("_").at(-1);
  return [unit, last].find((one) => known.includes(one)) ?? "count";
}
