// Notifications of this browser and a sound, for whoever asks for them, of alerts that fire: each once, whatever the
// number of tabs, and none that is silenced or that somebody has taken on.

import { alertText, isMuted } from "./alerts.js";
import { canSound, chime, wakeSound } from "./chime.js";
import { find, show, text } from "./dom.js";
import { t } from "./i18n.js";
import { claimAll } from "./told.js";

const KEPT = "wakeless.notify";
const OFF = { notices: false, sound: false, level: 2 };

function read() {
  try {
    return { ...OFF, ...JSON.parse(localStorage.getItem(KEPT)) };
  } catch {
    return { ...OFF };
  }
}

let chosen = read();

function keep(change) {
  chosen = { ...chosen, ...change };
  try {
    localStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** Why this browser shows no notifications here, or "" where it does. */
function refusal() {
  if (!("Notification" in window)) return t("This browser has no notifications.");
  if (!isSecureContext) return t("Browsers show notifications only for pages by https or on localhost; this page came by http. The sound works all the same.");
  if (Notification.permission === "denied") return t("This browser has been told to show no notifications of this page. Its site settings, beside the address, can allow them.");
  return "";
}

export function startNotify(store) {
  const menu = find("#notify");
  const form = find("form", menu);
  const { notices, sound, level } = form.elements;

  function paint() {
    const refused = refusal();
    notices.checked = chosen.notices && !refused;
    notices.disabled = Boolean(refused);
    sound.checked = chosen.sound;
    level.value = String(chosen.level);
    const needsClick = chosen.sound && !canSound();
    text(find("[data-field=why]", menu), [refused, needsClick ? t("The browser plays the sound once you have clicked somewhere on this page.") : ""].filter(Boolean).join(" "));
    const on = (chosen.notices && !refused) || chosen.sound;
    find("use", find("summary", menu)).setAttribute("href", find("use", find("summary", menu)).getAttribute("href").replace(/#.*/, on ? "#bell-fill" : "#bell-slash"));
    const label = on ? t("This browser tells you of alerts") : t("This browser does not tell you of alerts");
    const summary = find("summary", menu);
    summary.setAttribute("aria-label", label);
    summary.title = label;
    show(find("[data-do=try]", menu), on);
  }

  notices.addEventListener("change", async () => {
    keep({ notices: notices.checked });
    if (notices.checked && Notification.permission === "default") await Notification.requestPermission();
    if (notices.checked && Notification.permission !== "granted") keep({ notices: false });
    paint();
  });
  sound.addEventListener("change", async () => {
    keep({ sound: sound.checked });
    if (sound.checked && (await wakeSound())) chime(2);
    paint();
  });
  level.addEventListener("change", () => keep({ level: Number(level.value) }));
  find("[data-do=try]", menu).addEventListener("click", async () => {
    if (chosen.sound && (await wakeSound())) chime(chosen.level);
    if (chosen.notices) tell(t("Wakeless: a test"), t("This is how an alert is told of."), "test");
    paint();
  });
  // A reload takes the leave to make sound away; the first click gives it back.
  addEventListener("pointerdown", async () => { if (chosen.sound && !canSound() && (await wakeSound())) paint(); });
  addEventListener("storage", ({ key }) => { if (key === KEPT) { chosen = read(); paint(); } });
  store.on("state", () => look(store));
  paint();
  look(store);
}

/** Tell of what fires and is for people, if nobody has been told in this browser. */
async function look(store) {
  if (!chosen.notices && !chosen.sound) return;
  const loud = store.state.alerts.filter((alert) => alert.state === "firing" && alert.level >= chosen.level && !isMuted(alert));
  const known = new Map(loud.map((alert) => [`${alert.id}.${alert.firing_ms}`, alert]));
  const asked = [...known.keys()].filter((key) => !seen.has(key));
  asked.forEach((key) => seen.add(key));
  if (!asked.length) return;
  const fresh = (await claimAll(asked)).map((key) => known.get(key));
  if (!fresh.length) return;
  if (chosen.sound) chime(Math.max(...fresh.map((alert) => alert.level)));
  if (!chosen.notices || refusal()) return;
  if (fresh.length > 3) tell(t("{count} alerts fire", { count: fresh.length }), fresh.map((alert) => alertText(alert, "summary")).join("\n"), "many");
  else for (const alert of fresh) tell(alertText(alert, "summary"), [alertText(alert, "description"), alertText(alert, "action")].filter(Boolean).join("\n"), `alert-${alert.id}`);
}

/** What this tab has asked about: the shared memory need not be read every second. */
const seen = new Set();

function tell(title, body, tag) {
  try {
    const notice = new Notification(title, { body, tag, icon: new URL("../img/moon-critical.svg", import.meta.url).href });
    notice.addEventListener("click", () => { window.focus(); location.href = "/alerts#active"; notice.close(); });
  } catch (error) {
    console.warn(error); // some phones have the name but want a service worker
  }
}
