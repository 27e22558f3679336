// The model page: its state machine, its checks, versions, what was done about it, and a way to try it.

import { startCanary } from "../canary.js";
import { all, el, find, icon, reconcile, show, text } from "../dom.js";
import { ago, duration, sayFull, sayText, seconds } from "../format.js";
import { language, sayReason, t } from "../i18n.js";
import { loadLadder } from "../ladder.js";
import { paintReplicas } from "../replicas.js";
import { startActions } from "../restart.js";
import { paintSafeMode } from "../safemode.js";
import { startTry } from "../tryit.js";
import { loadVersions } from "../versions.js";

const CHECKS = { live: "Alive", startup: "Started", ready: "Ready for traffic", api: "API", model: "Model", gpu: "GPU" };
const LOOKS = { busy: ["busy", "hourglass-split"], true: ["ok", "check-circle-fill"], false: ["critical", "x-circle-fill"], absent: ["offline", "dash-circle"] };
const BREAKER = { closed: ["ok", "closed: requests pass"], half_open: ["warning", "half open: a few requests are let through to see"], open: ["critical", "open: the model is not asked"] };
/** Batches that take so many times as long as at best are worth a look; the alert LatencyDrift says so, too. */
const SLOW = 2;
/** What goes on is looked at again after so many ms; nothing else tells of its end. */
const AGAIN = 5000;

export function start(store) {
  let known = "";
  const loadCanary = startCanary(store);
  const begin = find("#reload") ? startActions(store) : null;

  function paint() {
    const { model, health, headline, start_id } = store.state;
    const { title, facts } = headline[language];
    text(find("#sentence"), `${title} ${capital(facts.join(" · "))}`);
    text(find(".page-head h1 .light"), model.version);
    show(find("#reload"), model.state !== "disabled");
    show(find("#restart"), !store.state.safe_mode);
    paintMachine(model, store);
    paintFacts(model);
    paintReplicas(model.replicas);
    paintChecks(health, store.now(), store.state.safe_mode || !find("#why").hidden ? model.reason : null);
    const now = `${model.state}${model.breaker}${start_id}`;
    if (now !== known) load();
    known = now;
  }

  async function load() {
    clearTimeout(load.timer);
    loadVersions(store);
    loadCanary();
    const rungs = await loadLadder(store);
    paintSafeMode(store, rungs, begin);
    if (rungs.some((rung) => rung.seconds === null)) load.timer = setTimeout(load, AGAIN);
  }

  store.on("state", paint);
  store.on("connection", ({ connection }) => { if (connection === "open") load(); });
  startTry(store);
  paint();
}

const sentences = ({ reason, suggestion }) => [sayReason(reason), sayReason(suggestion)].filter(Boolean).join(language === "zh" ? "。" : ". ");
const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function paintMachine(model, store) {
  const now = store.now();
  for (const node of all("[data-node]")) {
    const current = node.dataset.node === model.state;
    node.toggleAttribute("aria-current", current);
    if (current) node.setAttribute("aria-current", "true");
    node.toggleAttribute("data-degraded", current && model.state === "ready" && !store.state.health.ready.ok);
    text(find(".since", node), current ? duration((now - model.since_ms) / 1000) : "");
  }
  const why = find("#why");
  const said = sentences(model);
  show(why, Boolean(said) && model.state !== "loading" && model.state !== "reloading" && !store.state.safe_mode);
  why.classList.toggle("quiet", model.state === "ready");
  text(why, model.state === "disabled" && !said ? t("No model is hosted.") : said);
}

/** One line under the state machine: a dot only where there is a state to show. */
function fact(name, said, { state = null, visible = true } = {}) {
  const row = find(`[data-fact="${name}"]`);
  const [dot, value] = find("dd", row).children;
  show(row, visible);
  show(dot, state !== null);
  dot.dataset.state = state ?? "";
  text(value, said);
}

