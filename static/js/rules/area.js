// The text area with line numbers. Tab indents, Enter keeps the indent; Escape gives Tab back to the browser.

import { el, find } from "../dom.js";

const INDENT = "  ";

export class Area extends EventTarget {
  constructor(root) {
    super();
    this.input = find("textarea", root);
    this.gutter = find(".gutter", root);
    this.marks = new Map();
    this.input.addEventListener("input", () => { this.paint(); this.dispatchEvent(new Event("change")); });
    this.input.addEventListener("scroll", () => { this.gutter.scrollTop = this.input.scrollTop; });
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => { this.free = false; });
    document.addEventListener("selectionchange", () => { if (document.activeElement === this.input) this.#moved(); });
    this.paint();
  }

  get value() {
    return this.input.value;
  }

  set value(text) {
    this.input.value = text;
    this.paint();
    this.#moved();
  }

  /** The line of the cursor, from 0. */
  get line() {
    return this.value.slice(0, this.input.selectionStart).split("\n").length - 1;
  }

  goTo(line) {
    const lines = this.value.split("\n");
    const at = lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0);
    this.input.focus();
    this.input.setSelectionRange(at, at + (lines[line] ?? "").length);
    const height = this.input.scrollHeight / Math.max(1, lines.length);
    this.input.scrollTop = Math.max(0, line * height - this.input.clientHeight / 3);
    this.#moved();
  }

  /** Mark lines (from 0) with a state: Map of line → "critical" or "warning". */
  mark(marks) {
    this.marks = marks;
    this.paint();
  }

  paint() {
    const count = this.value.split("\n").length;
    while (this.gutter.children.length > count) this.gutter.lastChild.remove();
    while (this.gutter.children.length < count) this.gutter.append(el("span", {}, String(this.gutter.children.length + 1)));
    [...this.gutter.children].forEach((node, line) => {
      const state = this.marks.get(line) ?? "";
      if ((node.dataset.state ?? "") !== state) node.dataset.state = state;
    });
    this.gutter.scrollTop = this.input.scrollTop;
  }

  #moved() {
    if (this.line === this.before) return;
    this.before = this.line;
    this.dispatchEvent(new Event("move"));
  }

  #key(event) {
    if (this.input.readOnly) return;
    if (event.key === "Escape") { this.free = true; return; }
    if (event.key === "Tab" && !this.free && !event.ctrlKey && !event.altKey) { event.preventDefault(); this.#indent(event.shiftKey); return; }
    if (event.key === "Enter" && !event.isComposing) {
      const before = this.value.slice(0, this.input.selectionStart);
      const indent = /(?:^|\n)([ ]*)[^\n]*$/.exec(before)[1];
      if (indent) { event.preventDefault(); this.#type(`\n${indent}`); }
    }
    if (event.key !== "Shift" && event.key !== "Tab") this.free = false;
  }

  /** As if it were typed, so that undo works. */
  #type(text) {
    if (text) document.execCommand("insertText", false, text);
    else document.execCommand("delete");
  }

  #indent(back) {
    const { input } = this;
    const { selectionStart: from, selectionEnd: to } = input;
    if (from === to && !back) { this.#type(INDENT); return; }
    const start = this.value.lastIndexOf("\n", from - 1) + 1;
    const end = to > from && this.value[to - 1] === "\n" ? to - 1 : to;
    const chosen = this.value.slice(start, end);
    const moved = chosen.split("\n").map((line) => (back ? line.replace(/^ {1,2}/, "") : line ? INDENT + line : line)).join("\n");
    if (moved === chosen) return;
    input.setSelectionRange(start, end);
    this.#type(moved);
    input.setSelectionRange(start, start + moved.length);
  }
}
