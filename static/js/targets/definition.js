// What a target of the page is made of: the fields of each kind, and how they are read from a definition and written
// back. What the form does not know stays in the definition as it was. No DOM.

import { t } from "../i18n.js";

const HOW_OFTEN = [
  { key: "interval", label: () => t("Ask every"), type: "time", example: "30s" },
  { key: "timeout", label: () => t("Wait at most"), type: "time", example: "5s" },
  { key: "fails", label: () => t("Down after so many failures"), type: "number", example: "2" },
  { key: "successes", label: () => t("Up after so many successes"), type: "number", example: "1" },
];
const LOGIN = [
  { key: "headers", label: () => t("Headers"), type: "pairs", sign: ":", wide: true, example: "X-Name: value" },
  { key: "username", label: () => t("User"), type: "text" },
  { key: "password", label: () => t("Password"), type: "secret" },
  { key: "bearer_token", label: () => t("Bearer token"), type: "secret" },
];
const VERIFY = { key: "verify", label: () => t("The certificate must be valid"), type: "tick", standard: true };
const EXPIRY = { key: "expiry", label: () => t("Warn before the certificate ends"), type: "time", example: "14d" };

/** Kind → {basic, advanced}: fields, the advanced ones folded. */
export const FIELDS = {
  http: {
    basic: [
      { key: "url", label: () => t("Address (URL)"), type: "url", required: true, wide: true, example: "http://127.0.0.1:8188/health" },
      { key: "contains", label: () => t("Text that must be in it"), type: "text" },
      { key: "status", label: () => t("Statuses that are well"), type: "words", example: "2xx" },
    ],
    advanced: [
      { key: "method", label: () => t("Method"), type: "choice", choices: ["GET", "HEAD", "POST", "PUT", "OPTIONS"] },
      { key: "latency", label: () => t("Down when slower than"), type: "time", example: "2s" },
      { key: "excludes", label: () => t("Text that must not be in it"), type: "text" },
      { key: "json.path", label: () => t("JSONPath of a value"), type: "text", example: "$.status" },
      { key: "json.matches", label: () => t("What the value must match (RE2)"), type: "text", example: "ok|ready" },
      { key: "body", label: () => t("Body to send"), type: "secret text", wide: true },
      ...LOGIN, { key: "redirects", label: () => t("Redirects to follow"), type: "number", example: "5" }, EXPIRY, VERIFY, ...HOW_OFTEN,
    ],
  },
  tcp: {
    basic: [{ key: "host", label: () => t("Host"), type: "text", required: true, example: "127.0.0.1" }, { key: "port", label: () => t("Port"), type: "number", required: true, example: "5432" }],
    advanced: [{ key: "tls", label: () => t("Speak TLS"), type: "tick", standard: false }, VERIFY, EXPIRY, ...HOW_OFTEN],
  },
  dns: {
    basic: [
      { key: "name", label: () => t("Name to look up"), type: "text", required: true, example: "example.org" },
      { key: "type", label: () => t("Record type"), type: "choice", choices: ["A", "AAAA", "CNAME", "MX", "NS", "SRV", "TXT"] },
    ],
    advanced: [{ key: "server", label: () => t("Name server"), type: "text", example: "127.0.0.53" }, { key: "expect", label: () => t("One of these must be in the answer"), type: "words" }, ...HOW_OFTEN],
  },
  ping: { basic: [{ key: "host", label: () => t("Host"), type: "text", required: true, example: "192.168.1.1" }], advanced: HOW_OFTEN },
  push: {
    basic: [
      { key: "every", label: () => t("A sign of life comes every"), type: "time", required: true, example: "1d" },
      { key: "grace", label: () => t("Missed after so much more"), type: "time", example: "1h" },
    ],
    advanced: [],
  },
  scrape: {
    basic: [
      { key: "url", label: () => t("Address of its metrics (URL)"), type: "url", required: true, wide: true, example: "http://127.0.0.1:9100/metrics" },
      { key: "profile", label: () => t("What it is"), type: "choice", choices: ["", "vllm", "triton", "dcgm", "node"] },
    ],
    advanced: [
      { key: "interval", label: () => t("Ask every"), type: "time", example: "15s" },
      { key: "timeout", label: () => t("Wait at most"), type: "time", example: "10s" },
      { key: "labels", label: () => t("Labels for all of its series"), type: "pairs", sign: "=", wide: true, example: "room=lab" },
      ...LOGIN, VERIFY,
      { key: "honor_labels", label: () => t("Keep its own job and instance labels"), type: "tick", standard: false },
      { key: "max_series", label: () => t("Most series"), type: "number", example: "5000" },
    ],
  },
};

