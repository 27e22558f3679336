// Taking an answer away: as CSV, as a link, as a picture, as a panel.

import { call } from "../api.js";
import { copyText } from "../clipboard.js";
import { showText, toast } from "../dialog.js";
import { el, find, show, text } from "../dom.js";
import { rangeLabel, sayDayClock, sayMoment, sayText } from "../format.js";
import { t } from "../i18n.js";
import { isSelector, metricsOf } from "../promql/tokens.js";
import { csvOfSeries, csvOfTable, saveFile } from "./csv.js";
import { panelYaml } from "./panel.js";

/** `page` is the Explore page: its answer, chart, history, store, words, unit and address(). */
export function startTaking(page) {
  find("#csv").addEventListener("toggle", ({ target }) => { if (target.open && page.answer) offerCsv(page); });
  find("#share").addEventListener("toggle", ({ target }) => { if (target.open) offerLinks(page); });
  const deeds = { "csv-shown": () => saveShown(page), "link-fixed": () => copyLink(page, true), "link-moving": () => copyLink(page, false), png: () => savePng(page) };
  for (const [name, deed] of Object.entries(deeds)) find(`[data-action="${name}"]`).addEventListener("click", deed);
  find("#to-panel").addEventListener("click", () => offerPanel(page));
}

const shownSeries = ({ answer, chart }) => answer.series.filter((one) => !chart.legend.off.has(one.key));
const fileName = ({ store }, ending) => `${store.first.state.name}-explore.${ending}`;

function saveShown(page) {
  const { answer, history } = page;
  const content = answer.tab === "chart" ? csvOfSeries(history.times, shownSeries(page)) : csvOfTable(answer.table);
  saveFile(content, fileName(page, "csv"));
  find("#csv").open = false;
}

async function offerCsv(page) {
  const { answer } = page;
  const values = answer.tab === "chart" ? shownSeries(page).length * page.history.times.length : answer.table.rows.length;
  text(find("#csv-shown-size"), t("{count} values, as on the page", { count: sayText(values, "count") }));
  const stored = find("[data-action=csv-stored]");
  const plain = isSelector(answer.query, page.words);
  show(stored, plain);
  if (!plain) return;
  const { start, end } = page.store.window();
  const query = new URLSearchParams({ "match[]": answer.query, start: (start / 1000).toFixed(3), end: (end / 1000).toFixed(3) });
  stored.href = `/api/export.csv?${query}`;
  const size = find("#csv-stored-size");
  text(size, t("estimating the size …"));
  try {
    const { series, rows, bytes } = await call(`/api/export/estimate?${query}`);
    text(size, t("about {size}: {rows} rows, {series} series", { size: sayText(bytes, "bytes"), rows: sayText(rows, "count"), series: sayText(series, "count") }));
  } catch {
    text(size, t("the size is not known")); // the file can be had all the same
  }
}

function offerLinks({ store, answer }) {
  const { range } = store;
  const { start, end } = store.window();
  const moving = range.key !== "custom";
  text(find("#link-times"), `${sayDayClock(start)} – ${sayMoment(end, start)}`);
  text(find("#link-range"), moving ? t("last {range}", { range: rangeLabel(range.key) }) : "");
  show(find("[data-action=link-moving]"), moving);
  show(find("[data-action=png]"), answer?.tab === "chart");
}

async function copyLink(page, fixed) {
  find("#share").open = false;
  if (await copyText(page.address({ fixed }))) toast(t("The link is in the clipboard."));
  else toast(t("The browser refuses the clipboard; copy the address from its bar."), "warning");
}

async function savePng(page) {
  find("#share").open = false;
  if (find("#view-chart").classList.contains("is-empty")) return;
  el("a", { href: await page.chart.png(), download: fileName(page, "png") }).click();
}

function offerPanel(page) {
  const { query, told } = page.answer;
  const [metric] = metricsOf(query, page.words);
  const title = (metric ?? "My panel").replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
  showText({
    title: t("A panel for the overview"),
    body: [t("Put this into a file, for example my-panels.yaml beside wakeless.yaml. Name the file there (panels: [my-panels.yaml]) and restart the process.")],
    label: t("Title"), value: title, copied: t("The panel is in the clipboard."),
    make: (name) => panelYaml({ title: name, query, unit: page.unit, labels: told }),
  });
}