function paintFacts(model) {
  const on = model.state !== "disabled";
  const serves = ["ready", "reloading", "draining"].includes(model.state);
  const [state, words] = BREAKER[model.breaker];
  fact("breaker", model.breaker === "closed" ? t(words) : `${t(words)} (${sayReason(model.breaker_reason?.replace(/^\w+: /, ""))})`, { state, visible: serves });
  fact("queue", `${model.queue_depth} / ${model.queue_size}`, { visible: on });
  fact("flight", model.in_flight, { visible: serves });
  fact("streams", model.streams_open, { visible: model.streams_open > 0 });
  const drift = model.latency_drift_ratio;
  const slow = drift !== null && drift >= SLOW;
  fact("drift", drift === null ? t("not known yet: it takes 32 batches") : drift < 1.05 ? t("as long as at best") : t("{ratio} times as long as at best", { ratio: drift.toFixed(1) }), { state: slow ? "warning" : null, visible: serves });
  const level = model.brownout_level;
  fact("brownout", level ? t("level {level}: inputs are made lighter until the queue is short", { level: sayText(level, "ratio") }) : t("off: inputs are taken in full"), { state: level ? "warning" : null, visible: serves });
  fact("cache", sayCache(model.cache), { visible: on && Boolean(model.cache) });
  const cut = model.warm_up_cut_short;
  const limit = { count: model.batch_limit };
  fact("batch", cut === "too_slow" ? t("at most {count}: larger ones take too long", limit) : t("at most {count}: larger ones run out of memory", limit), { state: cut ? "warning" : null, visible: serves && Boolean(cut) });
  fact("device", [model.device, model.dtype].filter(Boolean).join(" · ") || "–", { visible: on });
  fact("load", model.last_load_seconds === null ? "–" : seconds(model.last_load_seconds), { visible: on });
}

function sayCache(cache) {
  if (!cache) return "";
  const asked = cache.hits + cache.misses;
  const held = t("{count} answers, {size}", { count: cache.entries, size: sayText(cache.bytes, "bytes") });
  return asked ? `${t("{share} of requests answered from it", { share: sayText(Math.round((cache.hits / asked) * 100) / 100, "ratio") })} · ${held}` : t("nothing asked yet");
}

/** `above` is the reason that the page tells above: once is enough. */
function paintChecks(health, now, above) {
  const busy = /^model_(re)?loading/.test(health.ready.reason ?? "");
  const isBusy = (check) => check.ok === false && (busy || /^model_(re)?loading/.test(check.reason ?? ""));
  const full = [health.live, health.startup, health.ready];
  // The model and the GPU are looked at by the check that traffic waits for; the API says so itself, now.
  const moments = { api: now, model: health.ready.checked_ms, gpu: health.ready.checked_ms };
  const short = Object.entries(health.checks).map(([name, ok]) => ({ name, ok, checked_ms: moments[name] ?? null }));
  reconcile(find("#checks"), [...full, ...short], {
    key: (check) => check.name,
    make: () => el("li", {}, icon("check-circle-fill"), el("b"), el("time"), el("p", { hidden: true })),
    fill: (row, check) => {
      const [state, symbol] = LOOKS[isBusy(check) ? "busy" : String(check.ok)];
      const [mark, name, age, why] = row.children;
      row.dataset.state = state;
      mark.firstChild.setAttribute("href", mark.firstChild.getAttribute("href").replace(/#.*/, `#${symbol}`));
      text(name, t(CHECKS[check.name] ?? check.name));
      const verdict = check.ok === "absent" ? t("not present") : check.ok ? t("good") : isBusy(check) ? t("not yet") : t("bad");
      text(age, check.ok === "absent" || !check.checked_ms ? verdict : `${verdict} · ${ago(check.checked_ms, now)}`);
      age.title = check.checked_ms ? sayFull(check.checked_ms) : "";
      const said = check.reason === above ? "" : sentences(check);
      text(why, said);
      show(why, Boolean(said));
    },
  });
}
