// The versions in the model's folder: what is known of each, and a way to put another one into service.

import { call } from "./api.js";
import { ask } from "./dialog.js";
import { el, find, reconcile, show, text } from "./dom.js";
import { ago, sayFull, sayMoment } from "./format.js";
import { sayReason, t } from "./i18n.js";

const LOOKS = { good: "ok", trial: "busy", canary: "busy", failed: "critical", rolled_back: "critical", refused: "warning", unknown: "offline" };
/** While one is loaded, no other can be. */
const BUSY = new Set(["loading", "reloading"]);

function said({ state, checked_ms }) {
  return {
    good: t("good"), trial: t("on probation"), canary: t("canary"), failed: t("failed"), rolled_back: t("taken back"), refused: t("refused"),
    unknown: checked_ms ? t("no verdict yet") : t("not loaded yet"),
  }[state];
}

export async function loadVersions(store) {
  let found;
  try {
    found = await call("/api/model/versions");
  } catch {
    return; // The connection banner speaks where the server is gone.
  }
  show(find("#versions-card"), found.versions.length > 0);
  const list = find("#versions");
  const busy = found.versions.some((one) => one.state === "canary"); // promoted or ended before anything else
  reconcile(list, found.versions, {
    key: (one) => one.version,
    make: () => el("li", {}, el("span", { className: "dot" }), el("span", {}, el("b"), " ", el("span", { className: "mute" })),
      el("button", { className: "control small", type: "button" }), el("p")),
    fill: (row, one) => {
      const [dot, name, button, detail] = row.children;
      dot.dataset.state = one.serving && one.state === "good" ? "ok" : LOOKS[one.state];
      text(name.firstElementChild, one.version);
      text(name.lastElementChild, [one.serving && t("serves"), one.last_good && t("the last good one"), said(one)].filter(Boolean).join(" · "));
      text(button, one.last_good ? t("Roll back") : one.state === "refused" ? t("Switch all the same") : t("Switch"));
      show(button, !one.serving && !busy && "operator" in list.dataset && store.state.model.state !== "disabled");
      button.disabled = BUSY.has(store.state.model.state);
      button.onclick = () => confirmSwitch(one, found.serving);
      const ends = one.version === found.probation?.version && t("until {time}; {failed} of {count} requests failed", {
        time: sayMoment(store.now() + found.probation.left_seconds * 1000), failed: found.probation.failures, count: found.probation.requests,
      });
      const why = one.differs.length ? `${t("differs")}: ${one.differs.map(sayReason).join("; ")}` : sayReason(one.reason);
      text(detail, [ends, why, one.golden !== null && t("golden inputs held: {count}", { count: one.golden }), one.checked_ms && ago(one.checked_ms)].filter(Boolean).join(" · "));
      detail.title = one.checked_ms ? sayFull(one.checked_ms) : "";
      show(detail, Boolean(detail.textContent));
    },
  });
}

function confirmSwitch(one, serving) {
  const force = one.state === "refused";
  const what = t("Version {version} is loaded beside the one that serves, where memory allows, and checked with its golden inputs. The switch loses no request. If it does worse than version {serving}, it is taken back by itself.", { version: one.version, serving: serving ?? "–" });
  return ask({
    title: t(one.last_good ? "Roll back to version {version}?" : "Switch to version {version}?", { version: one.version }),
    body: force ? [what, t("Callers could notice what differs: {what}", { what: one.differs.map(sayReason).join("; ") })] : [what],
    label: t("Reason (optional, kept in the audit)"),
    confirm: force ? t("Switch all the same") : one.last_good ? t("Roll back") : t("Switch"),
    danger: force,
    // The rest is told by the page, as for every load.
    run: (reason) => call("/api/model/version", { method: "POST", json: { version: one.version, force, reason, wait_seconds: 0 } }),
  });
}
