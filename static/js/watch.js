// Asks now and then how the store is doing, and says on every page when it cannot keep what is measured.

import { call } from "./api.js";
import { el, find, icon, reconcile, text } from "./dom.js";
import { ago, sayFull } from "./format.js";
import { t } from "./i18n.js";

const EVERY_MS = 30_000;
/** Problems that cost a part of the history, or are over; all others endanger what is measured now. */
const PARTIAL = new Set(["database_moved_aside", "chunks_unreadable", "series_refused", "locked"]);

/** Every answer of /api/storage goes to the page as the store's event "storage". */
export function watchStore(store) {
  async function look() {
    if (document.hidden || store.connection !== "open") return;
    try {
      const answer = await call("/api/storage");
      store.emit("storage", answer);
      paint(answer.problems);
    } catch (error) {
      // Where the server is gone, the connection banner speaks.
      if (error.status) store.emit("storage", { error });
    }
  }
  store.on("connection", ({ connection, before }) => { if (connection === "open" && before !== "open") look(); });
  setInterval(look, EVERY_MS);
}

const levelOf = (kind) => (PARTIAL.has(kind) ? "warning" : "critical");

function paint(problems) {
  const urgent = [...problems].sort((one, other) => (levelOf(one.kind) === "warning") - (levelOf(other.kind) === "warning"));
  reconcile(find("#store-problems"), urgent, {
    key: ({ kind, since_ms: since }) => `${since} ${kind}`,
    make: ({ kind }) => el("div", { className: "notice store-problem", data: { state: levelOf(kind) } }, icon(levelOf(kind) === "critical" ? "x-octagon-fill" : "exclamation-triangle-fill"),
      el("div", {}, el("b"), el("p"), el("time", { "aria-live": "off" }))), // it changes by itself; nobody wants to hear that
    fill: (node, { what, advice, detail, since_ms: since }) => {
      const [title, said, when] = node.lastChild.children;
      text(title, t(what));
      text(said, t(advice));
      text(when, [t("since {time}, {ago}", { time: sayFull(since), ago: ago(since) }), detail].filter(Boolean).join(" · "));
    },
  });
}
