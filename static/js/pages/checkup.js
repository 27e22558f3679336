// A checkup: what is usually looked at when something is wrong, step by step, with what was found.

import { alertText } from "../alerts.js";
import { call } from "../api.js";
import { el, find, icon, reconcile, show, text } from "../dom.js";
import { sayFull, sayMoment, sayText } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { pathOf } from "../targets/word.js";

const ICONS = { ok: "check-circle-fill", bad: "x-circle-fill", unknown: "question-circle-fill" };
const LOOKS = { ok: "ok", bad: "critical", unknown: "" };
const WORDS = { ok: () => t("well"), bad: () => t("not well"), unknown: () => t("not known") };
/** Units that numbers are said in; anything else is put behind them as it is. */
const UNITS = new Set(["bytes", "seconds", "ratio", "celsius", "watts", "count", "per_second", "bytes_per_second", "hertz"]);
const SLOW_MS = 3600_000;

export function start(store) {
  const given = new URLSearchParams(location.search);
  const [alert, target] = [given.get("alert"), given.get("target")];
  const root = find("#part-checkup");

  async function load() {
    const found = await call(`/api/checkup?${new URLSearchParams(alert ? { alert } : target ? { target } : {})}`);
    paintHead(found, target);
    paintSteps(found.steps);
    text(find("#ran"), t("Run at {time}", { time: sayFull(store.now()) }));
  }

  // It says how things stood when it was asked for; it does not change under one's eyes.
  const part = new Part(root, store, load, SLOW_MS);
  const again = find("#again");
  again.addEventListener("click", async () => {
    again.disabled = true;
    await part.reload();
    again.disabled = false;
  });
  if (!alert && !target) {
    offer(store);
    store.on("state", () => offer(store));
  }
  part.open();
}

function paintHead({ alert }, target) {
  const about = find("#about");
  const name = alert ? alertText(alert, "summary") : target ?? t("the model and its server");
  about.replaceChildren(target ? el("a", { href: pathOf(target) }, name) : el("span", {}, name));
  document.title = `${t("Checkup")}: ${name}`;
}

function paintSteps(steps) {
  const bad = steps.filter(({ verdict }) => verdict === "bad").length;
  const unknown = steps.filter(({ verdict }) => verdict === "unknown").length;
  const sum = find("#sum");
  sum.dataset.state = bad ? "critical" : "ok";
  const first = steps.find(({ verdict }) => verdict === "bad");
  text(sum, bad ? t("{bad} of {count} steps are not well. Begin with: {question}", { bad, count: steps.length, question: sayReason(first.question) }) : unknown ? t("Nothing wrong was found; {count} steps could not be answered.", { count: unknown }) : t("Nothing wrong was found."));
  reconcile(find("#steps"), steps, { key: ({ key }) => key, make: () => el("li", { className: "step" }), fill: fillStep });
}

function fillStep(item, { question, verdict, answer, facts = [], lines = [] }) {
  item.dataset.state = LOOKS[verdict] ?? "";
  item.replaceChildren(...[
    icon(ICONS[verdict] ?? "question-circle-fill"),
    el("div", { className: "step-body" }, ...[
      el("h2", {}, sayReason(question), el("span", { className: "visually-hidden" }, ` (${WORDS[verdict]?.() ?? verdict})`)),
      el("p", { className: "step-answer" }, sayReason(answer)),
      facts.length ? el("dl", { className: "step-facts" }, ...facts.map((fact) => el("div", {}, sayName(fact), el("dd", {}, sayFact(fact))))) : null,
      lines.length ? el("pre", { className: "command", tabIndex: 0 }, lines.map((line) => (typeof line === "string" ? line : line.text ?? JSON.stringify(line))).join("\n")) : null,
    ].filter(Boolean)),
  ]);
}

/** A moment is told on the reader's own clock, as on every other page. */
function sayName({ name, time_ms: time }) {
  return Number.isFinite(time) ? el("dt", { title: sayFull(time) }, sayMoment(time)) : el("dt", {}, sayReason(name));
}

function sayFact({ value, unit, link }) {
  const words = typeof value === "number" ? (UNITS.has(unit) ? sayText(value, unit) : [sayText(value, "count"), unit].filter(Boolean).join("\u202f")) : value === true ? t("yes") : value === false ? t("no") : sayReason(String(value ?? "–"));
  return link && /^\/(?!\/)/.test(link) ? el("a", { href: link }, words) : words;
}

/** Where only the service as a whole was asked about: the alerts and the targets that one may ask about. */
function offer(store) {
  const alerts = store.state.alerts.filter(({ state }) => state === "firing" || state === "acknowledged");
  show(find("#offer"), true);
  reconcile(find("#offer-alerts"), alerts, {
    key: ({ id }) => id,
    make: () => el("li", {}, el("i", { className: "dot", "aria-hidden": "true" }), el("a")),
    fill: (item, one) => { item.dataset.state = one.tone ?? one.severity; item.lastChild.href = `/checkup?${new URLSearchParams({ alert: one.id })}`; text(item.lastChild, alertText(one, "summary")); },
  });
  show(find("#offer-none"), alerts.length === 0);
}
