// The canary: another version on a share of the requests, side by side with the one that serves.

import { call } from "./api.js";
import { ask, toast } from "./dialog.js";
import { el, field, find, reconcile, show, text } from "./dom.js";
import { ago, digits, duration, sayFull, sayText } from "./format.js";
import { sayReason, t } from "./i18n.js";
import { loadVersions } from "./versions.js";

/** How often a canary under way is looked at, in ms. */
const AGAIN = 5000;
/** Classes that are shown; the rest is in the API. */
const SHOWN = 12;
const LOOKS = { loading: "busy", running: "info", failed: "critical", taken_out: "critical", ended: "offline", promoted: "ok" };
const FIGURES = [
  [() => t("Requests"), (side) => sayText(side.requests, "count")],
  [() => t("Requests/s"), (side) => digits(side.rate)],
  [() => t("Failed"), (side) => (side.judged ? `${sayText(side.failed, "count")} (${sayText(side.failed / side.judged, "ratio")})` : "–")],
  [() => t("Median"), (side) => sayText(side.p50_seconds, "seconds")],
  [() => "p95", (side) => sayText(side.p95_seconds, "seconds")],
  [() => "p99", (side) => sayText(side.p99_seconds, "seconds")],
];
const points = (value) => `${digits(Math.abs(value) * 100)} ${t("percentage points")}`;

/** Builds the card; what comes back loads it anew. */
export function startCanary(store) {
  const place = find("#comparison");
  const operator = "operator" in find("#versions").dataset;
  place.replaceChildren(card());
  let timer = 0;
  let versions = [];
  let before;

  async function load() {
    clearTimeout(timer);
    let found;
    let known;
    try {
      [found, known] = await Promise.all([call("/api/model/comparison"), call("/api/model/versions")]);
    } catch {
      return; // The connection banner speaks where the server is gone.
    }
    versions = known.versions.filter((one) => !one.serving);
    paint(found.canary);
    if (before !== undefined && before !== found.canary?.state) loadVersions(store);
    before = found.canary?.state;
    const busy = ["loading", "running"].includes(before);
    if (busy) timer = setTimeout(load, document.hidden ? 6 * AGAIN : AGAIN);
  }

  function paint(canary) {
    const busy = ["loading", "running"].includes(canary?.state);
    show(place, Boolean(canary) || (operator && versions.length > 0 && store.state.model.state !== "disabled"));
    place.firstChild.dataset.canary = canary?.state ?? "none";
    paintHead(place, canary);
    const comparison = canary?.comparison;
    show(field(place, "figures"), Boolean(comparison));
    show(field(place, "findings"), Boolean(comparison));
    if (comparison) {
      paintFigures(field(place, "figures"), canary);
      paintFindings(field(place, "findings"), comparison);
    }
    paintClasses(field(place, "classes"), comparison, canary);
    const running = field(place, "running");
    show(running, operator && canary?.state === "running");
    const range = find("input", running);
    if (document.activeElement !== range && range.dataset.dirty !== "yes") setRange(range, canary?.percent ?? 10);
    show(field(place, "begin"), operator && !busy && versions.length > 0 && store.state.model.state !== "disabled");
    paintChoice(field(place, "version"), versions);
  }

  async function share(event) {
    event.preventDefault();
    const range = find("input", field(place, "running"));
    try {
      const { canary } = await call("/api/model/canary", { method: "POST", json: { version: place.dataset.version, percent: Number(range.value) } });
      range.dataset.dirty = "no";
      toast(t("Version {version} takes {share} of the requests.", { version: canary.version, share: `${digits(canary.percent)} %` }));
      paint(canary);
    } catch (error) {
      toast(error.message, "critical");
    }
  }

  async function begin(event) {
    event.preventDefault();
    const version = field(place, "version").value;
    const percent = Number(find("input", field(place, "begin")).value);
    const refused = versions.find((one) => one.version === version)?.state === "refused";
    await ask({
      title: t("Try version {version} on {share} of the requests?", { version, share: `${digits(percent)} %` }),
      body: [
        t("It is loaded beside the one that serves and checked with its golden inputs before any request reaches it. If it fails, answers NaN or is far slower, it is taken out by itself."),
        ...(refused ? [t("It was refused before because callers could notice what differs; it is tried all the same.")] : []),
      ],
      label: t("Reason (optional, kept in the audit)"),
      confirm: t("Begin"),
      danger: refused,
      run: (reason) => call("/api/model/canary", { method: "POST", json: { version, percent, force: refused, reason, wait_seconds: 0 } }),
    });
    load();
  }

  async function promote() {
    await ask({
      title: t("Promote version {version}?", { version: place.dataset.version }),
      body: [t("It answers all requests, at once and without another load, and is on probation like after any switch. No request is lost.")],
      label: t("Reason (optional, kept in the audit)"),
      confirm: t("Promote"),
      run: (reason) => call("/api/model/canary/promote", { method: "POST", json: { reason } }),
    });
    load();
  }

  async function end() {
    await ask({
      title: t("End the canary?"),
      body: [t("The version that serves answers all requests again; version {version} is unloaded once its last request has its answer.", { version: place.dataset.version })],
      label: t("Reason (optional, kept in the audit)"),
      confirm: t("End"),
      run: (reason) => call("/api/model/canary/end", { method: "POST", json: { reason } }),
    });
    load();
  }

  field(place, "running").addEventListener("submit", share);
  field(place, "begin").addEventListener("submit", begin);
  field(place, "promote").addEventListener("click", promote);
  field(place, "end").addEventListener("click", end);
  for (const range of place.querySelectorAll("input")) {
    setRange(range, range.value);
    range.addEventListener("input", () => {
      range.dataset.dirty = "yes";
      setRange(range, range.value);
    });
  }
  return load;
}

