// What was found out about the end of a process: how it ended, its last call into the model, its memory, its last lines.
// All of it comes from a program that was in trouble: it is shown as text, whatever it says.

import { el } from "./dom.js";
import { sayText, seconds } from "./format.js";
import { t } from "./i18n.js";
import { memoryPicture } from "./memory.js";

const CALLS = { batch: "a batch", check: "a health check", step: "a step of a stream", close: "the end of a stream" };

/** A part that opens; null where nothing is known. `lines` says whether this viewer may see what the process wrote. */
export function endingOf(detail, lines) {
  const parts = [batch(detail.batch), calls(detail.calls), memory(detail), ...written(detail, lines)].filter(Boolean);
  if (!parts.length) return null; // an end that was wanted has no more to it than its process
  parts.unshift(facts(detail));
  return el("details", { className: "ending" }, el("summary", {}, t("How it ended")), ...parts);
}

function pairs(rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { className: "pairs" }, ...shown.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
}

function facts({ code, signal, pid, lived_seconds: lived, ends }) {
  return pairs([
    [t("Exit code"), code], [t("Signal"), signal], [t("Process"), pid],
    [t("Lived"), lived === undefined ? null : seconds(lived)], [t("Ends in a row"), ends > 1 ? ends : null],
  ]);
}

/** The last call into the model: what its inputs looked like, never what was in them. */
function batch(call) {
  if (!call) return null;
  const ran = call.finished ? t("over {duration} before the end", { duration: seconds(call.seconds_before_end) }) : t("running for {duration} at the end", { duration: seconds(call.seconds) });
  const size = call.size === 1 ? t("one input") : t("{count} inputs", { count: call.size });
  const head = el("p", {}, `${t(CALLS[call.what] ?? call.what)} · ${size} · ${ran}`);
  const rows = Math.max(call.inputs.length, call.request_ids.length);
  const alike = call.inputs.length === 1 && call.size > 1;
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["Input", "Kind and shape", "Request id"].map((name) => el("th", { scope: "col" }, t(name))))));
  const body = el("tbody");
  for (let row = 0; row < rows; row += 1) {
    const shape = alike ? (row ? "″" : t("{shape}, all alike", { shape: call.inputs[0] })) : call.inputs[row] ?? "–";
    body.append(el("tr", {}, el("td", {}, String(row + 1)), el("td", {}, el("code", {}, shape)), el("td", {}, el("code", {}, call.request_ids[row] ?? "–"))));
  }
  table.append(body);
  const more = call.size > rows && rows > 1 ? el("p", { className: "mute" }, t("and {count} more", { count: call.size - rows })) : null;
  return part(t("Last call into the model"), head, ...(rows ? [table] : []), more);
}

/** Other code of the plug-in that ran beside it: a load, a decode … */
function calls(running) {
  if (!running?.length) return null;
  const rows = running.map((call) => el("li", {}, el("code", {}, [call.what, call.request_id].filter(Boolean).join(" ")), ` ${t("running for {duration} at the end", { duration: seconds(call.seconds) })}`));
  return part(t("Other code of the model that ran"), el("ul", { className: "calls" }, ...rows));
}

function memory({ memory_mb: curve, peak_memory_mb: peak }) {
  if (!curve?.length && !peak) return null;
  const most = peak ? el("p", { className: "mute" }, t("At most {size}, by the kernel's account.", { size: sayText(peak * 1e6, "bytes") })) : null;
  return part(t("Memory before the end"), curve?.length > 1 ? memoryPicture(curve) : null, most);
}

function written({ stderr, log, signal }, lines) {
  if (!lines) return signal ? [el("p", { className: "mute" }, t("Its last lines are shown to operators."))] : [];
  return [[t("Last lines of stderr"), stderr], [t("Last lines of the log"), log]]
    .filter(([, said]) => Array.isArray(said) && said.length)
    .map(([title, said]) => part(title, el("pre", { className: "lines-of", tabIndex: 0, "aria-label": title }, said.join("\n"))));
}

const part = (title, ...children) => el("section", {}, el("h3", {}, title), ...children);
