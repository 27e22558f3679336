// One line of Wakeless' own log as it is shown.

import { el, text } from "../dom.js";
import { sayExact, sayFull } from "../format.js";
import { t } from "../i18n.js";

const LOOKS = { debug: "", info: "", warning: "warning", error: "critical", critical: "critical" };

const say = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** A row; `data-request` leads to all lines of that request. */
export function makeLine({ cursor, time_ms: time, level, event, text: whole, request_id: request, fields = {} }) {
  const { exception, stack, ...others } = fields;
  const when = el("time", { title: time === null ? "" : sayFull(time) });
  text(when, time === null ? "" : sayExact(time));
  const facts = Object.entries(others).filter(([name]) => !["request_id", "event", "level", "timestamp"].includes(name));
  const body = el("span", { className: "line-body" }, el("b", {}, whole || event || ""));
  for (const [name, value] of facts) body.append(" ", el("span", { className: "line-fact" }, el("i", {}, `${name}=`), say(value)));
  if (request) body.append(" ", el("button", { type: "button", className: "line-request", title: t("All lines of this request"), data: { request } }, request));
  if (exception || stack) body.append(el("pre", {}, say(exception ?? stack)));
  return el("li", { className: "line", data: { state: LOOKS[level] ?? "", cursor } }, when, el("span", { className: "line-level" }, level ?? ""), body);
}