function card() {
  const data = (name) => ({ data: { field: name } });
  return el("section", { className: "card-of canary", "aria-labelledby": "canary-title" },
    el("div", { className: "card-head" }, el("span", { className: "dot", ...data("dot") }), el("h2", { id: "canary-title" }, t("Canary")),
      el("span", { className: "grow" }), el("span", { className: "sub", ...data("since") })),
    el("p", { role: "status", ...data("said") }),
    el("table", { className: "sides", hidden: true, ...data("figures") }, el("thead"), el("tbody")),
    el("ul", { className: "findings", hidden: true, ...data("findings") }),
    el("div", { className: "classes", hidden: true, ...data("classes") }, el("h3", {}, t("What they answer")), el("ul")),
    el("form", { className: "share", hidden: true, ...data("running") }, slider(t("Share of the requests")),
      el("div", { className: "row-of" }, el("button", { className: "control", type: "submit" }, t("Set share")),
        el("button", { className: "control primary", type: "button", ...data("promote") }, t("Promote")),
        el("button", { className: "control", type: "button", ...data("end") }, t("End")))),
    el("form", { className: "share", hidden: true, ...data("begin") },
      el("label", { className: "choice" }, el("span", {}, t("Version")), el("select", { name: "version", ...data("version") })),
      slider(t("Share of the requests")),
      el("div", { className: "row-of" }, el("button", { className: "control", type: "submit" }, t("Begin")))));
}

const slider = (label) => el("label", { className: "slider" }, el("span", {}, label), el("output"),
  el("input", { type: "range", min: 0, max: 100, step: 1, value: 10, name: "percent" }));

function setRange(range, percent) {
  range.value = percent;
  const said = `${digits(Number(percent))} %`;
  text(find("output", range.parentElement), said);
  range.setAttribute("aria-valuetext", said);
}

function paintHead(place, canary) {
  place.dataset.version = canary?.version ?? "";
  field(place, "dot").dataset.state = LOOKS[canary?.state] ?? "offline";
  const since = field(place, "since");
  const seconds = canary?.comparison?.seconds;
  text(since, canary?.ended_ms ? ago(canary.ended_ms) : seconds ? t("for {duration}", { duration: duration(seconds) }) : "");
  since.title = canary ? sayFull(canary.ended_ms ?? canary.began_ms) : "";
  text(field(place, "said"), says(canary));
}

function says(canary) {
  const { version, before, percent, state } = canary ?? {};
  const why = canary ? [canary.differs.length ? canary.differs.map(sayReason).join("; ") : sayReason(canary.reason), sayReason(canary.suggestion)].filter(Boolean).join(". ") : "";
  const said = {
    loading: t("Version {version} is being loaded beside version {before}.", { version, before }),
    running: percent > 0 ? t("Version {version} takes {share} of the requests, version {before} the others.", { version, before, share: `${digits(percent ?? 0)} %` })
      : t("Version {version} is asked by name only (header X-Model-Version).", { version }),
    failed: t("Version {version} could not be put beside version {before}.", { version, before }),
    taken_out: t("Version {version} was taken out by itself; version {before} answers alone.", { version, before }),
    ended: t("The canary of version {version} has ended.", { version }),
    promoted: t("Version {version} was promoted: it serves.", { version }),
  }[state];
  return said ? [said, why && why.charAt(0).toUpperCase() + why.slice(1)].filter(Boolean).join(" ") : t("Try another version on a share of the requests, and see both side by side.");
}

