// What was done about the model, by itself or by somebody: why, what, how long it took, and whether it helped.

import { call } from "./api.js";
import { el, find, icon, reconcile, show, text } from "./dom.js";
import { endingOf } from "./ending.js";
import { sayFull, sayMoment, seconds } from "./format.js";
import { sayReason, t } from "./i18n.js";

/** What people wanted: no trouble. */
const PLANNED = new Set(["restart", "stop"]);

const DONE = {
  start: () => t("a new process was started"),
  start_other: ({ detail }) => t("a new process was started with version {version}", detail),
  start_without: () => t("a new process was started without the model: safe mode"),
  reload: () => t("the model was loaded anew"),
  rollback: () => t("the last good version was put back"),
  end_canary: () => t("the canary was taken out"),
};

/** The lines of the last 30 days, newest first, shown and returned; none where the server does not answer. */
export async function loadLadder(store) {
  let found;
  try {
    found = (await call("/api/model/history")).history;
  } catch {
    return []; // The connection banner speaks where the server is gone.
  }
  const list = find("#past");
  if (!found.length) {
    list.replaceChildren(el("li", { className: "none", data: { key: "none" } },
      t("Nothing yet: the model has run since it was first loaded. Restarts, reloads and rollbacks will be listed here, with their cause and whether they helped.")));
    return found;
  }
  reconcile(list, found, {
    key: (rung) => `${rung.kind}${rung.time_ms}${rung.cause}`,
    make: () => el("li", {}, el("span", { className: "dot" }), el("b"), el("time"), el("p"), el("p", { className: "done" }, el("span"), el("span", { className: "helped" }, icon("check-lg"), el("span")))),
    fill: (row, rung) => fill(row, rung, store),
  });
  return found;
}

function fill(row, rung, store) {
  const [dot, title, when, why, done] = row.children;
  dot.dataset.state = level(rung);
  text(title, rung.kind === "action" ? t(rung.cause) : rung.action === "start_other" ? t("Rolled back") : sayReason(rung.cause));
  text(when, sayMoment(rung.time_ms, store.now()));
  when.title = sayFull(rung.time_ms);
  text(why, sayWhy(rung));
  show(why, Boolean(why.textContent));
  const [what, judgement] = done.children;
  const [mark, verdict] = judgement.children;
  text(what, sayDone(rung));
  show(done, Boolean(what.textContent));
  const judged = rung.helped !== null && rung.kind !== "action";
  mark.toggleAttribute("hidden", !judged);
  mark.firstChild.setAttribute("href", mark.firstChild.getAttribute("href").replace(/#.*/, rung.helped ? "#check-lg" : "#x-lg"));
  judgement.dataset.state = rung.helped === null ? "" : rung.helped ? "ok" : "critical";
  text(verdict, sayVerdict(rung));
  if (!row.ending && rung.kind === "restart") {
    row.ending = endingOf(rung.detail, store.first.may.operator);
    if (row.ending) row.append(row.ending);
  }
}

function level({ kind, cause, helped }) {
  if (kind === "action" || PLANNED.has(cause)) return "info";
  if (kind === "remedy") return helped ? "info" : "warning";
  return "critical";
}

/** What happened, without the words that its title says already. */
function sayWhy({ kind, why, cause, detail }) {
  if (kind === "action") return detail.version ? `${t("version {version}", detail)} · ${why}` : why;
  if (PLANNED.has(cause) && detail.actor) return [sayReason(why), detail.reason].filter(Boolean).join(" · ");
  return sayReason(why.startsWith(`${cause}: `) ? why.slice(cause.length + 2) : why);
}

function sayDone(rung) {
  const what = DONE[rung.action]?.(rung) ?? "";
  if (rung.kind === "action" || rung.action === "stop") return "";
  const took = rung.seconds === null ? (rung.kind === "trouble" ? t("goes on") : t("under way")) : rung.kind === "trouble" ? t("lasted {duration}", { duration: seconds(rung.seconds) }) : sayTook(rung);
  return [what, took].filter(Boolean).join(" · ");
}

function sayTook(rung) {
  const duration = seconds(rung.seconds);
  if (rung.kind === "remedy") return t("known after {duration}", { duration });
  return rung.helped === false || rung.action === "start_without" ? t("after {duration}", { duration }) : t("back after {duration}", { duration });
}

function sayVerdict({ kind, helped, outcome, seconds: took, action }) {
  const found = sayReason(outcome);
  if (helped === true) return [t("it helped"), found].filter(Boolean).join(" · ");
  if (helped === false) return [t("it did not help"), found].filter(Boolean).join(" · ");
  return kind === "remedy" && took !== null && action !== "none" ? [t("not known whether it helped"), found].filter(Boolean).join(" · ") : "";
}
