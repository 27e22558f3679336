// The frame around every page: rail, top bar, range picker, theme, shortcuts, tab title and icon, connection banner.

import { isMuted } from "./alerts.js";
import { all, find, show, text } from "./dom.js";
import { showShortcuts } from "./dialog.js";
import { rangeLabel, sayDayClock, sayMoment } from "./format.js";
import { t } from "./i18n.js";

const PILLS = { ready: "READY", watching: "WATCHING", loading: "LOADING", degraded: "DEGRADED", safe_mode: "SAFE MODE", down: "DOWN" };
const KEYS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"];

export function startFrame(store, socket) {
  const title = document.title;
  store.on("state", () => paintState(store, title));
  store.on("connection", (detail) => paintConnection(store, detail));
  store.on("range", () => paintRange(store));
  store.on("pause", () => paintRange(store));
  paintState(store, title);
  paintRange(store);
  handleMenus();
  handleTheme();
  handleRange(store);
  handleKeys(store);
  find("#offline [data-action=retry]").addEventListener("click", () => socket().retry());
}

function paintState(store, title) {
  const { state } = store;
  const pill = find("#pill");
  pill.dataset.state = state.pill;
  text(pill, t(PILLS[state.pill]));
  const { model } = state;
  text(find("#model-chip"), [`${model.model} ${model.version}`, model.device].filter(Boolean).join(" · "));
  const firing = state.alerts.filter((alert) => alert.state === "firing" && !isMuted(alert));
  const count = find("#alert-count");
  text(count, firing.length);
  show(count, firing.length > 0);
  count.classList.toggle("warning", firing.length > 0 && firing.every((alert) => alert.tone !== "critical"));
  const mark = { critical: "▲ ", warning: "● ", busy: "… " }[state.level] ?? "";
  const tab = `${mark}${firing.length ? `(${firing.length}) ` : ""}${title}`;
  if (document.title !== tab) document.title = tab;
  paintIcon(state.level);
}

function paintIcon(level) {
  const name = level === "ok" ? "moon" : `moon-${level}`;
  const href = new URL(`../img/${name}.svg`, import.meta.url).href;
  const link = find('link[rel="icon"]');
  if (link.href !== href) link.href = href;
}

let countdown = 0;

function paintConnection(store, { connection, code, retryAt }) {
  const bar = find("#offline");
  clearInterval(countdown);
  show(bar, connection === "lost" || connection === "refused");
  show(find("[data-action=login]", bar), connection === "refused");
  if (connection === "open") return;
  paintIcon("offline");
  find("#pill").dataset.state = "offline";
  text(find("#pill"), t("NO CONNECTION"));
  if (connection === "refused") {
    text(find(".text", bar), t("Your login has ended."));
    return;
  }
  const say = () => {
    const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const what = code === 1012 ? t("The server is restarting.") : t("Connection lost.");
    text(find(".text", bar), `${what} ${left ? t("Trying again in {seconds} s.", { seconds: left }) : t("Trying …")}`);
  };
  if (connection !== "lost") return;
  say();
  countdown = setInterval(say, 500);
}

function handleMenus() {
  addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) {
      const inside = menu.contains(event.target);
      if (!inside || event.target.closest(".menu-list a, .menu-list > button, .only-phone button")) menu.open = false;
    }
  });
  find("#collapse").addEventListener("click", () => {
    remember("wakeless.rail", document.documentElement.dataset.rail === "narrow" ? "wide" : "narrow");
    dispatchEvent(new Event("resize"));
  });
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  window.wakelessTheme();
}

function handleTheme() {
  for (const button of all("[data-theme]", document.body)) {
    button.addEventListener("click", () => chooseTheme(button.dataset.theme));
  }
  markTheme();
}

function chooseTheme(wanted) {
  const order = ["auto", "light", "dark"];
  const current = document.documentElement.dataset.theme;
  remember("wakeless.theme", wanted === "next" ? order[(order.indexOf(current) + 1) % 3] : wanted);
  markTheme();
}

function markTheme() {
  for (const button of all(".menu-list > [data-theme]")) {
    button.classList.toggle("ticked", button.dataset.theme === document.documentElement.dataset.theme);
  }
}

function handleRange(store) {
  if (!find("#ranges")) return;
  for (const button of all("[data-range]")) button.addEventListener("click", () => store.setRange(button.dataset.range));
  find("#live")?.addEventListener("click", () => (store.live ? store.pause(true) : goLive(store)));
  const form = find("#custom-range");
  find("#range-menu").addEventListener("toggle", () => {
    const { start, end } = store.window();
    form.elements.start.value = localInput(start);
    form.elements.end.value = localInput(end);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const start = Date.parse(form.elements.start.value);
    const end = Date.parse(form.elements.end.value);
    form.elements.end.setCustomValidity(end > start ? "" : t("The end must come after the start."));
    if (!form.reportValidity()) return;
    store.setWindow(start, end);
    find("#range-menu").open = false;
  });
  form.addEventListener("input", () => form.elements.end.setCustomValidity(""));
}

function localInput(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function goLive(store) {
  store.pause(false);
  store.zoomOut();
}

function paintRange(store) {
  if (!find("#ranges")) return;
  const { key, start, end } = store.range;
  for (const button of all("#ranges [data-range]")) button.setAttribute("aria-pressed", String(button.dataset.range === key));
  const label = key === "custom" ? `${sayDayClock(start)} – ${sayMoment(end, start)}` : rangeLabel(key);
  text(find("#range-menu .label"), label);
  find("#range-menu").classList.toggle("is-custom", key === "custom");
  const live = find("#live");
  if (!live) return;
  live.setAttribute("aria-pressed", String(store.live));
  text(find(".text", live), store.live ? t("Live") : t("Paused"));
}

function handleKeys(store) {
  const shortcuts = [
    [["?"], t("This list")],
    [["g", "o"], t("Overview")], [["g", "m"], t("Model")], [["g", "a"], t("Alerts")], [["g", "i"], t("Incidents")], [["g", "e"], t("Explore")], [["g", "s"], t("Storage")],
    [["g", "t"], t("Targets")], [["g", "r"], t("Requests")], [["g", "l"], t("Logs")], [["g", "p"], t("Reports")],
    [["l"], t("Live or paused")],
    [["1", "…", "7"], t("Time range, from 5 minutes to 30 days")],
    [["0"], t("Back from a zoom (or double-click a chart)")],
    [["t"], t("Change the theme")],
  ];
  let before = "";
  const actions = {
    "?": () => showShortcuts(shortcuts),
    l: () => (store.live ? store.pause(true) : goLive(store)),
    0: () => store.zoomOut(),
    t: () => chooseTheme("next"),
  };
  KEYS.forEach((key, index) => (actions[index + 1] = () => store.setRange(key)));
  const places = { o: "/", m: "/model", a: "/alerts", i: "/incidents", e: "/explore", s: "/storage", t: "/targets", r: "/requests", l: "/logs", p: "/reports" };
  find("#shortcuts").addEventListener("click", actions["?"]);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") all("details.menu[open]").forEach((menu) => { menu.open = false; find("summary", menu).focus(); });
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    if (before === "g" && places[event.key]) location.href = places[event.key];
    else if (actions[event.key]) actions[event.key]();
    before = event.key;
  });
}
