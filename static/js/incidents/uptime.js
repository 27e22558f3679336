// Uptime: four figures and a bar for each of the last 90 days, to be read by pointer and by keyboard.

import { call } from "../api.js";
import { all, el, find, reconcile, text } from "../dom.js";
import { duration, sayDay } from "../format.js";
import { locale, t } from "../i18n.js";
import { Part } from "../part.js";

const DAYS = 90;
const SECONDS = { "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000 };
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full" });

/** 99.95 %, never rounded up to 100 %. */
export function sayRatio(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  if (ratio >= 1) return "100\u202f%";
  const percent = ratio * 100;
  const places = percent >= 99.9 ? 3 : percent >= 99 ? 2 : 1;
  return `${Number((Math.floor(percent * 10 ** places) / 10 ** places).toFixed(places))}\u202f%`;
}

const stateOf = ({ ratio, seconds_down: down }) => (ratio === null || ratio === undefined ? "none" : !down ? "ok" : ratio >= 0.99 ? "warning" : "critical");
const timeOf = (day) => Date.parse(`${day}T12:00:00`);

export function startUptime(store) {
  const bars = find("#bars");
  const said = find("#day-said");
  const hint = said.textContent;

  async function load() {
    const { windows, spans, days } = await call(`/api/uptime?${new URLSearchParams({ tz: Intl.DateTimeFormat().resolvedOptions().timeZone })}`);
    for (const box of all("#figures [data-window]")) fillFigure(box, windows[box.dataset.window], spans[box.dataset.window], store.now());
    const shown = days.slice(-DAYS);
    reconcile(bars, shown, { key: (day) => day.day, make: () => el("div", { role: "option", tabIndex: -1, "aria-selected": "false" }, el("i")), fill: fillBar });
    if (!bars.querySelector('[tabindex="0"]') && bars.lastElementChild) bars.lastElementChild.tabIndex = 0;
    text(find("#bars-from"), shown.length ? sayDay(timeOf(shown[0].day)) : "");
  }

  function choose(bar) {
    for (const one of bars.children) {
      one.setAttribute("aria-selected", String(one === bar));
      if (bar) one.tabIndex = one === bar ? 0 : -1;
    }
    text(said, bar ? bar.dataset.said : hint);
  }

  bars.addEventListener("pointerover", ({ target }) => choose(target.closest("[role=option]")));
  bars.addEventListener("pointerleave", () => choose(bars.contains(document.activeElement) ? document.activeElement.closest("[role=option]") : null));
  bars.addEventListener("focusin", ({ target }) => choose(target.closest("[role=option]")));
  bars.addEventListener("focusout", () => choose(null));
  bars.addEventListener("keydown", (event) => {
    const at = [...bars.children].indexOf(document.activeElement);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: bars.children.length - 1, PageUp: at - 7, PageDown: at + 7 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    bars.children[Math.min(Math.max(to, 0), bars.children.length - 1)].focus();
  });
  return new Part(find("#part-uptime"), store, load, 60_000);
}

function fillFigure(box, ratio, { since_ms: since, seconds_down: down, seconds_planned: planned }, now) {
  const [, figure, words] = box.children;
  text(figure, sayRatio(ratio));
  if (ratio === null) { text(words, t("not known yet")); return; }
  const length = SECONDS[box.dataset.window];
  const known = (now - since) / 1000;
  const parts = [down < 0.5 ? t("no downtime") : t("down for {duration}", { duration: duration(down) }), planned >= 1 && t("planned: {duration}", { duration: duration(planned) }), known < length * 0.98 && t("known for {duration}", { duration: duration(known) })];
  text(words, parts.filter(Boolean).join(" · "));
}

function fillBar(bar, day) {
  const state = stateOf(day);
  bar.dataset.state = state;
  // Lost time also shows as a gap at the top: one sees it without telling the colours apart.
  bar.firstChild.style.height = state === "none" ? "100%" : `${Math.round(state === "ok" ? 100 : Math.max(12, Math.min(86, day.ratio * 100 - 14)))}%`;
  const date = full.format(timeOf(day.day));
  const down = state === "none" ? t("nothing is known") : !day.seconds_down ? t("no downtime") : t("down for {duration}", { duration: duration(day.seconds_down) });
  const count = day.incidents;
  const incidents = !count ? "" : count === 1 ? t("one incident") : t("{count} incidents", { count });
  bar.dataset.said = [date, state === "none" ? "" : sayRatio(day.ratio), down, incidents].filter(Boolean).join(" · ");
  bar.setAttribute("aria-label", bar.dataset.said);
}