function paintFigures(table, { version, before, comparison }) {
  const head = find("thead", table);
  if (!head.firstChild) head.append(el("tr", {}, el("td"), el("th", { scope: "col" }), el("th", { scope: "col" })));
  text(head.firstChild.children[1], `${before} · ${t("serves")}`);
  text(head.firstChild.children[2], `${version} · ${t("canary")}`);
  const nan = comparison.serving.nan + comparison.canary.nan > 0 ? [[() => t("Answers with NaN"), (side) => sayText(side.nan, "count")]] : [];
  reconcile(find("tbody", table), [...FIGURES, ...nan], {
    key: (_, index) => index,
    make: () => el("tr", {}, el("th", { scope: "row" }), el("td"), el("td")),
    fill: (row, [name, value]) => {
      text(row.children[0], name());
      text(row.children[1], value(comparison.serving));
      text(row.children[2], value(comparison.canary));
    },
  });
}

function paintFindings(list, { findings }) {
  reconcile(list, findings, {
    key: (one) => one.what,
    make: () => el("li", {}, el("span", { className: "dot" }), el("span")),
    fill: (row, one) => {
      row.firstChild.dataset.state = { worse: "critical", better: "ok", different: "warning" }[one.verdict] ?? "offline";
      text(row.lastChild, tell(one));
    },
  });
}

/** What a difference is worth, without more certainty than there is. */
function tell(one) {
  const unseen = one.unseen === null ? "" : points(one.unseen);
  if (one.what === "failures") {
    return {
      too_few: t("Failures: too few requests for a word yet."),
      alike: t("Failures: no difference beyond chance; one of less than {unseen} might not show yet.", { unseen }),
      worse: t("Failures: {value} more, which is beyond chance.", { value: points(one.value) }),
      better: t("Failures: {value} fewer, which is beyond chance.", { value: points(one.value) }),
    }[one.verdict];
  }
  const share = sayText(one.value, "ratio");
  if (one.what === "latency") {
    return {
      too_few: t("Latency: too few answers for a word yet."),
      alike: t("Latency: no difference beyond chance."),
      worse: t("Latency: slower beyond chance; in {share} of all pairs the canary's request takes longer.", { share }),
      better: t("Latency: faster beyond chance; in {share} of all pairs the canary's request takes longer.", { share }),
    }[one.verdict];
  }
  return {
    too_few: t("Answers: too few for a word yet."),
    alike: t("Answers: the classes are as frequent as before, as far as chance lets see."),
    different: one.value > 0 ? t("Answers: {name} is {value} more frequent, which is beyond chance.", { name: t(one.subject), value: points(one.value) })
      : t("Answers: {name} is {value} less frequent, which is beyond chance.", { name: t(one.subject), value: points(one.value) }),
  }[one.verdict];
}

function paintClasses(box, comparison, canary) {
  const sides = comparison ? [comparison.serving.classes, comparison.canary.classes] : [{}, {}];
  const totals = sides.map((classes) => Object.values(classes).reduce((sum, count) => sum + count, 0));
  const share = (name, side) => (totals[side] ? (sides[side][name] ?? 0) / totals[side] : 0);
  const names = [...new Set(sides.flatMap((classes) => Object.keys(classes)))].sort((one, other) => share(other, 0) + share(other, 1) - share(one, 0) - share(one, 1)).slice(0, SHOWN);
  show(box, names.length > 0);
  reconcile(find("ul", box), names, {
    key: (name) => name,
    make: () => el("li", {}, el("b"), el("span"), el("meter-bar", {}, el("i")), el("span"), el("meter-bar", { className: "other" }, el("i"))),
    fill: (row, name) => {
      const [label, first, firstBar, second, secondBar] = row.children;
      text(label, t(name));
      [[first, firstBar], [second, secondBar]].forEach(([value, bar], side) => {
        text(value, sayText(share(name, side), "ratio"));
        value.title = `${[canary.before, canary.version][side]}: ${sides[side][name] ?? 0}`;
        bar.firstChild.style.transform = `scaleX(${share(name, side)})`;
      });
    },
  });
}

function paintChoice(select, versions) {
  const known = [...select.options].map((option) => option.value).join("\n");
  if (known === versions.map((one) => one.version).join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...versions.map((one) => el("option", { value: one.version }, one.version)));
  if (versions.some((one) => one.version === chosen)) select.value = chosen;
}
