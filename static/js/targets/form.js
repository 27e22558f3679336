// The dialog that adds or changes a target: what it is called, how it is watched, and a test before it is saved.

import { call } from "../api.js";
import { openForm, toast } from "../dialog.js";
import { el, icon, show, text } from "../dom.js";
import { sayReason, t } from "../i18n.js";
import { paintOutcomes } from "./act.js";
import { FIELDS, FORGET, hasSecret, partOf, readField, writePart } from "./definition.js";
import { ICONS, sayKind } from "./word.js";

const label = (words, input, hint) => el("label", { className: "field" }, words, input, hint ? el("small", {}, hint) : null);

function makeInput(field, part) {
  const value = readField(field, part);
  const plain = { value, placeholder: field.example ?? "", required: Boolean(field.required), autocomplete: "off", spellcheck: false };
  if (field.type === "tick") return el("input", { type: "checkbox", checked: value });
  if (field.type === "choice") return el("select", {}, ...field.choices.map((one) => el("option", { value: one, selected: one === value }, one || t("something else"))));
  const placeholder = hasSecret(field, part) ? t("unchanged") : plain.placeholder;
  if (field.type === "secret text" || field.type === "pairs") return el("textarea", { ...plain, placeholder, rows: 2 });
  if (field.type === "secret") return el("input", { ...plain, placeholder, type: "password", autocomplete: "new-password" });
  return el("input", { ...plain, type: { url: "url", number: "number" }[field.type] ?? "text", ...(field.type === "time" ? { pattern: "\\s*((\\d+(\\.\\d+)?)(ms|s|m|h|d|w)?\\s*)+", title: t("such as 30s, 5m, 2h or 1d") } : {}) });
}

/** A secret that the server keeps and never shows: another may be typed, or the one there is forgotten. */
function secret(field, input) {
  const forget = el("button", { type: "button", className: "control", "aria-pressed": "false", on: { click: () => {
    input.disabled = !input.disabled;
    input.value = "";
    input.placeholder = input.disabled ? t("will be removed") : t("unchanged");
    forget.setAttribute("aria-pressed", String(input.disabled));
  } } }, t("Remove"));
  input.setAttribute("aria-label", field.label());
  return el("div", { className: "field" }, field.label(), el("div", { className: "secret" }, input, forget));
}

/** The fields of one kind: {node, said(field), check}. */
function makePart(kind, part) {
  const inputs = new Map();
  const make = (field) => {
    const input = makeInput(field, part);
    inputs.set(field.key, input);
    const node = field.type === "tick" ? el("label", { className: "tick" }, input, field.label()) : hasSecret(field, part) ? secret(field, input) : label(field.label(), input);
    if (field.wide) node.classList.add("wide");
    return node;
  };
  const { basic, advanced } = FIELDS[kind];
  const folded = el("details", {}, el("summary", {}, t("More settings")), el("div", { className: "fields" }, ...advanced.map(make)));
  const node = el("fieldset", { className: "kind-part", data: { kind } }, el("legend", {}, sayKind(kind)), el("div", { className: "fields" }, ...basic.map(make)), advanced.length ? folded : null);
  node.addEventListener("invalid", ({ target }) => { if (folded.contains(target)) folded.open = true; }, true);
  const said = ({ key, type }) => {
    const input = inputs.get(key);
    return type === "tick" ? input.checked : input.disabled ? FORGET : input.value;
  };
  return { node, said };
}

/** Without `name` a new target. Resolves to its name, or null when it was left. */
export async function openTarget({ definition = {}, version = null, name = null }) {
  const before = definition ?? {};
  const kinds = Object.keys(FIELDS);
  const named = el("input", { required: true, maxLength: 63, pattern: "[A-Za-z0-9_][A-Za-z0-9_.\\-]*", title: t("letters, digits, _ . and -"), value: name ?? "", readOnly: Boolean(name), placeholder: "comfyui", autocomplete: "off", spellcheck: false });
  const note = el("input", { maxLength: 500, value: before.note ?? "", placeholder: t("what people should know of it"), autocomplete: "off" });
  const parts = new Map(kinds.map((kind) => [kind, makePart(kind, partOf(before, kind))]));
  const ticks = new Map(kinds.map((kind) => [kind, el("input", { type: "checkbox", value: kind, checked: name ? Boolean(partOf(before, kind)) : kind === "http", on: { change: fit } })]));
  const outcomes = el("ul", { className: "outcomes", role: "status" });
  const problem = el("p", { className: "error", role: "alert", hidden: true });

  function fit() {
    for (const kind of kinds) {
      const on = ticks.get(kind).checked;
      show(parts.get(kind).node, on);
      parts.get(kind).node.disabled = !on;
    }
  }

  function write() {
    const chosen = kinds.filter((kind) => ticks.get(kind).checked);
    if (!chosen.length) throw new Error(t("Choose at least one way to watch it."));
    const found = { ...before, name: named.value.trim(), note: note.value.trim() || null };
    for (const kind of kinds) {
      delete found[kind];
      if (!ticks.get(kind).checked) continue;
      const part = writePart(kind, partOf(before, kind), parts.get(kind).said);
      found[kind] = kind === "scrape" ? [part, ...[before.scrape ?? []].flat().slice(1)] : part;
    }
    return found;
  }

  async function tryIt() {
    if (!test.form.reportValidity()) return;
    test.disabled = true;
    show(problem, false);
    outcomes.replaceChildren(el("li", { className: "mute" }, t("Asking …")));
    try {
      const { results } = await call("/api/targets/check", { method: "POST", json: { definition: write() } });
      if (results.length) paintOutcomes(outcomes, results);
      else outcomes.replaceChildren(el("li", { className: "mute" }, t("There is nothing to ask now: a sign of life is waited for.")));
    } catch (error) {
      outcomes.replaceChildren();
      text(problem, [sayReason(error.message), sayReason(error.suggestion)].filter(Boolean).join(" "));
      show(problem, true);
    } finally {
      test.disabled = false;
    }
  }

  const test = el("button", { type: "button", className: "control", on: { click: tryIt } }, icon("play-fill"), t("Test"));
  const choice = el("fieldset", { className: "kind-choice" }, el("legend", {}, t("How it is watched")), ...kinds.map((kind) => el("label", {}, ticks.get(kind), icon(ICONS[kind]), sayKind(kind))));
  fit();
  const saved = await openForm({
    title: name ? t("Change the target {name}", { name }) : t("Add a target"),
    wide: true, confirm: t("Save"), extra: test,
    content: [el("div", { className: "two-fields" }, label(t("Name"), named), label(t("Note"), note)), choice, ...kinds.map((kind) => parts.get(kind).node), problem, outcomes],
    run: async () => {
      const made = write();
      await call(name ? `/api/targets/${encodeURIComponent(name)}` : "/api/targets", { method: name ? "PUT" : "POST", json: { definition: made, ...(version === null ? {} : { version }) } });
      toast(t("The target is saved."));
      return made.name;
    },
  });
  return saved;
}
