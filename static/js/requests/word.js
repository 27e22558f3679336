// How requests are said: their outcome's colour and word, the facts of an input. No DOM.

import { sayText } from "../format.js";
import { t } from "../i18n.js";

const LOOKS = { ok: "ok", cached: "ok", bad_input: "", canceled: "", rejected: "warning", fallback: "warning", stale: "warning", default: "warning", timeout: "critical", oom: "critical", error: "critical" };

export const lookOf = (outcome) => LOOKS[outcome] ?? "";
export const sayOutcome = (outcome) => t(outcome);
export const sayClass = (name) => (name ? t(name) : "–");

/** What is known of an input, name by name: "1920 × 1080", "1.2 MB". */
export function factsOf(input) {
  const { width, height, bytes, ...others } = input ?? {};
  const found = [];
  if (width && height) found.push([t("size"), `${width} × ${height}`]);
  if (Number.isFinite(bytes)) found.push([t("bytes"), sayText(bytes, "bytes")]);
  for (const [name, value] of Object.entries(others)) {
    if (value === null || value === undefined || value === "") continue;
    if (["string", "number", "boolean"].includes(typeof value)) found.push([t(name), String(value)]);
    else found.push([t(name), JSON.stringify(value)]);
  }
  return found;
}
