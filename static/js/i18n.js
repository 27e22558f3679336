// The page's language. English texts are their own keys; other languages come from static/i18n. What the server says is
// English: dashboard/i18n.py finds its translation in the same way, and a test holds the two together.

export const language = document.documentElement.dataset.language ?? "en";
export const locale = language === "zh" ? "zh-CN" : "en-GB";

let table = {};
/** Texts with values in them, `exited with code {0}`, the most telling first. */
let patterns = [];

export async function loadMessages() {
  if (language === "en") return;
  const answer = await fetch(new URL(`../i18n/${language}.json`, import.meta.url));
  if (!answer.ok) return;
  table = await answer.json();
  const literal = (key) => key.replace(/\{\d\}/g, "").length;
  patterns = Object.keys(table).filter((key) => /\{\d\}/.test(key)).sort((one, other) => literal(other) - literal(one))
    .map((key) => [key, new RegExp(`^${key.split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("(.+?)")}$`, "s")]);
}

/** The text in the page's language, with {name} filled in. */
export function t(message, values = {}) {
  return (table[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export const colon = language === "zh" ? "：" : ": ";
const spaced = (code) => code.replaceAll("_", " ");

/** What the server says, a sentence or a machine-readable reason (`out_of_memory: 3 GB`), as people say it. */
export function sayReason(reason) {
  if (!reason) return "";
  if (Object.hasOwn(table, reason)) return table[reason];
  const [, code, rest] = /^([a-z][a-z0-9_]*): (.+)$/s.exec(reason) ?? [];
  if (code) return `${table[code] ?? spaced(code)}${colon}${sayReason(rest)}`;
  for (const [key, pattern] of patterns) {
    const found = pattern.exec(reason);
    if (found) return table[key].replace(/\{(\d)\}/g, (_, place) => sayValue(found[Number(place) + 1]));
  }
  return reason.replace(/^[a-z0-9]+(_[a-z0-9]+)+(?= |$)/, spaced);
}

/** A value in a text is a name, unless it is several words or a reason of its own. */
const sayValue = (value) => (/[ _]/.test(value) ? sayReason(value) : value);

/** Several of them in a row. */
export const sayAll = (reasons) => (reasons ? reasons.split("; ").map(sayReason).join(language === "zh" ? "；" : "; ") : "");
