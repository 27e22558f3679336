// Dialogs and short messages. Native <dialog>: focus is kept inside, Escape closes.

import { copyText } from "./clipboard.js";
import { el, find, icon } from "./dom.js";
import { sayReason, t } from "./i18n.js";

/** A dialog around `content` with Cancel and `confirm`. Resolves to what `run(form)` gives back, or null when it was left.
 * `run` may refuse by throwing: then its words are shown and nothing that was typed is lost. `guard`: true keeps
 * Escape from closing it. */
export function openForm({ title, content = [], confirm, danger = false, wide = false, extra = null, run, guard = () => false }) {
  return new Promise((resolve) => {
    const problem = el("p", { className: "problem", role: "alert", hidden: true });
    const button = el("button", { className: `control ${danger ? "danger" : "primary"}`, type: "submit" }, confirm);
    const cancel = el("button", { className: "control", type: "button", on: { click: () => dialog.close() } }, t("Cancel"));
    const heading = el("h2", { id: "dialog-title" }, title);
    const form = el("form", { autocomplete: "off" }, heading, ...content, problem, el("div", { className: "actions" }, extra, cancel, button));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title", className: wide ? "broad" : "" }, form);
    let answer = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      problem.hidden = true;
      try {
        answer = (await run(form)) ?? true;
        dialog.close();
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        problem.textContent = [sayReason(error.message), sayReason(error.suggestion)].filter(Boolean).join(" ");
        problem.hidden = false;
        problem.scrollIntoView({ block: "nearest" });
        button.disabled = false;
      }
    });
    dialog.addEventListener("cancel", (event) => { if (guard()) event.preventDefault(); });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (form.querySelector("[autofocus], input:not([type=checkbox], [type=radio]), select, textarea") ?? button).focus();
  });
}

/** Ask, with an optional text field. Resolves to the text (or true), or null when cancelled. `run` may refuse by throwing. */
export function ask({ title, body = [], label, placeholder = "", required = false, confirm, danger = false, run }) {
  const input = label ? el("input", { name: "reason", maxLength: 500, placeholder, required, autocomplete: "off" }) : null;
  const content = [...body.map((line) => el("p", { className: "mute" }, line)), input && el("label", { className: "field" }, label, input)];
  return openForm({
    title, confirm, danger, content: content.filter(Boolean),
    run: async () => {
      const given = input ? input.value.trim() : true;
      await run?.(given);
      return given;
    },
  });
}

/** A message that goes by itself. */
export function toast(message, level = "ok") {
  const symbol = { ok: "check-circle-fill", critical: "x-octagon-fill", warning: "exclamation-triangle-fill" }[level];
  const node = el("div", { className: "notice", data: { state: level } }, icon(symbol), el("span", {}, message));
  find("#toasts").append(node);
  setTimeout(() => node.remove(), level === "ok" ? 5000 : 10_000);
}

/** Text to take away, e.g. into a file: `make(title)` gives it anew whenever the title field changes. */
export function showText({ title, body = [], label, value, make, copied }) {
  const input = el("input", { value, maxLength: 80, autocomplete: "off" });
  const content = el("pre", { className: "command", tabIndex: 0 }, make(value));
  input.addEventListener("input", () => { content.textContent = make(input.value.trim() || value); });
  const copy = el("button", { className: "control primary", type: "button" }, icon("clipboard"), t("Copy"));
  copy.addEventListener("click", async () => { if (await copyText(content.textContent)) toast(copied); });
  const close = el("button", { className: "control", type: "button", on: { click: () => dialog.close() } }, t("Close"));
  const dialog = el("dialog", { className: "wide", "aria-labelledby": "dialog-title", on: { close: () => dialog.remove() } },
    el("h2", { id: "dialog-title" }, title), ...body.map((line) => el("p", { className: "mute" }, line)),
    el("label", { className: "field" }, label, input), content, el("div", { className: "actions" }, close, copy));
  document.body.append(dialog);
  dialog.showModal();
  input.select();
}

export function showShortcuts(list) {
  const rows = list.flatMap(([keys, meaning]) => [el("dt", {}, ...keys.map((key) => el("kbd", {}, key))), el("dd", {}, meaning)]);
  const close = el("button", { className: "control primary", type: "button", on: { click: () => dialog.close() } }, t("Close"));
  const dialog = el("dialog", { "aria-labelledby": "dialog-title", on: { close: () => dialog.remove() } },
    el("h2", { id: "dialog-title" }, t("Keyboard shortcuts")), el("dl", { className: "pairs shortcuts" }, ...rows),
    el("div", { className: "actions" }, close));
  document.body.append(dialog);
  dialog.showModal();
}
