// Tabs whose open one is part of the address (#history): arrows, Home and End move, as the ARIA pattern has it.

import { all, find, show } from "./dom.js";

/** `opened(name, before)` is called for the tab that is open at first and for every one that is opened later. */
export function startTabs(list, opened) {
  const tabs = all("[role=tab]", list);
  let current = null;

  function open(name, { focus = false, write = true } = {}) {
    const tab = tabs.find((one) => one.dataset.tab === name) ?? tabs[0];
    const before = current;
    current = tab.dataset.tab;
    for (const one of tabs) {
      const on = one === tab;
      one.setAttribute("aria-selected", String(on));
      one.tabIndex = on ? 0 : -1;
      show(document.getElementById(one.getAttribute("aria-controls")), on);
    }
    if (focus) tab.focus();
    list.scrollLeft = Math.max(0, tab.offsetLeft - list.offsetLeft - (list.clientWidth - tab.offsetWidth) / 2);
    if (write && location.hash !== `#${current}`) history.replaceState(null, "", `${location.pathname}${location.search}#${current}`);
    if (before !== current) opened(current, before);
  }

  list.addEventListener("click", ({ target }) => {
    const tab = target.closest("[role=tab]");
    if (tab) open(tab.dataset.tab);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.findIndex((one) => one.dataset.tab === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    open(tabs.at(to % tabs.length).dataset.tab, { focus: true });
  });
  addEventListener("hashchange", () => open(location.hash.slice(1), { write: false }));
  open(location.hash.slice(1), { write: false });
  return { open, get current() { return current; }, tab: (name) => find(`[data-tab="${name}"]`, list) };
}
