// The Notices tab: what was sent, waits, was tried again or was given up, and how each channel is doing.

import { call } from "../api.js";
import { ask, toast } from "../dialog.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayFull, sayMoment, sayText } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";

const LIMIT = 200;
const STATES = {
  waiting: (one) => (one.attempts ? ["warning", t("RETRYING")] : ["busy", t("WAITING")]), sent: () => ["ok", t("SENT")], failed: () => ["critical", t("FAILED")], merged: () => ["", t("IN A SUMMARY")],
  discarded: () => ["", t("DISCARDED")],
};

export function startNotices(store, counted) {
  const may = store.first.may.operator;
  let wanted = "";

  async function load() {
    const query = new URLSearchParams({ state: wanted, channel: find("#notice-channel").value, limit: LIMIT });
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    const { notices, channels } = await call(`/api/notices?${query}`);
    paintChannels(channels);
    reconcile(find("#notices tbody"), notices, { key: (one) => one.id, make: () => makeRow(may, reload), fill: fillRow });
    show(find("#notices thead"), notices.length > 0);
    show(find("#notices-empty"), notices.length === 0);
    text(find("#notices-empty"), wanted || find("#notice-channel").value ? t("There is no such notice.") : channels.length ? t("No notice has been sent yet: no alert has asked for one.") : t("No channel is set up, so alerts are only shown here. Add one under Channels."));
    counted(channels.reduce((sum, one) => sum + (one.failed ?? 0), 0));
  }

  for (const button of all("#notice-state button")) button.addEventListener("click", () => {
    wanted = button.dataset.stateOf;
    for (const one of all("#notice-state button")) one.setAttribute("aria-pressed", String(one === button));
    reload();
  });
  find("#notice-channel").addEventListener("change", () => reload());
  const part = new Part(find("#part-notices"), store, load, 5000);
  const reload = () => part.reload();
  return part;
}

function paintChannels(channels) {
  const select = find("#notice-channel");
  const names = channels.map((one) => one.name);
  if (all("option", select).slice(1).map((option) => option.value).join("\n") !== names.join("\n")) {
    const { value } = select;
    select.replaceChildren(select.firstElementChild, ...names.map((name) => el("option", { value: name }, name)));
    select.value = names.includes(value) ? value : "";
  }
  reconcile(find("#notice-channels"), channels, {
    key: (one) => one.name,
    make: () => el("article", { className: "card-of channel-state" }, el("div", { className: "row-of" }, el("b"), el("span", { className: "pill" })), el("p"), el("p", { className: "mute" })),
    fill: (card, one) => {
      const [head, figures, error] = card.children;
      const resting = one.resting_until_ms && one.resting_until_ms > Date.now();
      const [state, word] = one.is_configured === false ? ["warning", t("GONE")] : resting ? ["warning", t("RESTING")] : one.failed ? ["critical", t("FAILURES")] : one.waiting ? ["busy", t("BUSY")] : ["ok", t("OK")];
      text(head.firstChild, one.name);
      head.lastChild.dataset.state = state;
      text(head.lastChild, word);
      const parts = [t("{count} sent in 24 h", { count: one.sent_24h ?? 0 }), one.waiting && t("{count} waiting", { count: one.waiting }), one.failed && t("{count} given up", { count: one.failed }), one.rate && t("at most {rate} a minute", { rate: sayText(one.rate, "count") })];
      text(figures, parts.filter(Boolean).join(" · "));
      text(error, [resting && t("rests for {duration}", { duration: duration((one.resting_until_ms - Date.now()) / 1000) }), one.last_error && sayReason(one.last_error)].filter(Boolean).join(" · "));
      show(error, Boolean(error.textContent));
    },
  });
}

function makeRow(may, reload) {
  const act = (method, path, done) => async () => {
    try {
      await call(path(), { method });
      toast(done);
      reload();
    } catch (error) {
      toast([error.message, error.suggestion].filter(Boolean).join(" "), "critical");
    }
  };
  const id = () => row.dataset.key;
  const again = el("button", { type: "button", className: "control small", on: { click: act("POST", () => `/api/notices/${id()}/retry`, t("The notice is sent again.")) } }, t("Try again"));
  const discard = el("button", { type: "button", className: "control bare small", on: { click: () => ask({ title: t("Discard this notice?"), body: [t("It will not be sent. The alert itself stays as it is.")], confirm: t("Discard"), danger: true, run: async () => { await call(`/api/notices/${id()}`, { method: "DELETE" }); reload(); } }) } }, t("Discard"));
  const row = el("tr", {});
  row.append(el("td", {}, el("time")), el("td", {}, el("details", { className: "said-notice" }, el("summary"), el("pre", { tabIndex: 0 })), el("p", { className: "error" })),
    el("td", { data: { label: t("Channel") } }), el("td", {}, el("span", { className: "pill" }), el("div", { className: "mute" })), el("td", {}, may ? el("div", { className: "row-of" }, again, discard) : null));
  return row;
}

function fillRow(row, one) {
  const [when, what, channel, state, buttons] = row.children;
  text(when.firstChild, sayMoment(one.created_ms));
  when.firstChild.title = sayFull(one.created_ms);
  const [details, error] = what.children;
  text(details.firstChild, (one.title || t("(not put into words yet)")) + (one.stands_for > 1 ? ` · ${t("for {count} notices", { count: one.stands_for })}` : ""));
  text(details.lastChild, one.body);
  text(error, one.error && one.state !== "sent" ? sayReason(one.error) : "");
  show(error, Boolean(error.textContent));
  text(channel, one.channel);
  const [look, word] = (STATES[one.state] ?? STATES.merged)(one);
  state.firstChild.dataset.state = look;
  text(state.firstChild, word);
  text(state.lastChild, detail(one));
  if (buttons.firstChild) {
    const [again, discard] = buttons.firstChild.children;
    show(again, one.state === "failed" || (one.state === "waiting" && one.attempts > 0));
    show(discard, one.state === "failed" || one.state === "waiting");
  }
}

function detail(one) {
  const tries = one.attempts > 1 ? t("{count} attempts", { count: one.attempts }) : "";
  if (one.state === "sent") return [t("after {duration}", { duration: duration(Math.max(0, one.sent_ms - one.created_ms) / 1000) }), tries].filter(Boolean).join(" · ");
  if (one.state !== "waiting") return tries;
  const next = one.next_ms > Date.now() ? t("next attempt in {duration}", { duration: duration((one.next_ms - Date.now()) / 1000) }) : "";
  return [one.attempts === 1 ? t("one attempt") : tries, next].filter(Boolean).join(" · ");
}
