// Uptime: four figures and a bar for each of the last 90 days.

import { call } from "../api.js";
import { sayRatio, startDays } from "../days.js";
import { all, find, text } from "../dom.js";
import { duration } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";

const SECONDS = { "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000 };

export function startUptime(store) {
  const bars = startDays(find("#bars"), find("#day-said"), find("#bars-from"));

  async function load() {
    const { windows, spans, days } = await call(`/api/uptime?${new URLSearchParams({ tz: Intl.DateTimeFormat().resolvedOptions().timeZone })}`);
    for (const box of all("#figures [data-window]")) fillFigure(box, windows[box.dataset.window], spans[box.dataset.window], store.now());
    bars.paint(days);
  }

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
