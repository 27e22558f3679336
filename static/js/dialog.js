// Dialogs and short messages. Native <dialog>: focus is kept inside, Escape closes.

import { copyText } from "./clipboard.js";
import { el, find, icon } from "./dom.js";
import { t } from "./i18n.js";

/** Ask, with an optional text field. Resolves to the text (or true), or null when cancelled. `run` may refuse by throwing. */
export function ask({ title, body = [], label, placeholder = "", required = false, confirm, danger = false, run }) {
  return new Promise((resolve) => {
    const input = label ? el("input", { name: "reason", maxLength: 500, placeholder, required, autocomplete: "off" }) : null;
    const problem = el("p", { className: "problem", role: "alert", hidden: true });
    const button = el("button", { className: `control ${danger ? "danger" : "primary"}`, type: "submit" }, confirm);
    const cancel = el("button", { className: "control", type: "button", on: { click: () => dialog.close() } }, t("Cancel"));
    const heading = el("h2", { id: "dialog-title" }, title);
    const form = el("form", {}, el("div", {}, heading, ...body.map((line) => el("p", { className: "mute" }, line))),
      input && el("label", { className: "field" }, label, input), problem, el("div", { className: "actions" }, cancel, button));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, form);
    let answer = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      try {
        const given = input ? input.value.trim() : true;
        await run?.(given);
        answer = given;
        dialog.close();
      } catch (error) {
        problem.textContent = [error.message, error.suggestion].filter(Boolean).join(" ");
        problem.hidden = false;
        button.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (input ?? button).focus();
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
