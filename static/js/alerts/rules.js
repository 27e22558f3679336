// The Rules tab: state, value against threshold, health and how late each group is.

import { ask, call } from "../api.js";
import { all, el, field, find, icon, reconcile, show, text } from "../dom.js";
import { ago, duration, sayFull, sayText, seconds } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { sayBound, unitOf } from "./measure.js";
import { thresholdOf } from "./threshold.js";

const HEALTH = {
  inactive: ["ok", () => t("OK")], pending: ["loading", () => t("PENDING")], firing: ["warning", () => t("FIRING")], nodata: ["warning", () => t("NO DATA")],
  err: ["critical", () => t("ERROR")], unknown: ["", () => t("NOT YET")], record: ["ok", () => t("OK")],
};
/** An evaluation may begin so many seconds after its time before that is worth a word. */
const LATE = 2;
const MEASURED_MS = 20_000;

/** The current value by the expression of the rule. */
const values = new Map();

export function startRules(store) {
  let begun = false;

  async function load() {
    const [{ data }, { files }, lateness] = await Promise.all([call("/api/v1/rules"), call("/api/rules"), askLateness()]);
    paintRefused(files);
    await followChange(data.groups);
    const counts = { firing: 0, pending: 0, err: 0, nodata: 0 };
    for (const group of data.groups) {
      fillGroup(group, lateness.get(group.name) ?? 0);
      for (const rule of group.rules) {
        const key = keyOf(rule);
        if (key in counts) counts[key] += 1;
        fillRule(group, rule, key);
      }
    }
    const said = [t("{count} rules", { count: all("[data-rule]").length }), counts.firing && t("{count} firing", { count: counts.firing }), counts.pending && t("{count} pending", { count: counts.pending }),
      counts.nodata && t("{count} without data", { count: counts.nodata }), counts.err && t("{count} in error", { count: counts.err })];
    text(find("#rules-sum"), said.filter(Boolean).join(" · "));
    if (!begun) { begun = true; measure(); }
  }

  const part = new Part(find("#part-rules"), store, load, 5000);
  const measure = () => { if (part.isOpen && !document.hidden && store.connection === "open") measureOpen().then(() => part.reload()); };
  setInterval(measure, MEASURED_MS);
  find("#part-rules").addEventListener("toggle", measure, true);
  find("#rules-filter").addEventListener("input", filter);
  return part;
}

/** What each rule's expression gives before the comparison, of the groups that are open: the API tells only of alerts. */
async function measureOpen() {
  for (const row of all("details[data-group][open] [data-rule]")) {
    const { query } = row.dataset;
    const bound = thresholdOf(query);
    if (!bound) continue;
    try {
      const { data } = await call(`/api/v1/query?${new URLSearchParams({ query: bound.left, limit: 100 })}`);
      const found = data.resultType === "scalar" ? [Number(data.result[1])] : data.result.map(({ value }) => Number(value[1]));
      values.set(query, worstOf(found, sayBound(query)));
    } catch (error) {
      if (!error.status) return; // the server is gone: the banner speaks
    }
  }
}

/** The value that is nearest to, or furthest beyond, the bound. */
function worstOf(found, bound) {
  const finite = found.filter(Number.isFinite);
  if (!finite.length) return null;
  return /^[<≤]/.test(bound) ? Math.min(...finite) : Math.max(...finite);
}

function filter() {
  const words = find("#rules-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of all("[data-group]")) {
    let some = 0;
    for (const row of all("[data-rule]", group)) {
      const fits = words.every((word) => row.textContent.toLowerCase().includes(word) || row.dataset.rule.toLowerCase().includes(word));
      show(row, fits);
      some += fits;
    }
    show(group, some > 0 || !words.length);
    if (words.length && some) group.open = true;
  }
}

function keyOf(rule) {
  if (rule.type === "recording") return rule.health === "ok" ? "record" : rule.health;
  if (rule.health === "err" || rule.health === "unknown") return rule.health;
  return rule.noDataSince && rule.state !== "firing" ? "nodata" : rule.state ?? "inactive";
}

/** Rules come and go while the page is open; the server paints them, here as at first. */
async function followChange(groups) {
  const now = groups.flatMap(({ name, rules }) => rules.map((rule) => `${name}/${rule.name}`)).sort().join("\n");
  if (now === all("[data-rule]").map(({ dataset }) => dataset.rule).sort().join("\n")) return;
  const html = await (await ask("/alerts", { headers: { Accept: "text/html" } })).text();
  const painted = find("#rule-groups", new DOMParser().parseFromString(html, "text/html"));
  if (!painted) return; // the login has ended, which the banner says
  const open = new Set(all("#rule-groups [data-group][open]").map(({ dataset }) => dataset.group));
  for (const group of all("[data-group]", painted)) group.open ||= open.has(group.dataset.group);
  find("#rule-groups").replaceChildren(...painted.children);
  filter();
}

/** Files whose newest text cannot be used: what they said before is still in force. */
function paintRefused(files) {
  const refused = files.filter(({ problems }) => problems.length);
  reconcile(find("#rules-refused"), refused, {
    key: ({ path }) => path,
    make: () => el("div", { className: "notice", data: { state: "warning" } }, icon("exclamation-triangle-fill"), el("div", {}, el("b"), el("ul", { className: "mono" }))),
    fill: (node, { path, problems }) => {
      const [title, list] = node.lastChild.children;
      text(title, t("{file} cannot be used as it is; what it said before is in force.", { file: path }));
      reconcile(list, problems, { key: (one) => one, make: () => el("li", {}), fill: (item, one) => text(item, one) });
    },
  });
}

/** How late each group's last evaluation began, in seconds. */
async function askLateness() {
  const { data } = await call("/api/v1/query?query=rule_group_lateness_seconds");
  return new Map(data.result.map(({ metric, value }) => [metric.rule_group, Number(value[1])]));
}

function fillGroup(group, late) {
  const node = find(`[data-group="${CSS.escape(group.name)}"] [data-field=timing]`);
  if (!node || !(Date.parse(group.lastEvaluation) > 0)) return;
  const took = sayText(group.evaluationTime, "seconds");
  const every = group.interval ? t("every {interval}, takes {took}", { interval: duration(group.interval), took }) : t("takes {took}", { took });
  text(node, late > LATE ? `${every} · ${t("late by {duration}", { duration: seconds(late) })}` : every);
  node.dataset.state = late > LATE ? "warning" : "";
}

function fillRule(group, rule, key) {
  const row = find(`[data-rule="${CSS.escape(`${group.name}/${rule.name}`)}"]`);
  if (!row) return;
  row.dataset.query = rule.query;
  const [state, word] = HEALTH[key] ?? HEALTH.unknown;
  const pill = field(row, "state");
  pill.dataset.state = state;
  text(pill, word());
  text(field(row, "error"), rule.lastError);
  show(field(row, "error"), Boolean(rule.lastError));
  const bound = sayBound(rule.query);
  const current = values.get(rule.query) ?? worstOf((rule.alerts ?? []).map((alert) => Number(alert.value)), bound);
  const [now, fires] = field(row, "value").children;
  text(now, current === null ? "–" : sayText(current, unitOf(rule.query)));
  text(fires, bound ? t("fires at {bound}", { bound }) : "");
  const at = Date.parse(rule.lastEvaluation);
  const evaluated = field(row, "evaluated");
  text(evaluated, at > 0 ? ago(at) : t("not yet"));
  evaluated.title = at > 0 ? `${sayFull(at)} · ${(rule.evaluationTime * 1000).toFixed(1)} ms` : "";
}
