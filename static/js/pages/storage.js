// The storage page: what the history costs, per source, and when a limit will be reached.

import { el, field, find, reconcile, show, text } from "../dom.js";
import { duration, sayFull, sayText } from "../format.js";
import { t } from "../i18n.js";

const DAY = 86400_000;

export function start(store) {
  store.on("storage", (answer) => (answer.error ? fail(answer.error) : paint(answer, store.now())));
}

function fail(error) {
  text(find("#sentence"), t("The store does not say how it is: {reason}", { reason: error.message }));
}

function paint(answer, now) {
  const { bytes, limit_bytes: limit, retention_days: days, oldest_ms: oldest, newest_ms: newest, reaches_limit_ms: full } = answer;
  text(find("#sentence"), sentence(answer, now));
  const age = oldest === null || newest === null ? 0 : newest - oldest;
  card("size", {
    number: sayText(bytes, "bytes"),
    of: limit ? t("of {limit}", { limit: sayText(limit, "bytes") }) : t("no limit is set"),
    share: limit ? bytes / limit : null,
    note: !limit ? t("History ends by its age alone.") : full === null ? t("At this pace the limit is not reached: older history goes by age before.")
      : full <= now ? t("The limit is reached: the oldest history goes to make room.") : t("Reached in {duration}, at this pace; then the oldest history goes.", { duration: duration((full - now) / 1000) }),
  });
  card("age", {
    number: age ? duration(age / 1000) : "–",
    of: t("of {limit}", { limit: t("{days} days", { days }) }),
    share: age / (days * DAY),
    note: oldest === null ? "" : t("From {time} on.", { time: sayFull(oldest) }),
  });
  paintSources(answer);
}

function sentence({ bytes, sources, problems }, now) {
  if (problems.length) return t("Something is wrong: see above.");
  const rate = sources.reduce((sum, source) => sum + source.samples_per_second, 0);
  const daily = sources.reduce((sum, source) => sum + source.samples_per_second * (source.bytes_per_sample || 0), 0) * 86400;
  return bytes && now ? t("{rate} samples/s are kept, about {daily} a day.", { rate: sayText(rate, "count"), daily: sayText(daily, "bytes") }) : "";
}

function card(name, { number, of, share, note }) {
  const root = find(`[data-limit="${name}"]`);
  text(field(root, "number"), number);
  text(field(root, "of"), of);
  text(field(root, "note"), note);
  const bar = find("meter-bar", root);
  bar.style.visibility = share === null ? "hidden" : "";
  bar.firstElementChild.style.transform = `scaleX(${Math.min(1, Math.max(0, share)).toFixed(3)})`;
  bar.dataset.state = name === "size" && share >= 0.9 ? "warning" : "";
}

/** What is seldom is not never. */
const sayRate = (rate) => (rate > 0 && rate < 0.005 ? "< 0.01" : sayText(rate, "count"));

/** The columns of numbers and what they are called. */
const parts = () => [["bytes", t("On disk")], ["series", t("Series")], ["rate", t("Samples per second")], ["each", t("Bytes per sample")]];

function paintSources({ sources, bytes }) {
  const rows = [...sources].sort((one, other) => other.bytes - one.bytes || other.samples_per_second - one.samples_per_second);
  const sum = (name) => sources.reduce((total, source) => total + source[name], 0);
  const rest = { source: "+", bytes: Math.max(0, bytes - sum("bytes")), series: null, samples_per_second: null, bytes_per_sample: null };
  const all = { source: "=", bytes: sum("bytes") + rest.bytes, series: sum("series"), samples_per_second: sum("samples_per_second"), bytes_per_sample: null };
  const most = Math.max(...[...rows, rest].map((row) => row.bytes), 1);
  reconcile(find("#sources tbody"), rows.length ? [...rows, ...(rest.bytes ? [rest] : []), all] : [], {
    key: ({ source }) => source,
    make: () => el("tr", {}, el("td", { className: "source" }), el("td", { className: "share" }, el("meter-bar", {}, el("i")), el("span")),
      ...parts().map(([part, label]) => el("td", { className: "number", data: { part, label } }))),
    fill: (row, source) => {
      const [name, share, size, series, rate, each] = row.children;
      const part = bytes ? source.bytes / bytes : 0;
      const sealed = source.bytes > 0 || source.series === null; // before, its samples are in the journal
      row.classList.toggle("total", source === all);
      text(name, source === all ? t("All of them") : source === rest ? t("Journal, records and indexes") : source.source);
      find("i", share).style.transform = `scaleX(${source === all ? 0 : Math.min(1, source.bytes / most).toFixed(3)})`;
      text(share.lastChild, sealed ? sayText(part, "ratio") : "–");
      text(size, sealed ? sayText(source.bytes, "bytes") : "–");
      text(series, source.series === null ? "" : sayText(source.series, "count"));
      text(rate, source.series === null ? "" : sayRate(source.samples_per_second));
      text(each, source.bytes_per_sample === null ? (source.series === null || source === all ? "" : "–") : sayText(source.bytes_per_sample, "count"));
    },
  });
  show(find("#sources-empty"), rows.length === 0);
  show(find("#sources-wait"), rows.some((source) => !source.bytes));
  show(find("#sources thead"), rows.length > 0);
}
