// What came back: the verdict, pictures, the whole document; or why there is none.

import { field, find, show, text } from "../dom.js";
import { sayText } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { outline, showPictures } from "./picture.js";
import { pretty } from "./pretty.js";

const STAND_INS = { fallback: "the model's fallback", stale: "an old answer", default: "the default answer" };

/** Nothing is shown of what was before. */
export function clear() {
  for (const id of ["#answer", "#failure", "#steps"]) show(find(id), false);
  tell("offline", "");
}

/** The line that says how it ended, and tells a screen reader so. */
export function tell(state, ...parts) {
  const line = find("#outcome");
  line.dataset.state = state;
  text(line, parts.filter(Boolean).join(" · "));
}

/** Which version answered, as the header has it. */
export const sayVersion = (headers) => (headers.get("X-Model-Version") ? t("version {version}", { version: headers.get("X-Model-Version") }) : "");

export function paintAnswer(document, drawn) {
  const root = find("#answer");
  const result = document.result ?? {};
  const named = typeof result.class === "string";
  const sure = typeof result.confidence === "number" ? result.confidence : null;
  show(field(root, "stand-in"), Boolean(document.degraded));
  if (document.degraded) {
    const what = t(STAND_INS[document.degraded] ?? document.degraded);
    text(field(root, "stand-in"), [t("Not the model's own answer, but {what}", { what }), sayReason(document.reason)].filter(Boolean).join(" · "));
  }
  show(field(root, "class").parentNode, named);
  show(field(root, "bar"), named && sure !== null);
  text(field(root, "class"), named ? t(result.class) : "");
  text(field(root, "confidence"), sure === null ? "" : sayText(sure, "ratio"));
  find("i", field(root, "bar")).style.transform = `scaleX(${sure ?? 0})`;
  const pictured = showPictures(field(root, "pictures"), document.result);
  show(field(root, "pictures"), pictured);
  const { queue_seconds: queue, compute_seconds: compute } = document.timings ?? {};
  text(field(root, "parts"), `${sayText(queue, "seconds")} · ${sayText(compute, "seconds")}`);
  text(field(root, "request"), document.request_id);
  show(field(root, "whole"), "result" in document); // of an answer in steps each step is told already
  field(root, "whole").open = !named && !pictured;
  pretty(field(root, "json"), document);
  show(root, true);
  if (drawn && Array.isArray(result.corners) && result.corners.length === 4) outline(drawn, result.corners);
}

/** `error` is a Problem, or whatever keeps the server from being reached. */
export function paintFailure(error) {
  const root = find("#failure");
  const wait = error.headers?.get("Retry-After") ?? error.document?.retry_after_seconds;
  const title = error.status ? t("The model did not answer this ({status})", { status: error.status }) : error.document ? t("The answer is not complete") : t("The server could not be reached");
  text(field(root, "title"), title);
  text(field(root, "detail"), [error.message, error.suggestion].filter(Boolean).map(sayReason).join(" "));
  text(field(root, "again"), wait ? t("Try again in {seconds} s.", { seconds: wait }) : "");
  text(field(root, "request"), error.requestId ? `${t("Request id")} ${error.requestId}` : "");
  show(root, true);
}
