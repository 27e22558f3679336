// What may come at the caret of a query, and how well each proposal fits. No DOM.

import { parse } from "./tokens.js";

const DURATIONS = ["30s", "1m", "5m", "15m", "1h", "6h", "1d", "7d", "30d"];
const MOST = 60;

/** What is asked for at the caret: {kind, from, to, prefix, …}, or null. `from`…`to` is what a choice replaces. */
export function contextAt(text, caret, words) {
  const { tokens, open } = parse(text.slice(0, caret), words);
  const last = tokens.at(-1);
  const all = parse(text, words).tokens;
  const here = all.find((token) => token.from < caret && caret <= token.to);
  if (/#[^\n]*$/.test(text.slice(0, caret)) && last?.kind !== "string" && (!last || text.slice(last.to, caret).includes("#"))) return null;
  const span = (token) => ({ from: token.from, to: Math.max(token.to, caret), prefix: text.slice(token.from, caret) });
  const empty = { from: caret, to: caret, prefix: "" };
  const brace = last?.kind === "string" ? last.around : open.at(-1);

  if (last?.kind === "string" && isOpen(last, caret)) {
    if (last.role !== "value") return null;
    const closed = here?.kind === "string" && here.from === last.from && isClosed(here);
    return { kind: "value", from: last.from + 1, to: closed ? here.to - 1 : caret, prefix: text.slice(last.from + 1, caret), label: last.label, metric: brace?.metric, closed, regex: /~/.test(operatorBefore(tokens, last)) };
  }
  const typing = last && last.to === caret && here ? here : null;
  if (brace?.text === "{") {
    const before = typing?.kind === "name" ? tokens.at(-2) : last;
    if (typing?.kind === "name" || (before && (before.text === "{" || before.kind === "comma"))) {
      if (before?.kind === "operator") return null;
      return { kind: "label", ...(typing?.kind === "name" ? span(typing) : empty), metric: brace.metric, after: text.slice(Math.max(caret, typing?.to ?? 0)) };
    }
    return null;
  }
  if (brace?.grouping) {
    if (typing?.kind === "name" || last === brace.token || last?.kind === "comma") return { kind: "grouping", ...(typing?.kind === "name" ? span(typing) : empty) };
    return null;
  }
  if (brace?.text === "[" || (typing ? tokens.at(-2) : last)?.text === "offset") {
    if (brace?.text === "[" && tokens.some((token) => token.around?.token === brace.token && token.text === ":")) return null;
    return { kind: "duration", ...(typing && typing.kind !== "bracket" ? span(typing) : empty) };
  }
  if (typing?.kind === "name") return { kind: "word", ...span(typing), after: text.slice(typing.to) };
  if (typing && typing.kind !== "bracket" && typing.kind !== "operator" && typing.kind !== "comma") return null;
  return { kind: "word", ...empty, after: text.slice(caret) };
}

const isClosed = (token) => token.text.length > 1 && token.text.at(-1) === token.text[0];
const isOpen = (token, caret) => token.to >= caret && !(isClosed(token) && token.to <= caret);

function operatorBefore(tokens, token) {
  const before = tokens[tokens.indexOf(token) - 1];
  return before?.kind === "operator" ? before.text : "";
}

/** The innermost call around the caret: its word, for the hint on its parameters. */
export function callAt(text, caret, words) {
  const { open } = parse(text.slice(0, caret), words);
  for (const one of [...open].reverse()) {
    const known = one.caller?.kind === "name" ? words.get(one.caller.text.toLowerCase()) : null;
    if (known && known.kind !== "keyword") return known;
  }
  return null;
}

/** How a name fits what was typed: 0 is best, null not at all. */
function rank(name, typed) {
  if (!typed) return 2;
  const lower = name.toLowerCase();
  if (lower === typed) return 0;
  if (lower.startsWith(typed)) return 1;
  const at = lower.indexOf(typed);
  if (at > 0) return lower[at - 1] === "_" ? 2 : 3;
  const parts = typed.split("_").filter(Boolean);
  let from = 0;
  for (const part of parts) {
    from = lower.indexOf(part, from);
    if (from < 0) return null;
    from += part.length;
  }
  return parts.length > 1 ? 4 : null;
}

/** Whether a proposal begins with what was typed. Only then does Enter take it; otherwise Enter runs what is written. */
export const isSure = ({ name }, typed) => Boolean(typed) && rank(name, typed.toLowerCase()) <= 1;

const KIND_ORDER = { metric: 0, function: 1, aggregation: 1, keyword: 2, label: 0, value: 0, duration: 0 };

/** The best of `items` ({name, kind, …}) for what was typed. */
export function fitting(items, typed) {
  const small = typed.toLowerCase();
  return items.map((item, index) => ({ item, index, fit: rank(item.name, small) })).filter(({ fit }) => fit !== null)
    .sort((one, other) => one.fit - other.fit || KIND_ORDER[one.item.kind] - KIND_ORDER[other.item.kind] || (one.item.name.length > 40) - (other.item.name.length > 40) || one.index - other.index)
    .slice(0, MOST).map(({ item }) => item);
}

/** All proposals for a context, best first; asks `source` for what only the server knows. */
export async function proposals(context, text, words, source) {
  if (context.kind === "word") {
    const known = [...words.values()].map(({ name, kind, signature, help }) => ({ name, kind, signature, help }));
    return fitting([...(await source.metrics()), ...known], context.prefix);
  }
  if (context.kind === "duration") return fitting(DURATIONS.map((name) => ({ name, kind: "duration" })), context.prefix);
  if (context.kind === "value") return fitting(await source.values(context.label, context.metric), context.prefix);
  const metrics = context.metric ? [context.metric] : context.kind === "grouping" ? [...new Set(parse(text, words).tokens.filter((token) => token.role === "metric").map((token) => token.text))] : [];
  return fitting(await source.labels(metrics), context.prefix);
}

const quoted = (value, regex) => (regex ? value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : value).replace(/[\\"]/g, "\\$&");

/** What a choice puts in place of `from`…`to`: {text, caret}, and whether the next question follows at once. */
export function insertion(context, item) {
  if (context.kind === "value") {
    const value = quoted(item.name, context.regex);
    return { text: context.closed ? value : `${value}"`, caret: value.length + 1 };
  }
  if (context.kind === "label" && !/^\s*(=|!|~)/.test(context.after)) return { text: `${item.name}=""`, caret: item.name.length + 2, more: true };
  if (item.kind === "function" && !/^\s*\(/.test(context.after)) return { text: `${item.name}()`, caret: item.name.length + (item.signature.endsWith("()") ? 2 : 1) };
  if (item.kind === "aggregation" && !/^\s*(\(|by|without)/.test(context.after)) return { text: `${item.name}()`, caret: item.name.length + 1 };
  if (item.kind === "keyword" && /^(by|without|on|ignoring|group_left|group_right)$/.test(item.name) && !/^\s*\(/.test(context.after)) return { text: `${item.name} ()`, caret: item.name.length + 2, more: true };
  return { text: item.name, caret: item.name.length };
}
