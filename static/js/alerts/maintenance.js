// Maintenance windows: the list, and the dialog with weekdays, times and a time zone.

import { call } from "../api.js";
import { ask, openForm, toast } from "../dialog.js";
import { all, el, icon, reconcile, text } from "../dom.js";
import { sayDayClock, sayFull } from "../format.js";
import { t } from "../i18n.js";
import { Matchers, chipOf } from "../matchers.js";
import { DAYS, dayName, intervalsOf, sayIntervals, sayNext, simpleOf } from "./interval.js";

const here = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function fillMaintenance(box, windows, may, reload) {
  if (!windows.length) {
    box.replaceChildren(el("p", { className: "empty-row mute" }, may ? t("No maintenance window. For work that recurs, such as a restart every Saturday night, make one: alerts then go on, notices do not.") : t("No maintenance window.")));
    return;
  }
  reconcile(box, windows, { key: (one) => one.id, make: () => makeRow(may, reload), fill: fillRow });
}

function makeRow(may, reload) {
  const button = (symbol, label, run) => el("button", { type: "button", className: "control small", on: { click: () => run(row.window) } }, symbol && icon(symbol), label);
  const buttons = may ? [button("pencil", t("Edit"), (window) => openMaintenance({ window, saved: reload })), button(null, "", (window) => toggle(window, reload)), button("trash", t("Delete"), (window) => remove(window, reload))] : [];
  const row = el("article", { className: "entry" }, el("span", { className: "pill" }),
    el("div", { className: "grow" }, el("b"), el("p", { className: "said" }), el("p", { className: "matcher-list" }), el("p", { className: "mute when" })), el("div", { className: "row-of entry-buttons" }, ...buttons));
  return row;
}

function fillRow(row, window) {
  row.window = window;
  const [pill, body, buttons] = row.children;
  pill.dataset.state = window.disabled ? "" : window.active ? "busy" : "";
  text(pill, window.disabled ? t("OFF") : window.active ? t("NOW") : t("LATER"));
  text(body.children[0], window.name);
  const until = window.active && window.until_ms ? t("until {time}", { time: sayDayClock(window.until_ms) }) : window.next_ms && !window.disabled ? sayNext(window.next_ms) : "";
  text(body.children[1], [sayIntervals(window.intervals), until].filter(Boolean).join(" · "));
  body.children[1].title = window.next_ms ? sayFull(window.next_ms) : "";
  const signature = JSON.stringify(window.matchers);
  if (row.dataset.matchers !== signature) body.children[2].replaceChildren(...(window.matchers.length ? window.matchers.map(chipOf) : [t("all alerts")]));
  row.dataset.matchers = signature;
  text(body.children[3], [window.comment && `“${window.comment}”`, window.created_by].filter(Boolean).join(" · "));
  if (buttons.children[1]) text(buttons.children[1], window.disabled ? t("Switch on") : t("Switch off"));
}

const body = ({ name, matchers, intervals, comment, disabled }) => ({ name, matchers, intervals, comment, disabled });

async function toggle(window, reload) {
  try {
    await call(`/api/maintenance/${window.id}`, { method: "PUT", json: { ...body(window), disabled: !window.disabled } });
    reload();
  } catch (error) {
    toast(error.message, "critical");
  }
}

function remove(window, reload) {
  return ask({
    title: t("Delete the window “{name}”?", { name: window.name }),
    body: [t("Alerts in its times are told of again from now on. Switching it off keeps it for later.")],
    confirm: t("Delete"), danger: true,
    run: async () => { await call(`/api/maintenance/${window.id}`, { method: "DELETE" }); reload(); },
  });
}

export function openMaintenance({ window = null, saved }) {
  const simple = window ? simpleOf(window.intervals) : { days: ["saturday"], from: "02:00", to: "04:00", zone: here() };
  const list = new Matchers(window?.matchers ?? [], () => {}, t("Without any it is for all alerts."));
  const name = el("input", { name: "name", required: true, maxLength: 100, value: window?.name ?? "", placeholder: t("e.g. weekly restart"), autocomplete: "off" });
  const comment = el("input", { name: "comment", maxLength: 500, value: window?.comment ?? "", autocomplete: "off" });
  const times = simple ? timesOf(simple) : { nodes: [el("p", { className: "mute" }, t("When: {words}. These times are more than this form can show; they stay as they are.", { words: sayIntervals(window.intervals) }))], read: () => window.intervals };
  return openForm({
    title: window ? t("Change the window") : t("New maintenance window"),
    wide: true,
    confirm: t("Save"),
    content: [el("label", { className: "field" }, t("Window name"), name), ...times.nodes, list.root, el("label", { className: "field" }, t("Why"), comment)],
    run: async () => {
      if (!list.finish()) throw new Error(t('Write it as name="value".'));
      const json = { name: name.value.trim(), matchers: list.list, intervals: times.read(), comment: comment.value.trim(), disabled: window?.disabled ?? false };
      await call(window ? `/api/maintenance/${window.id}` : "/api/maintenance", { method: window ? "PUT" : "POST", json });
      toast(t("The maintenance window is saved."));
      saved();
    },
  });
}

/** The fields for days, times and zone; `read` gives them as intervals, or throws what is wrong. */
function timesOf(simple) {
  const days = el("div", { className: "days", role: "group", "aria-label": t("Weekdays") }, ...DAYS.map((day) =>
    el("label", { title: dayName(day) }, el("input", { type: "checkbox", value: day, checked: simple.days.includes(day) }), dayName(day, "short"))));
  const from = el("input", { type: "time", required: true, value: simple.from });
  const to = el("input", { type: "time", required: true, value: simple.to === "24:00" ? "00:00" : simple.to });
  const zones = el("datalist", { id: "zones" }, ...["UTC", ...(Intl.supportedValuesOf?.("timeZone") ?? [])].map((zone) => el("option", { value: zone })));
  const zone = el("input", { required: true, value: simple.zone, spellcheck: false, autocomplete: "off" });
  zone.setAttribute("list", "zones");
  const said = el("p", { className: "mute", role: "status" });

  function read() {
    const chosen = all("input:checked", days).map((box) => box.value);
    if (!chosen.length) throw new Error(t("Choose at least one day."));
    if (from.value === to.value && from.value !== "00:00") throw new Error(t("The window begins and ends at the same time."));
    return intervalsOf({ days: chosen, from: from.value, to: to.value, zone: zone.value.trim() || "UTC" });
  }
  function paint() {
    try {
      text(said, `${sayIntervals(read())}${from.value > to.value && to.value !== "00:00" ? ` · ${t("ends on the day after")}` : ""}`);
    } catch (error) {
      text(said, error.message);
    }
  }
  const box = el("div", { className: "times" }, days, el("div", { className: "row-of" }, el("label", { className: "field" }, t("From"), from), el("label", { className: "field" }, t("To"), to), el("label", { className: "field zone" }, t("Time zone"), zone)), zones, said);
  box.addEventListener("input", paint);
  paint();
  return { nodes: [box], read };
}
