// The logs page: what was found in the logs of targets, and Wakeless' own log as it grows.

import { all, find, show, text } from "../dom.js";
import { Filters } from "../filters.js";
import { startFound } from "../logs/found.js";
import { startTail } from "../logs/tail.js";
import { startTabs } from "../tabs.js";

export function start(store) {
  // A link to the lines of a request means our own log.
  if (!location.hash && new URLSearchParams(location.search).has("request_id")) history.replaceState(null, "", `${location.pathname}${location.search}#own`);
  const own = new Filters(find("#own-filters"), () => { paintRequest(); parts.own.reload(); });
  const found = new Filters(find("#found-filters"), () => parts.found.reload());
  const parts = { found: startFound(store, found), own: startTail(store, own) };

  function paintRequest() {
    const id = own.get("request_id");
    show(find("#own-request"), Boolean(id));
    text(find("#own-request .mono"), id);
    const link = find("#own-request a");
    link.href = `/requests?${new URLSearchParams({ request_id: id })}`;
  }

  for (const button of all("#own-request button")) button.addEventListener("click", () => own.set({ request_id: "" }));
  paintRequest();
  startTabs(find("#tabs"), (name, before) => {
    if (before) parts[before].close();
    parts[name].open();
  });
}
