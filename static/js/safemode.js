// Safe mode: why the model was left out, and the two ways on.

import { call } from "./api.js";
import { ask } from "./dialog.js";
import { field, find, show, text } from "./dom.js";
import { sayMoment } from "./format.js";
import { sayReason, t } from "./i18n.js";

const WANTED = new Set(["restart", "stop"]);

/** `rungs` is what was done before, newest first; `begin` shows the progress, and is null for who may not decide. */
export async function paintSafeMode(store, rungs, begin) {
  const card = find("#safe-mode");
  show(card, store.state.safe_mode);
  if (!store.state.safe_mode) return;
  const crashes = crashesOf(rungs);
  const [last] = crashes;
  text(field(card, "why"), last ? t("It ended {count} times in a row. The last time, at {time}: {cause}.", { count: crashes.length, time: sayMoment(last.time_ms, store.now()), cause: [sayReason(last.cause), sayReason(last.why)].join(" – ") }) : "");
  show(field(card, "why"), Boolean(last));
  let retreat;
  try {
    ({ retreat } = await call("/api/model"));
  } catch {
    return; // The connection banner speaks where the server is gone.
  }
  if (!retreat) return;
  const { version, to, obstacle } = retreat;
  text(field(card, "again"), version ? t("Starts version {version} once more: right once its cause is mended.", { version }) : t("Starts the model once more: right once its cause is mended."));
  text(field(card, "back"), to ? t("Starts version {to}, the last good one, instead of {version}; later starts do the same.", { to, version }) : sayReason(obstacle));
  const [again, back] = [find("#try-again"), find("#roll-back")];
  if (!begin || !back) return;
  back.disabled = !to;
  back.classList.toggle("primary", Boolean(to));
  again.classList.toggle("primary", !to);
  text(find("span", back), to ? t("Roll back to version {to}", { to }) : t("Roll back"));
  again.onclick = () => decide(store, begin, { title: t("Try again?"), confirm: t("Try again"), body: { roll_back: false } });
  back.onclick = () => decide(store, begin, { title: t("Roll back to version {to}?", { to }), confirm: t("Roll back"), body: { roll_back: true } });
}

/** The ends that nobody wanted, up to the last one that somebody did. */
function crashesOf(rungs) {
  const ends = rungs.filter((rung) => rung.kind === "restart");
  const wanted = ends.findIndex((rung) => WANTED.has(rung.cause));
  return wanted < 0 ? ends : ends.slice(0, wanted);
}

function decide(store, begin, { title, confirm, body }) {
  return ask({
    title,
    body: [t("The process is restarted with the model. If it crashes as before, safe mode is back within a minute.")],
    label: t("Reason (optional, kept in the audit)"),
    confirm,
    run: async (reason) => {
      const answer = await call("/api/process/restart", { method: "POST", json: { reason, ...body } });
      begin(t("Restarting the process with the model"), (answer.last_seconds ?? 0) + (store.state.model.last_load_seconds ?? 0) || null);
    },
  });
}
