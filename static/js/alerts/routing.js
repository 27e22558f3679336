// Who gets what: the routing as a tree, what of its file is not supported, why one would get a notice, who is on call.

import { call } from "../api.js";
import { el, find, icon, text } from "../dom.js";
import { sayDayClock, sayMoment } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { parseMatchers } from "../matchers.js";

export function startRouting() {
  find("#explain").addEventListener("submit", async (event) => {
    event.preventDefault();
    const box = find("#explained");
    const input = event.target.elements.labels;
    const matchers = parseMatchers(input.value);
    if (!matchers || matchers.some(({ isRegex, isEqual }) => isRegex || !isEqual)) {
      box.replaceChildren(el("p", { className: "error" }, t('Write labels as name="value", with commas between them.')));
      return;
    }
    try {
      paintExplained(box, await call("/api/routing/explain", { method: "POST", json: { labels: Object.fromEntries(matchers.map(({ name, value }) => [name, value])) } }));
    } catch (error) {
      box.replaceChildren(el("p", { className: "error" }, error.message));
    }
  });

  let painted = "";
  let named = false;

  async function load() {
    if (!named) {
      named = true;
      nameRules().catch(() => { named = false; }); // proposals only; the next round asks again
    }
    const { groups, rotas, ...routing } = await call("/api/routing");
    paintOnCall(rotas);
    const now = JSON.stringify([routing, rotas.map((one) => one.now)]);
    if (now === painted) return; // what is folded out stays so
    painted = now;
    text(find("#routing-file"), routing.file ? String(routing.file).split("/").at(-1) : t("by level, without a file"));
    const unsupported = routing.unsupported?.length ? el("div", { className: "notice", data: { state: "warning" } }, icon("exclamation-triangle-fill"),
      el("div", {}, el("p", {}, t("These parts of the file are not supported and do nothing:")), el("ul", { className: "mono" }, ...routing.unsupported.map((one) => el("li", {}, sayReason(one)))))) : null;
    const refused = routing.problems.length ? el("div", { className: "notice", data: { state: "critical" } }, icon("exclamation-triangle-fill"),
      el("div", {}, el("p", {}, t("The newest routing file is not in force: it has a mistake. What it said before goes on.")), el("ul", { className: "mono" }, ...routing.problems.map((one) => el("li", {}, one))))) : null;
    const remarks = routing.notes.map(sayReason);
    const inhibits = routing.inhibit_rules?.length ? el("details", { className: "past" }, el("summary", {}, t("What keeps what back")), el("ul", { className: "mono inhibits" }, ...routing.inhibit_rules.map((one) => el("li", {}, one)))) : null;
    find("#routing").replaceChildren(...[refused, unsupported, ...remarks.map((one) => el("p", { className: "mute" }, one)), el("ul", { className: "tree" }, branch(routing.tree, receiverNames(routing, rotas))), inhibits].filter(Boolean));
  }

  return { load };
}

/** Propose the labels of the rules that there are. */
async function nameRules() {
  const { data } = await call("/api/v1/rules?type=alert&exclude_alerts=true");
  const names = data.groups.flatMap(({ rules }) => rules.map(({ name, labels }) => `alertname="${name}"${labels.severity ? `, severity="${labels.severity}"` : ""}`));
  find("#explain-names").replaceChildren(...[...new Set(names)].map((value) => el("option", { value })));
}

/** Who a receiver is: its channels too, where they are called otherwise. Without a file, receivers are only levels. */
function receiverNames({ file, receivers }, rotas) {
  const onCall = new Map(rotas.map((one) => [one.name, one.now]));
  const channels = new Map(receivers.map((one) => [one.name, one.channels]));
  return (name) => {
    if (onCall.has(name)) return onCall.get(name) ? t("{name} (now {person})", { name, person: onCall.get(name) }) : t("{name} (nobody now)", { name });
    const found = channels.get(name) ?? [];
    if (!found.length) return file ? `${name} (${t("only this page")})` : t("only this page");
    return !file || found.join() === name ? found.join(", ") : `${name} (${found.join(", ")})`;
  };
}

