// The model page: its state machine, its checks, versions, loads and restarts, and a way to try it.

import { call } from "../api.js";
import { all, el, find, icon, reconcile, show, text } from "../dom.js";
import { ago, duration, sayFull, sayMoment, seconds } from "../format.js";
import { language, sayReason, t } from "../i18n.js";
import { startActions } from "../restart.js";
import { PLANNED, eventTitle } from "../strip.js";
import { startTry } from "../tryit.js";
import { loadVersions } from "../versions.js";

const CHECKS = { live: "Alive", startup: "Started", ready: "Ready for traffic", api: "API", model: "Model", gpu: "GPU" };
const LOOKS = { busy: ["busy", "hourglass-split"], true: ["ok", "check-circle-fill"], false: ["critical", "x-circle-fill"], absent: ["offline", "dash-circle"] };
const MONTH = 30 * 86400_000;

export function start(store) {
  let known = "";
  function paint() {
    const { model, health, headline } = store.state;
    text(find("#sentence"), `${headline[language].title} ${headline[language].facts.join(" · ")}`);
    text(find(".page-head h1 .light"), model.version);
    paintMachine(model, store.now());
    paintFacts(model);
    paintChecks(health);
    const now = `${model.state}${store.state.start_id}`;
    if (now !== known) load(store);
    known = now;
  }
  store.on("state", paint);
  store.on("connection", ({ connection }) => { if (connection === "open") load(store); });
  if (find("#reload")) startActions(store);
  startTry();
  paint();
}

function load(store) {
  loadPast(store);
  loadVersions(store);
}

function paintMachine(model, now) {
  for (const node of all("[data-node]")) {
    const current = node.dataset.node === model.state;
    node.toggleAttribute("aria-current", current);
    if (current) node.setAttribute("aria-current", "true");
    text(find(".since", node), current ? duration((now - model.since_ms) / 1000) : "");
  }
  const why = find("#why");
  const said = [sayReason(model.reason), model.suggestion && t(model.suggestion)].filter(Boolean).join(". ");
  show(why, Boolean(said) && model.state !== "loading" && model.state !== "reloading");
  why.classList.toggle("quiet", model.state === "ready");
  text(why, model.state === "disabled" && !said ? t("No model is hosted.") : said);
}

function paintFacts(model) {
  text(find("#device"), [model.device, model.dtype].filter(Boolean).join(" · ") || "–");
  text(find("#load"), model.last_load_seconds === null ? "–" : seconds(model.last_load_seconds));
  text(find("#queue"), `${model.queue_depth} / ${model.queue_size}`);
  text(find("#flight"), model.in_flight);
}

function paintChecks(health) {
  const busy = /^model_(re)?loading/.test(health.ready.reason ?? "");
  const isBusy = (check) => check.ok === false && (busy || /^model_(re)?loading/.test(check.reason ?? ""));
  const full = [health.live, health.startup, health.ready];
  const short = Object.entries(health.checks).map(([name, finding]) => ({ name, ok: finding, checked_ms: null }));
  reconcile(find("#checks"), [...full, ...short], {
    key: (check) => check.name,
    make: () => el("li", {}, icon("check-circle-fill"), el("b"), el("time"), el("p", { hidden: true })),
    fill: (row, check) => {
      const [state, symbol] = LOOKS[isBusy(check) ? "busy" : String(check.ok)];
      const [mark, name, age, why] = row.children;
      row.dataset.state = state;
      mark.firstChild.setAttribute("href", mark.firstChild.getAttribute("href").replace(/#.*/, `#${symbol}`));
      text(name, t(CHECKS[check.name] ?? check.name));
      text(age, check.ok === "absent" ? t("not present") : check.checked_ms ? ago(check.checked_ms) : check.ok ? t("good") : isBusy(check) ? t("not yet") : t("bad"));
      if (check.checked_ms) age.title = sayFull(check.checked_ms);
      const said = [sayReason(check.reason), check.suggestion && t(check.suggestion)].filter(Boolean).join(". ");
      text(why, said);
      show(why, Boolean(said));
    },
  });
}

async function loadPast(store) {
  const end = Math.round(store.now());
  try {
    const { events } = await call(`/api/events?${new URLSearchParams({ start: end - MONTH, end })}`);
    const past = events.filter((event) => event.kind !== "alert").sort((one, other) => other.time_ms - one.time_ms).slice(0, 12);
    const list = find("#past");
    if (!past.length) {
      list.replaceChildren(el("li", { className: "none", data: { key: "none" } }, t("Nothing yet: the model has run since it was first loaded.")));
      return;
    }
    reconcile(list, past, {
      key: (event, index) => `${index}${event.time_ms}${event.title}`,
      make: () => el("li", {}, el("span", { className: "dot" }), el("span"), el("time"), el("p")),
      fill: (row, event) => {
        const [dot, what, when, detail] = row.children;
        dot.dataset.state = PLANNED.has(event.title) ? "info" : event.level;
        text(what, eventTitle(event));
        text(when, sayMoment(event.time_ms));
        when.title = sayFull(event.time_ms);
        const took = event.end_ms && event.end_ms > event.time_ms ? t(event.kind === "incident" ? "lasted {duration}" : "took {duration}", { duration: seconds((event.end_ms - event.time_ms) / 1000) }) : "";
        text(detail, [took, event.detail].filter(Boolean).join(" · "));
        show(detail, Boolean(detail.textContent));
      },
    });
  } catch {
    // The connection banner speaks where the server is gone.
  }
}
