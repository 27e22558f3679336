// The requests page: how fast and how well, what failed, and what failures have in common.

import { el, find, show } from "../dom.js";
import { Filters } from "../filters.js";
import { startErrors } from "../requests/errors.js";
import { startRequests } from "../requests/list.js";
import { startSummary } from "../requests/summary.js";
import { sayOutcome } from "../requests/word.js";

export function start(store) {
  const form = find("#filters");
  form.elements.outcome.append(...store.first.outcomes.map((name) => el("option", { value: name }, sayOutcome(name))));
  const filters = new Filters(form, () => { link(); for (const part of parts) part.reload(); });
  const parts = [startSummary(store, filters), startRequests(store, filters), startErrors(store, filters)];

  function link() {
    const query = filters.query("outcome", "class", "route", "q", "request_id", "min_seconds", "fingerprint");
    for (const [name, value] of Object.entries(filters.range(store.now()))) query.set(name, value);
    find("#requests-csv").href = `/api/requests.csv?${query}`;
    show(find("#only"), Boolean(filters.get("fingerprint")));
  }

  find("#only button").addEventListener("click", () => filters.set({ fingerprint: "" }));
  find("#clear-filters").addEventListener("click", () => filters.clear());
  link();
  for (const part of parts) part.open();
}
