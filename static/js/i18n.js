// The page's language. English texts are their own keys; other languages come from static/i18n.

export const language = document.documentElement.dataset.language ?? "en";
export const locale = language === "zh" ? "zh-CN" : "en-GB";

let table = {};

export async function loadMessages() {
  if (language === "en") return;
  const answer = await fetch(new URL(`../i18n/${language}.json`, import.meta.url));
  if (answer.ok) table = await answer.json();
}

/** The text in the page's language, with {name} filled in. */
export function t(message, values = {}) {
  return (table[message] ?? message).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** A machine-readable word (`out_of_memory: 3 GB`) as people say it: the part before the colon is looked up. */
export function sayReason(reason) {
  if (!reason) return "";
  const [code, ...rest] = reason.split(": ");
  const said = table[code] ?? code.replaceAll("_", " ");
  return rest.length ? `${said}${language === "zh" ? "：" : ": "}${rest.join(": ")}` : said;
}