/** One route: its matchers, who gets it, and how patient it is; what lies below it after that. */
function branch(route, nameOf, above = {}) {
  const { matchers } = route;
  const head = el("p", {}, ...(route.levels?.length && route.levels.length < 3 ? [el("span", {}, t("level {level}", { level: route.levels.join(", ") }), " ")] : []), ...(matchers.length ? matchers.map((one) => el("code", { className: "matcher" }, one)) : route.levels?.length && route.levels.length < 3 ? [] : [el("span", {}, above.receiver === undefined ? t("Everything else") : t("Everything"))]), " → ", el("b", {}, nameOf(route.receiver)));
  const differs = (name) => JSON.stringify(route[name]) !== JSON.stringify(above[name]); // what it has from above is said there
  const grouped = route.group_by?.length && differs("group_by") ? t("grouped by {labels}", { labels: route.group_by.includes("...") ? t("all labels") : route.group_by.join(", ") }) : "";
  const timing = [grouped, differs("group_wait") && t("waits {time}", { time: route.group_wait }), differs("group_interval") && t("more of a group after {time}", { time: route.group_interval }), differs("repeat_interval") && t("again after {time}", { time: route.repeat_interval }),
    ...(route.escalation ?? []).map(({ after, receiver }) => t("to {name} too if nobody has acknowledged after {time}", { name: receiver, time: after })),
    ...(route.quiet_hours ?? []).map(({ time_intervals: names, levels }) => t("level {levels} is quiet in {names}", { levels: levels.join(", "), names: names.join(", ") })),
    route.continue && t("and goes on to the next"), route.mute_time_intervals?.length && t("quiet: {names}", { names: route.mute_time_intervals.join(", ") }), route.active_time_intervals?.length && t("only: {names}", { names: route.active_time_intervals.join(", ") })];
  const below = route.routes.map((one) => branch(one, nameOf, route));
  return el("li", {}, head, el("p", { className: "mute" }, timing.filter(Boolean).join(" · ")), below.length ? el("ul", {}, ...below) : null);
}

function paintExplained(box, { receivers, routes, muted_by: mutedBy }) {
  const names = [...new Set(receivers.flatMap((one) => one.channels))];
  const parts = [el("p", {}, names.length ? t("It goes to {names}.", { names: names.join(", ") }) : t("It goes to nobody: it is only shown on this page."))];
  parts.push(el("ol", {}, ...routes.map((one) => el("li", {}, el("code", { className: "matcher" }, one.route), ` → ${one.on_call}`, el("div", { className: "mute" }, sayTimes(one))))));
  if (mutedBy.length) parts.push(el("p", { className: "row-of" }, icon("bell-slash"), t("Now nobody is told, because of: {names}", { names: mutedBy.map(sayReason).join(", ") })));
  box.replaceChildren(...parts);
}

function sayTimes({ told_ms: told, next_ms: next }) {
  const said = Object.entries(told).map(([channel, time]) => t("{channel} was told at {time}", { channel, time: sayMoment(time) }));
  return [...said, next && next > Date.now() && t("looks again at {time}", { time: sayMoment(next) })].filter(Boolean).join(" · ");
}

function paintOnCall(rotas) {
  const box = find("#oncall");
  if (!rotas.length) {
    box.replaceChildren(el("p", { className: "mute" }, t("There is no rota. A routing file can name one: who is told in which week.")));
    return;
  }
  box.replaceChildren(el("dl", { className: "pairs rota" }, ...rotas.flatMap((rota) => {
    const { now, until_ms: until } = rota;
    const next = rota.next && until ? t("until {time}, then {name}", { time: sayDayClock(until), name: rota.next }) : until ? t("until {time}", { time: sayDayClock(until) }) : "";
    return [el("dt", {}, rota.name ?? ""), el("dd", {}, el("b", {}, now || "–"), el("div", { className: "mute" }, next))];
  })));
}
