// The visitor's last queries, kept in this browser, and the menu that shows them.

import { el, find, reconcile, show } from "../dom.js";

const KEPT = "wakeless.queries";
const MOST = 25;

export function pastQueries() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((query) => typeof query === "string") : [];
  } catch {
    return []; // storage is forbidden, or holds something else
  }
}

export function rememberQuery(query) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([query, ...pastQueries().filter((one) => one !== query)].slice(0, MOST)));
  } catch {
    // Without storage there is nothing to come back to.
  }
  paint();
}

function forgetQueries() {
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // As above.
  }
}

/** The list is there before the menu opens, so that nothing moves under a pointer. */
export function startPast() {
  find("#recent").addEventListener("toggle", paint); // another tab may have added some
  find("[data-action=forget]").addEventListener("click", () => {
    forgetQueries();
    paint();
    find("#recent summary").focus();
  });
  paint();
}

function paint() {
  const queries = pastQueries();
  const make = (query) => el("button", { type: "button", data: { query } }, el("code", {}, query));
  reconcile(find("#past"), queries, { key: (query) => query, make, fill: () => {} });
  show(find("#past-empty"), queries.length === 0);
  show(find("[data-action=forget]"), queries.length > 0);
}
