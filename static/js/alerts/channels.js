// The Channels tab: where notices go, who gets what, and who is on call.

import { call } from "../api.js";
import { ask } from "../dialog.js";
import { el, find, icon, reconcile, text } from "../dom.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { openChannel, trySending } from "./channel-form.js";
import { startRouting } from "./routing.js";
import { serviceName } from "./services.js";

const ORIGINS = { settings: () => t("from the settings"), routing: () => t("from the routing file"), page: () => t("added here") };

export function startChannels(store) {
  const { admin } = store.first.may;
  const routing = startRouting(store);

  async function load() {
    const outcomes = await Promise.allSettled([call("/api/channels").then(({ channels }) => paint(channels)), routing.load()]);
    const failed = outcomes.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  function paint(channels) {
    const box = find("#channels");
    if (!channels.length) {
      box.replaceChildren(el("div", { className: "empty-row empty-channels" }, el("p", {}, t("Nobody is told of alerts: they are only shown on this page.")),
        admin ? el("p", { className: "mute" }, t("Add a channel: a group robot of WeCom, Feishu or DingTalk, Telegram, Slack, Discord, mail, SMS or a webhook.")) : el("p", { className: "mute" }, t("An administrator can add a channel."))));
      return;
    }
    reconcile(box, channels, { key: (one) => one.name, make: makeRow, fill: fillRow });
  }

  function makeRow() {
    const outcome = el("p", { className: "outcome-line", role: "status", hidden: true });
    const test = el("button", { type: "button", className: "control small", on: { click: () => trySending(test, outcome, `/api/channels/${encodeURIComponent(row.channel.name)}/test`) } }, icon("send"), t("Send test"));
    const edit = el("button", { type: "button", className: "control small", data: { own: "" }, on: { click: () => openChannel({ channel: row.channel, saved: reload }) } }, icon("pencil"), t("Edit"));
    const remove = el("button", { type: "button", className: "control small", data: { own: "" }, on: { click: () => drop(row.channel, reload) } }, icon("trash"), t("Delete"));
    const row = el("article", { className: "entry" }, el("div", { className: "grow" }, el("p", { className: "row-of" }, el("b"), el("span", { className: "chip" })), el("p", { className: "mute" }), el("p", { className: "error" }), outcome),
      el("div", { className: "row-of entry-buttons" }, ...(admin ? [test, edit, remove] : [])));
    return row;
  }

  function fillRow(row, channel) {
    row.channel = channel;
    const [body, buttons] = row.children;
    const [head, facts, problem] = body.children;
    text(head.firstChild, channel.name);
    text(head.lastChild, serviceName(channel.scheme));
    const parts = [
      ORIGINS[channel.origin]?.() ?? channel.origin, t("from level {level}", { level: channel.least_level }), channel.per_minute ? t("at most {rate} a minute", { rate: channel.per_minute }) : "",
      channel.language === "zh" ? "中文" : channel.language === "en" ? "English" : "", channel.send_resolved === false ? t("not told when it is over") : "", channel.created_by && t("by {name}", { name: channel.created_by }),
    ];
    text(facts, parts.filter(Boolean).join(" · "));
    text(problem, sayReason(channel.problem));
    for (const button of buttons.querySelectorAll("[data-own]")) button.hidden = channel.origin !== "page";
  }

  const part = new Part(find("#part-channels"), store, load, 5000);
  const reload = () => part.reload();
  find("#channel-new")?.addEventListener("click", () => openChannel({ saved: reload }));
  return part;
}

function drop(channel, reload) {
  return ask({
    title: t("Delete the channel {name}?", { name: channel.name }),
    body: [t("Its address is forgotten, and what still waits for it is not sent.")],
    confirm: t("Delete"), danger: true,
    run: async () => { await call(`/api/channels/${encodeURIComponent(channel.name)}`, { method: "DELETE" }); reload(); },
  });
}
