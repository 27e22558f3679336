// The last 90 days as bars, to be read by pointer and by keyboard, and how shares of time are said.

import { el, reconcile, text } from "./dom.js";
import { duration, sayDay } from "./format.js";
import { locale, t } from "./i18n.js";

const DAYS = 90;
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full" });

/** 99.95 %, never rounded up to 100 %. */
export function sayRatio(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  if (ratio >= 1) return "100\u202f%";
  const percent = ratio * 100;
  const places = percent >= 99.9 ? 3 : percent >= 99 ? 2 : 1;
  return `${Number((Math.floor(percent * 10 ** places) / 10 ** places).toFixed(places))}\u202f%`;
}

/** How a day was: none (nothing is known), ok, warning or critical. */
export const stateOfDay = ({ ratio, seconds_down: down }) => (ratio === null || ratio === undefined ? "none" : !down ? "ok" : ratio >= 0.99 ? "warning" : "critical");
const timeOf = (day) => Date.parse(`${day}T12:00:00`);

/** Bars in the listbox `bars`, said in `said`, the first day's date in `from`. `paint` takes [{day, ratio, seconds_down,
 * incidents or outages}]. */
export function startDays(bars, said, from) {
  const hint = said.textContent;

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

  function paint(days) {
    const shown = days.slice(-DAYS);
    reconcile(bars, shown, { key: (day) => day.day, make: () => el("div", { role: "option", tabIndex: -1, "aria-selected": "false" }, el("i")), fill: fillBar });
    if (!bars.querySelector('[tabindex="0"]') && bars.lastElementChild) bars.lastElementChild.tabIndex = 0;
    text(from, shown.length ? sayDay(timeOf(shown[0].day)) : "");
  }

  return { paint };
}

function fillBar(bar, day) {
  const state = stateOfDay(day);
  bar.dataset.state = state;
  // Lost time also shows as a gap at the top: one sees it without telling the colours apart.
  bar.firstChild.style.height = state === "none" ? "100%" : `${Math.round(state === "ok" ? 100 : Math.max(12, Math.min(86, day.ratio * 100 - 14)))}%`;
  const date = full.format(timeOf(day.day));
  const down = state === "none" ? t("nothing is known") : !day.seconds_down ? t("no downtime") : t("down for {duration}", { duration: duration(day.seconds_down) });
  bar.dataset.said = [date, state === "none" ? "" : sayRatio(day.ratio), down, sayCount(day)].filter(Boolean).join(" · ");
  bar.setAttribute("aria-label", bar.dataset.said);
}

function sayCount({ incidents, outages }) {
  if (incidents) return incidents === 1 ? t("one incident") : t("{count} incidents", { count: incidents });
  if (outages) return outages === 1 ? t("one outage") : t("{count} outages", { count: outages });
  return "";
}
