// Values of rules and alerts as people read them: in the unit of the rule's metric, against its threshold. No DOM.

import { sayText } from "../format.js";
import { t } from "../i18n.js";
import { sayOperator, thresholdOf } from "./threshold.js";

const METRIC = /\b[a-zA-Z_:][\w:]*_(seconds|bytes|ratio|celsius|watts|hertz)(?:_total)?\b(?!\s*\()/g;
const COUNTING = /^\s*(count|count_values|changes|resets|absent|absent_over_time|time|group)\b/;

/** The unit of what an expression gives, as far as its names tell; count where they do not. */
export function unitOf(expr) {
  const shown = (expr ?? "").split(/\b(?:and|unless)\b/)[0].replace(/"[^"]*"|\{[^}]*\}|\[[^\]]*\]/g, "");
  if (COUNTING.test(shown) || /[*^]/.test(shown)) return "count";
  const found = new Set([...shown.matchAll(METRIC)].map(([, unit]) => unit));
  if (found.size !== 1) return "count";
  const [unit] = found;
  if (/\/\s*(?![\d.]+)/.test(shown)) return "ratio";
  if (/\b(i?rate|deriv)\s*\(/.test(shown)) return { bytes: "bytes_per_second", seconds: "ratio" }[unit] ?? "count";
  return unit;
}

/** "97 °C, threshold > 95 °C"; empty where the value says nothing that the summary does not (up == 0). */
export function sayMeasure(value, expr) {
  const bound = thresholdOf(expr);
  if (value === null || value === undefined || (bound && ["==", "!="].includes(bound.operator))) return "";
  const now = sayText(Number(value), unitOf(expr));
  return bound ? t("{value}, threshold {bound}", { value: now, bound: sayBound(expr) }) : now;
}

export function sayBound(expr) {
  const bound = thresholdOf(expr);
  return bound ? `${sayOperator(bound.operator)} ${sayText(bound.value, unitOf(expr))}` : "";
}
