// The page's state as an address, so that it can be shared, reloaded and stepped back to. No DOM.

const TABS = ["chart", "table"];

/** {query, tab, step, unit, refresh, range, start, end, hide, only} from an address; what is missing is empty. */
export function readLink(search) {
  const given = new URLSearchParams(search);
  const moment = (name) => (/^\d{1,15}$/.test(given.get(name) ?? "") ? Number(given.get(name)) : null);
  const word = (name, pattern) => (pattern.test(given.get(name) ?? "") ? given.get(name) : "");
  return {
    query: given.get("q") ?? "",
    tab: TABS.includes(given.get("tab")) ? given.get("tab") : "chart",
    step: word("step", /^\d+(ms|[smhd])$/),
    unit: word("unit", /^\w+$/),
    refresh: word("refresh", /^(5|30)$/),
    range: word("range", /^\w+$/),
    start: moment("start"),
    end: moment("end"),
    hide: given.getAll("hide"),
    only: given.getAll("only"),
  };
}

/** The address's query for a state; empty parts are left out. */
export function writeLink(state) {
  const found = new URLSearchParams();
  const add = (name, value) => { if (value !== "" && value !== null && value !== undefined) found.append(name, value); };
  add("q", state.query);
  if (state.tab !== "chart") add("tab", state.tab);
  if (state.start !== null && state.end !== null) {
    add("start", Math.round(state.start));
    add("end", Math.round(state.end));
  } else {
    add("range", state.range);
  }
  add("step", state.step);
  add("unit", state.unit);
  add("refresh", state.refresh);
  state.hide.forEach((key) => add("hide", key));
  state.only.forEach((key) => add("only", key));
  return found;
}

/** Which series are off, said in as few words as possible. */
export function sayOff(off, keys) {
  const hidden = keys.filter((key) => off.has(key));
  const shown = keys.filter((key) => !off.has(key));
  return hidden.length <= shown.length ? { hide: hidden, only: [] } : { hide: [], only: shown };
}

/** The keys that are off by a link. */
export function readOff({ hide, only }, keys) {
  if (only.length) return new Set(keys.filter((key) => !only.includes(key)));
  return new Set(keys.filter((key) => hide.includes(key)));
}

const MS = { ms: 1, s: 1000, m: 60_000, h: 3600_000, d: 86400_000 };

/** Milliseconds of a step such as `30s`. */
export function stepMs(step) {
  const [, count, unit] = /^(\d+)(ms|[smhd])$/.exec(step);
  return Number(count) * MS[unit];
}
