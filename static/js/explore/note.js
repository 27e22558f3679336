// What the server and the page have to say about an answer: warnings first, then what is good to know.

import { el, find, icon, reconcile, show } from "../dom.js";

const SYMBOLS = { warning: "exclamation-triangle-fill", info: "info-circle-fill" };

/** {notes} of a Prometheus envelope: [{level, words}]. */
export function notesOf({ warnings = [], infos = [] }) {
  return { notes: [...warnings.map((words) => ({ level: "warning", words })), ...infos.map((words) => ({ level: "info", words }))] };
}

/** `cut`: the page's own words on an answer that was too large, or null. */
export function paintNotes({ notes }, cut) {
  const said = [...(cut ? [{ level: "info", words: cut }] : []), ...notes.filter(({ words }) => !/truncated due to limit/.test(words))];
  reconcile(find("#notes"), said, {
    key: ({ words }) => words,
    make: ({ level, words }) => el("li", { data: { state: level } }, icon(SYMBOLS[level]), el("span", {}, words)),
    fill: () => {},
  });
  show(find("#notes"), said.length > 0);
}
