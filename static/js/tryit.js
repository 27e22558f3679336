// Try the model: what it takes goes to /predict, and what comes back is shown, in steps where it answers so.

import { ask, call } from "./api.js";
import { find, show, text } from "./dom.js";
import { sayText } from "./format.js";
import { t } from "./i18n.js";
import { clear, paintAnswer, paintFailure, sayVersion, tell } from "./try/answer.js";
import { readEvents } from "./try/events.js";
import { Form } from "./try/form.js";
import { draw } from "./try/picture.js";
import { Steps } from "./try/steps.js";

/** Events of a stream are read for so many ms before the page gets its turn. */
const AT_ONCE = 20;

export function startTry(store) {
  let running = null;
  const form = new Form(send, send);
  form.learn(store.first.intake);
  find("#send").addEventListener("click", send);
  find("#stop").addEventListener("click", () => running?.abort());
  learnAnew(store, form);

  async function send() {
    if (form.form === "file" ? !form.file : !form.check()) {
      form.words.focus();
      return;
    }
    running?.abort();
    const mine = running = new AbortController();
    clear();
    busy(true);
    const begun = performance.now();
    try {
      await exchange(form, mine.signal, begun);
    } catch (error) {
      if (mine !== running) return; // another one has taken its place
      if (mine.signal.aborted) tell("offline", t("Stopped by you"), since(begun));
      else fail(error, begun);
    }
    if (mine !== running) return;
    running = null;
    busy(false);
  }
}

const since = (begun) => sayText((performance.now() - begun) / 1000, "seconds");

async function exchange(form, signal, begun) {
  const drawn = form.form === "file" ? await draw(form.file) : null;
  tell("busy", t("Sent; waiting for the answer …"));
  const headers = { "Content-Type": form.type, ...(form.streams ? { Accept: "text/event-stream" } : {}) };
  const answer = await ask("/predict", { method: "POST", body: form.body, headers, signal });
  const { status, headers: given } = answer;
  if (!given.get("Content-Type")?.startsWith("text/event-stream")) {
    const document = await answer.json();
    tell(document.degraded ? "warning" : "ok", String(status), since(begun), sayVersion(given), given.get("X-Cache") === "hit" && t("from the cache"));
    paintAnswer(document, drawn);
    return;
  }
  const steps = new Steps(begun);
  tell("busy", t("The answer is coming …"), sayVersion(given));
  try {
    let rested = performance.now();
    for await (const event of readEvents(answer)) {
      steps.take(event);
      if (performance.now() - rested < AT_ONCE) continue;
      await new Promise((go) => { setTimeout(go); }); // what has come already would never let the page have its turn
      rested = performance.now();
    }
  } finally {
    steps.paint(); // what there is when it is stopped
  }
  if (!steps.over) steps.fail({ detail: t("The connection ended before the answer did.") });
  if (steps.failed) return;
  tell(given.get("X-Degraded") ? "warning" : "ok", String(status), since(begun), steps.said(), sayVersion(given));
}

function fail(error, begun) {
  tell("critical", error.status && String(error.status), since(begun), error.headers && sayVersion(error.headers));
  paintFailure(error);
}

function busy(is) {
  if (!is && document.activeElement === find("#stop")) find("#send").focus(); // who stops it by keyboard goes on from there
  show(find("#stop"), is);
  find("#drop").classList.toggle("busy", is);
  if (is) text(find("#answer [data-field=json]"), "");
}

/** Another model, or another version of it, may take something else. */
function learnAnew(store, form) {
  const key = ({ model, start_id }) => (model.state === "ready" ? `${model.model} ${model.version} ${start_id}` : null);
  let known = store.first.intake ? key(store.state) : null;
  store.on("state", async () => {
    const now = key(store.state);
    if (now === null || now === known) return;
    known = now;
    try {
      form.learn((await call("/api/model")).intake);
    } catch {
      known = null; // asked again with the next state
    }
  });
}