/** Stands for a secret that is to be forgotten. */
export const FORGET = Symbol("forget");
const SECRET = new Set(["secret", "secret text"]);

/** 1209600 → 14d, 90 → 90s; what is text already stays. */
export function sayTime(value) {
  if (typeof value !== "number") return value ?? "";
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "m"]].find(([length]) => value >= length && value % length === 0) ?? [1, "s"];
  return `${value / size}${unit}`;
}

const step = (from, path) => path.split(".").reduce((found, name) => found?.[name], from);

/** A field's value as the form shows it; a secret is never shown. */
export function readField({ key, type, sign, standard, choices }, part) {
  const value = step(part, key);
  if (type === "tick") return value ?? standard;
  if (value === undefined || value === null) return type === "choice" ? choices[0] : "";
  if (SECRET.has(type)) return "";
  if (type === "time") return sayTime(value);
  if (type === "words") return [value].flat().join(", ");
  if (type === "pairs") return Object.entries(value).map(([name, said]) => `${name}${sign === ":" ? ": " : "="}${said}`).join("\n");
  return String(value);
}

/** Whether the server keeps a secret here; it stands in the definition as a word that, sent back, keeps it. */
export const hasSecret = ({ key, type }, part) => SECRET.has(type) && Boolean(step(part, key));

function pairs(text, sign) {
  const found = {};
  for (const line of text.split("\n").map((one) => one.trim()).filter(Boolean)) {
    const at = line.indexOf(sign);
    if (at < 1) throw new Error(t("“{line}”: a name, then {sign}, then a value", { line, sign }));
    found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

/** What was typed as the definition has it; undefined for nothing, which leaves it to the standard. */
function parse({ type, sign, standard }, said) {
  if (type === "tick") return said === standard ? undefined : said;
  const text = said.trim();
  if (!text) return undefined;
  if (type === "number") return Number(text);
  if (type === "time") return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (type === "words") return text.split(",").map((one) => one.trim()).filter(Boolean).map((one) => (/^\d{3}$/.test(one) ? Number(one) : one));
  if (type === "pairs") return pairs(text, sign);
  return text;
}

/** The parts of a kind with what was typed: `said(field)` gives a field's value. `before` is that kind of the definition. */
export function writePart(kind, before, said) {
  const part = structuredClone(before ?? {});
  for (const field of [...FIELDS[kind].basic, ...FIELDS[kind].advanced]) {
    if (SECRET.has(field.type)) {
      const typed = said(field);
      if (typed === FORGET) part[field.key] = null;
      else if (typed) part[field.key] = typed; // without it the one there is stays
      continue;
    }
    const value = parse(field, said(field));
    const [name, inner] = field.key.split(".");
    if (inner) {
      const holder = { ...(part[name] ?? {}) };
      if (value === undefined) delete holder[inner];
      else holder[inner] = value;
      if (holder.path) part[name] = holder;
      else delete part[name];
    } else if (value === undefined && field.type === "pairs" && part[name]) part[name] = {}; // left out, the old ones would stay
    else if (value === undefined) delete part[name];
    else part[name] = value;
  }
  return part;
}

/** Kind → its part; of several scrapes the first. */
export function partOf(definition, kind) {
  const found = definition?.[kind];
  return kind === "scrape" ? [found ?? []].flat()[0] : found;
}
