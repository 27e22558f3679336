// What is said of targets: their state, what watches them, a sentence over all of them. No DOM.

import { duration, sayText } from "../format.js";
import { language, sayAll, sayReason, t } from "../i18n.js";

const WORDS = { up: () => t("UP"), down: () => t("DOWN"), unknown: () => t("NOT KNOWN"), paused: () => t("PAUSED") };
const LOOKS = { up: "ok", down: "critical", unknown: "", paused: "offline" };
/** Which of them comes first in the list. */
const ORDER = { down: 0, unknown: 1, up: 2, paused: 3 };

export const ICONS = {
  http: "globe", tcp: "plug", dns: "signpost-split", ping: "broadcast-pin", process: "cpu", systemd: "gear", docker: "box", push: "heart-pulse", scrape: "graph-up", log: "journal-text",
};
const KINDS = {
  http: () => t("HTTP"), tcp: () => t("TCP port"), dns: () => t("DNS name"), ping: () => t("Ping"), process: () => t("Process"), systemd: () => t("systemd unit"), docker: () => t("Container"),
  push: () => t("Sign of life"), scrape: () => t("Metrics"), log: () => t("Log"),
};
const RUNGS = {
  call: () => t("Call a URL"), command: () => t("Run a program"), systemd: () => t("Restart a systemd unit"), container: () => t("Restart a container"), standby: () => t("Switch to the standby"),
};

export const lookOf = (state) => LOOKS[state] ?? "";
export const sayState = (state) => WORDS[state]?.() ?? state;
export const sayKind = (kind) => KINDS[kind]?.() ?? kind;
export const sayRung = (kind) => RUNGS[kind]?.() ?? kind;
export const pathOf = (name) => `/targets/${encodeURIComponent(name)}`;
export const sayWhy = (reason) => sayAll(reason);

/** The kinds of watching that a target has, each once. */
export function kindsOf({ probes = [], scrapes = [], logs = [] }) {
  return [...new Set([...probes.map(({ probe }) => probe), ...(scrapes.length ? ["scrape"] : []), ...(logs.length ? ["log"] : [])])];
}

/** Of a target whose log alone is followed, the server knows no state: here it is that of the reading. */
export function settled(target) {
  const { state, probes = [], scrapes = [], logs = [] } = target;
  if (state !== "unknown" || probes.length || scrapes.length || !logs.length) return target;
  const broken = logs.find(({ up }) => up === false);
  if (broken) return { ...target, state: "down", reason: broken.error ?? "" };
  return logs.every(({ up }) => up) ? { ...target, state: "up" } : target;
}

export function sorted(targets) {
  return [...targets].sort((one, other) => (ORDER[one.state] ?? 1) - (ORDER[other.state] ?? 1) || one.name.localeCompare(other.name));
}

const worst = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? Math.min(...known) : null;
};

/** {"24h", "7d", "30d", "90d"}: of several probes the one that was up least. */
export function uptimeOf({ probes = [] }) {
  return Object.fromEntries(["24h", "7d", "30d", "90d"].map((key) => [key, worst(probes.map(({ uptime }) => uptime?.[key]))]));
}

/** Days of all probes together: each as its worst probe had it. */
export function daysOf({ probes = [] }) {
  const found = new Map();
  for (const { days = [] } of probes) {
    for (const day of days) {
      const before = found.get(day.day);
      if (!before || before.ratio === null || (day.ratio !== null && day.ratio < before.ratio)) found.set(day.day, day);
    }
  }
  return [...found.values()].sort((one, other) => (one.day < other.day ? -1 : 1));
}

/** What is asked over a network: how long it takes to answer says something. */
export const TIMED = ["http", "tcp", "dns", "ping"];

/** Seconds of a window of so many days in which at least one probe said that it is down. */
export function downSeconds(outages, days, now) {
  const start = now - days * 86400_000;
  let until = start;
  let sum = 0;
  for (const { started_ms: from, ended_ms: to } of [...outages].sort((one, other) => one.started_ms - other.started_ms)) {
    sum += Math.max(0, (to ?? now) - Math.max(from, until));
    until = Math.max(until, to ?? now);
  }
  return sum / 1000;
}

/** The slowest answer of its probes, in seconds; null where none was timed. */
export function latencyOf({ probes = [] }) {
  const times = probes.filter(({ probe, state }) => TIMED.includes(probe) && state !== "down").map(({ duration_seconds: seconds }) => seconds).filter((seconds) => Number.isFinite(seconds));
  return times.length ? Math.max(...times) : null;
}

/** "7 of 8 are up. comfyui is down for 4 min: connection refused." */
export function sentence(targets, now) {
  const watched = targets.filter(({ state }) => state !== "paused");
  const down = sorted(watched).filter(({ state }) => state === "down");
  const unknown = watched.filter(({ state }) => state === "unknown");
  const up = watched.length - down.length - unknown.length;
  const parts = [];
  if (!watched.length) parts.push(t("All of them are paused."));
  else if (up === watched.length) parts.push(up === 1 ? t("The one target is up.") : t("All {count} are up.", { count: up }));
  else parts.push(t("{up} of {count} are up.", { up, count: watched.length }));
  if (down.length === 1) parts.push(sayDown(down[0], now));
  else if (down.length) parts.push(t("{count} are down: {names}.", { count: down.length, names: names(down) }));
  if (unknown.length) parts.push(unknown.length === 1 ? t("Of {name} nothing is known yet.", { name: unknown[0].name }) : t("Of {count} nothing is known yet.", { count: unknown.length }));
  const paused = targets.length - watched.length;
  if (paused && watched.length) parts.push(paused === 1 ? t("One is paused.") : t("{count} are paused.", { count: paused }));
  return parts.join(language === "zh" ? "" : " ");
}

const names = (targets) => {
  const shown = targets.slice(0, 4).map(({ name }) => name).join(language === "zh" ? "、" : ", ");
  return targets.length > 4 ? `${shown} …` : shown;
};

function sayDown({ name, since_ms: since, reason }, now) {
  const values = { name, duration: duration((now - since) / 1000), reason: sayReason(reason) };
  if (!since) return t("{name} is down.", values);
  return reason ? t("{name} is down for {duration}: {reason}.", values) : t("{name} is down for {duration}.", values);
}

/** The words beside a target's name: since when, and why. */
export function standing({ state, since_ms: since, reason, probes = [] }, now) {
  const length = since ? duration((now - since) / 1000) : "";
  if (state === "down") return [length && t("down for {duration}", { duration: length }), sayReason(reason)].filter(Boolean).join(" · ");
  if (state === "up") return length ? t("up for {duration}", { duration: length }) : t("up");
  if (state === "paused") return t("nobody looks at it");
  if (!reason && probes.length && probes.every(({ probe }) => probe === "push")) return t("no sign of life yet");
  return sayReason(reason) || t("not looked at yet");
}

export const sayLatency = (seconds) => (seconds === null || seconds === undefined ? "–" : sayText(seconds, "seconds"));
