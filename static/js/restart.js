// Reload model and Restart process: a question that says what will happen, then live progress until it is over.

import { call } from "./api.js";
import { ask, toast } from "./dialog.js";
import { field, find, show, text } from "./dom.js";
import { seconds } from "./format.js";
import { t } from "./i18n.js";

const BUSY = new Set(["loading", "reloading"]);

export function startActions(store) {
  const card = find("#progress");
  let run = null;

  function look(state) {
    card.dataset.state = find(".dot", card).dataset.state = state;
  }

  function begin(what, lastSeconds, done) {
    run = { what, lastSeconds, done, begun: Date.now(), was: false };
    look("busy");
    show(field(card, "step"), true);
    show(card, true);
    clearInterval(begin.timer);
    begin.timer = setInterval(paint, 250);
    paint();
  }

  function paint() {
    const { model } = store.state;
    const passed = (Date.now() - run.begun) / 1000;
    const share = run.lastSeconds ? Math.min(0.96, passed / run.lastSeconds) : 1 - Math.exp(-passed / 8);
    text(field(card, "what"), run.what);
    text(field(card, "time"), run.lastSeconds ? t("{passed}, last time {last}", { passed: seconds(passed), last: seconds(run.lastSeconds) }) : seconds(passed));
    const step = store.connection === "open" ? model.progress && t(model.progress) : t("waiting for the server to come back");
    text(field(card, "step"), step || "\u00a0");
    find(".track i", card).style.transform = `scaleX(${share.toFixed(3)})`;
  }

  function finish(good, message) {
    clearInterval(begin.timer);
    look(good ? "ok" : "critical");
    show(field(card, "step"), false);
    find(".track i", card).style.transform = "scaleX(1)";
    text(field(card, "what"), message);
    text(field(card, "time"), "");
    toast(message, good ? "ok" : "critical");
    setTimeout(() => { if (!run) show(card, false); }, 6000);
    run = null;
  }

  store.on("state", ({ restarted }) => {
    const { model } = store.state;
    if (!run && BUSY.has(model.state)) {
      const what = model.state === "loading" ? t("Loading the model") : t("Reloading the model");
      begin(what, model.last_load_seconds, (state) => state.model.state === "ready");
      run.was = true;
    }
    if (!run) return;
    run.was ||= restarted || BUSY.has(model.state) || model.since_ms > store.now() - (Date.now() - run.begun);
    if (!run.was || BUSY.has(model.state)) return;
    const took = seconds((Date.now() - run.begun) / 1000);
    if (store.state.safe_mode) finish(false, t("The model crashed the server again: this is safe mode."));
    else if (model.state === "ready" && !model.reason) finish(true, t("Done: the model is ready again after {took}.", { took }));
    else if (model.state === "disabled") finish(true, t("Done: the server is back after {took}.", { took }));
    else if (model.state === "ready") finish(false, t("The reload failed; the model that ran before keeps serving."));
    else if (model.state === "failed") finish(false, t("The model could not be loaded; the reason is shown below."));
  });

  find("#reload").addEventListener("click", () => confirmReload(store, begin));
  find("#restart").addEventListener("click", () => confirmRestart(store, begin));
  return begin;
}

function lastTime(last) {
  return last ? t("Last time it took {duration}.", { duration: seconds(last) }) : t("How long it takes is not known yet.");
}

function confirmReload(store, begin) {
  const last = store.state.model.last_load_seconds;
  return ask({
    title: t("Reload the model?"),
    body: [t("The model is loaded again, warmed up and checked with its golden input. Where memory allows, the one at hand keeps serving until then; otherwise requests get a 503 meanwhile."), lastTime(last)],
    label: t("Reason (optional, kept in the audit)"),
    confirm: t("Reload model"),
    run: async (reason) => {
      const answer = await call("/api/model/restart", { method: "POST", json: { reason } });
      begin(t("Reloading the model"), answer.last_seconds ?? last);
    },
  });
}

function confirmRestart(store, begin) {
  return ask({
    title: t("Restart the whole process?"),
    body: [t("Requests in flight are finished, all pages lose their connection for some seconds, and the model is loaded from the start. New requests get a 503 until it is ready. This page comes back by itself."), lastTime(store.state.model.last_load_seconds)],
    label: t("Reason (optional, kept in the audit)"),
    confirm: t("Restart process"),
    danger: true,
    run: async (reason) => {
      const answer = await call("/api/process/restart", { method: "POST", json: { reason } });
      begin(t("Restarting the process"), (answer.last_seconds ?? 0) + (store.state.model.last_load_seconds ?? 0) || null);
    },
  });
}
