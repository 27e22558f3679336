// The Silences & maintenance tab.

import { call } from "../api.js";
import { ask, toast } from "../dialog.js";
import { el, find, icon, reconcile, show, text } from "../dom.js";
import { duration, sayDayClock, sayFull } from "../format.js";
import { t } from "../i18n.js";
import { chipOf } from "../matchers.js";
import { Part } from "../part.js";
import { fillMaintenance, openMaintenance } from "./maintenance.js";
import { openSilence } from "./silence.js";

const ORDER = ["active", "pending", "expired"];
const STATES = { active: ["busy", () => t("ACTIVE")], pending: ["", () => t("LATER")], expired: ["", () => t("OVER")] };
/** Silences that are over stay in view for so long; the server forgets them by itself. */
const SHOWN_OVER = 50;

export function startSilences(store, counted) {
  const may = store.first.may.operator;

  async function load() {
    const [silences, { maintenance }] = await Promise.all([call("/api/v2/silences"), call("/api/maintenance")]);
    paintSilences(silences);
    fillMaintenance(find("#maintenance"), maintenance, may, reload);
  }

  function paintSilences(silences) {
    const sorted = [...silences].sort((one, other) => ORDER.indexOf(one.status.state) - ORDER.indexOf(other.status.state) || Date.parse(one.endsAt) - Date.parse(other.endsAt));
    const standing = sorted.filter((one) => one.status.state !== "expired");
    const over = sorted.filter((one) => one.status.state === "expired").reverse().slice(0, SHOWN_OVER);
    fill(find("#silences"), standing, () => (may ? t("Nothing is silenced. Silence an alert on its card, or make a silence here before planned work.") : t("Nothing is silenced.")));
    const past = find("#silences-past");
    show(past, over.length > 0);
    text(past.firstElementChild, over.length === 1 ? t("One silence that is over") : t("{count} silences that are over", { count: over.length }));
    fill(past.lastElementChild, over, () => "");
    counted(standing.filter((one) => one.status.state === "active").length);
  }

  function fill(box, silences, empty) {
    if (!silences.length) { box.replaceChildren(el("p", { className: "empty-row mute" }, empty())); return; }
    reconcile(box, silences, { key: (one) => one.id, make: () => makeRow(may), fill: (row, silence) => fillRow(row, silence) });
  }

  function act(event) {
    const action = event.target.closest("[data-do]")?.dataset.do;
    const silence = event.target.closest(".entry")?.silence;
    if (!silence) return;
    if (action === "edit") openSilence({ silence, saved: reload });
    if (action === "again") openSilence({ matchers: silence.matchers, saved: reload });
    if (action === "expire") expire(silence, reload);
  }

  const part = new Part(find("#part-silences"), store, load, 15_000);
  const reload = () => part.reload();
  find("#silences").addEventListener("click", act);
  find("#silences-past").addEventListener("click", act);
  find("#silence-new")?.addEventListener("click", () => openSilence({ saved: reload }));
  find("#maintenance-new")?.addEventListener("click", () => openMaintenance({ saved: reload }));
  return part;
}

function makeRow(may) {
  const button = (name, symbol, label) => el("button", { type: "button", className: "control small", data: { do: name } }, icon(symbol), label);
  const buttons = may ? [button("edit", "pencil", t("Edit")), button("expire", "x-lg", t("End now")), button("again", "arrow-counterclockwise", t("Once more"))] : [];
  return el("article", { className: "entry" }, el("span", { className: "pill", data: { state: "" } }),
    el("div", { className: "grow" }, el("p", { className: "matcher-list" }), el("p", { className: "said" }), el("p", { className: "mute when" })), el("div", { className: "row-of entry-buttons" }, ...buttons));
}

function fillRow(row, silence) {
  row.silence = silence;
  const [pill, body, buttons] = row.children;
  const { state } = silence.status;
  const [look, word] = STATES[state] ?? STATES.expired;
  pill.dataset.state = look;
  text(pill, word());
  const signature = JSON.stringify(silence.matchers);
  if (row.dataset.matchers !== signature) body.firstChild.replaceChildren(...silence.matchers.map(chipOf));
  row.dataset.matchers = signature;
  text(body.children[1], silence.comment ? `“${silence.comment}”` : "");
  const begins = Date.parse(silence.startsAt);
  const ends = Date.parse(silence.endsAt);
  const when = state === "pending" ? t("from {start} to {end}", { start: sayDayClock(begins), end: sayDayClock(ends) })
    : state === "active" ? t("until {end}, {duration} left", { end: sayDayClock(ends), duration: duration((ends - Date.now()) / 1000) }) : t("ended {end}", { end: sayDayClock(ends) });
  text(body.children[2], `${when} · ${silence.createdBy}`);
  body.children[2].title = `${sayFull(begins)} – ${sayFull(ends)}`;
  for (const button of buttons.children) show(button, (button.dataset.do === "again") === (state === "expired"));
}

function expire(silence, reload) {
  return ask({
    title: t("End this silence now?"),
    body: [t("Alerts that it hides are told of again from now on.")],
    confirm: t("End now"),
    run: async () => {
      await call(`/api/v2/silence/${encodeURIComponent(silence.id)}`, { method: "DELETE" });
      toast(t("The silence has ended."));
      reload();
      document.dispatchEvent(new CustomEvent("silenceschange"));
    },
  });
}
