// The query box: a textarea over a coloured copy of its text, with completion as an ARIA combobox. It emits "run" and
// "edit" on itself.

import { el, find, show, text } from "../dom.js";
import { t } from "../i18n.js";
import { callAt, contextAt, insertion, isSure, proposals } from "./complete.js";
import { parse, tokenize } from "./tokens.js";

const CLOSING = { "(": ")", "{": "}", "[": "]", '"': '"' };
const KINDS = { metric: "metric", function: "function", aggregation: "aggregation", keyword: "keyword", label: "label", value: "value", duration: "duration" };

/** What is this near to the words under the box, in pixels, has no other line between. */
const LINE = 26;

const KEYBOARD = matchMedia("(any-pointer: fine)");

export class Editor extends EventTarget {
  constructor(source, words) {
    super();
    Object.assign(this, { source, words, items: [], active: -1, context: null, asked: 0, error: null });
    this.box = find("#query");
    this.mirror = find("#mirror");
    this.popup = find("#popup");
    this.list = find("#suggestions");
    this.box.addEventListener("input", (event) => this.edited(event));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("click", () => { this.close(); this.hint(); });
    this.box.addEventListener("blur", () => this.close());
    this.box.addEventListener("keyup", ({ key }) => { if (/^(Arrow|Home|End)/.test(key) && this.popup.hidden) this.hint(); });
    this.list.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the box
    this.list.addEventListener("click", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option) this.choose(Number(option.dataset.index));
    });
    this.paint();
    this.hint();
  }

  get value() {
    return this.box.value;
  }

  set value(query) {
    this.box.value = query;
    this.box.setSelectionRange(query.length, query.length);
    this.error = null;
    this.close();
    this.paint();
    this.hint();
  }

  focus() {
    this.box.focus();
  }

  edited(event) {
    this.error = null;
    this.paint();
    this.dispatchEvent(new Event("edit"));
    if (event.inputType === "insertFromPaste" || event.inputType === "historyUndo") this.close();
    else this.propose(false);
    this.hint();
  }

  key(event) {
    if (event.isComposing) return;
    const { key } = event;
    const open = !this.popup.hidden;
    const act = (deed) => { event.preventDefault(); deed(); };
    if (key === "Enter" && (event.ctrlKey || event.metaKey)) act(() => this.run());
    else if (key === " " && event.ctrlKey) act(() => this.propose(true));
    else if (open && (key === "ArrowDown" || key === "ArrowUp")) act(() => this.move(key === "ArrowDown" ? 1 : -1));
    else if (open && (key === "PageDown" || key === "PageUp")) act(() => this.move(key === "PageDown" ? 8 : -8));
    else if (open && key === "Tab" && !event.shiftKey) act(() => this.choose(Math.max(0, this.active)));
    else if (open && key === "Enter" && this.active >= 0) act(() => this.choose(this.active));
    else if (open && key === "Escape") { event.stopPropagation(); act(() => this.close()); }
    else if (key === "Enter" && !event.shiftKey) act(() => this.run());
    else if (key === "Escape") this.box.blur();
    else if ((key === "ArrowUp" || key === "ArrowDown") && event.altKey) act(() => this.dispatchEvent(new CustomEvent("past", { detail: key === "ArrowUp" ? 1 : -1 })));
    else if (!event.ctrlKey && !event.metaKey && !event.altKey) this.pair(event);
  }

  /** Brackets and quotes come in pairs; the closing one that is there already is stepped over. */
  pair(event) {
    const { selectionStart: from, selectionEnd: to, value } = this.box;
    const { key } = event;
    const next = value[to] ?? "";
    if (from === to && key === next && Object.values(CLOSING).includes(key)) {
      event.preventDefault();
      this.box.setSelectionRange(to + 1, to + 1);
      this.close();
      this.hint();
    } else if (CLOSING[key] && (from !== to || !/[\w"']/.test(next)) && !(key === '"' && /[\w"\\]/.test(value[from - 1] ?? ""))) {
      event.preventDefault();
      this.insert(key + value.slice(from, to) + CLOSING[key], from, to, 1 + to - from);
      this.propose(false);
    } else if (key === "Backspace" && from === to && from > 0 && CLOSING[value[from - 1]] === next && next) {
      event.preventDefault();
      this.insert("", from - 1, from + 1, 0);
    }
  }

  /** Replace a part of the text as if it were typed, so that undo knows it; `caret` counts from `from`. */
  insert(piece, from, to, caret) {
    this.box.focus();
    this.box.setSelectionRange(from, to);
    const done = piece ? document.execCommand("insertText", false, piece) : document.execCommand("delete");
    if (!done) {
      this.box.setRangeText(piece, from, to, "end");
      this.edited(new Event("input"));
    }
    this.box.setSelectionRange(from + caret, from + caret);
  }

  run() {
    this.close();
    this.dispatchEvent(new Event("run"));
  }

  /** Offer what fits at the caret. Unasked only while a word is being typed. */
  async propose(wanted) {
    const { selectionStart: caret, selectionEnd: end, value } = this.box;
    const context = caret === end ? contextAt(value, caret, this.words) : null;
    const unasked = context && (context.prefix || ["value", "label", "grouping", "duration"].includes(context.kind));
    if (!context || !(wanted || unasked)) {
      this.close();
      return;
    }
    const mine = ++this.asked;
    const items = await proposals(context, value, this.words, this.source);
    if (mine !== this.asked || document.activeElement !== this.box || this.box.selectionStart !== caret) return;
    const complete = items.length > 0 && insertion(context, items[0]).text === context.prefix;
    if (!items.length || (complete && items.length === 1 && !wanted)) {
      this.close();
      return;
    }
    this.context = context;
    this.items = items;
    this.active = (!complete && isSure(items[0], context.prefix)) || wanted ? 0 : -1; // Enter runs what is written in full
    this.open();
  }

  open() {
    this.list.replaceChildren(...this.items.map((item, index) => this.option(item, index)));
    show(this.popup, true);
    this.box.setAttribute("aria-expanded", "true");
    this.place();
    this.mark();
  }

  option(item, index) {
    const { prefix } = this.context;
    const at = prefix ? item.name.toLowerCase().indexOf(prefix.toLowerCase()) : -1;
    const name = at < 0 ? [item.name] : [item.name.slice(0, at), el("mark", {}, item.name.slice(at, at + prefix.length)), item.name.slice(at + prefix.length)];
    return el("li", { role: "option", id: `option-${index}`, data: { index, kind: item.kind } }, el("span", { className: "name" }, ...name), el("small", {}, item.type ? t(item.type) : t(KINDS[item.kind])));
  }

  /** Under the word that is completed, inside the page. */
  place() {
    const rect = this.rectAt(this.context.from);
    const outer = this.popup.parentElement.getBoundingClientRect();
    const left = Math.max(0, Math.min(rect.left - outer.left - 12, outer.width - this.popup.offsetWidth));
    this.popup.style.left = `${left}px`;
    this.popup.style.top = `${rect.bottom - outer.top + 13}px`;
  }

  move(by) {
    const { length } = this.items;
    this.active = Math.abs(by) === 1 ? (this.active + by + length) % length : Math.max(0, Math.min(length - 1, this.active + by));
    this.mark();
  }

  mark() {
    [...this.list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === this.active)));
    const chosen = this.list.children[this.active];
    if (chosen) {
      this.box.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    } else {
      this.box.removeAttribute("aria-activedescendant");
    }
    const item = this.items[this.active];
    const said = [item?.signature, item?.help && (item.kind === "metric" ? item.help : t(item.help)), item?.unit].filter(Boolean);
    text(find("#meaning"), said.join(" · "));
    show(find("#meaning"), this.items.some((one) => one.help));
  }

  choose(index) {
    const { context } = this;
    const { text: piece, caret, more } = insertion(context, this.items[index]);
    this.close();
    this.insert(piece, context.from, context.to, caret);
    if (more) this.propose(true);
    else this.close();
    this.hint();
  }

  close() {
    this.asked += 1;
    show(this.popup, false);
    this.list.replaceChildren();
    this.items = [];
    this.active = -1;
    this.box.setAttribute("aria-expanded", "false");
    this.box.removeAttribute("aria-activedescendant");
  }

  /** The text in colours, with the wrong part marked. */
  paint() {
    const { value } = this.box;
    const roles = new Map(parse(value, this.words).tokens.map((token) => [token.from, token.role]));
    const [from, to] = this.error?.place ?? [-1, -1];
    const pieces = tokenize(value).flatMap((token) => split(token, from, to)).map(({ token, text: part, bad }) => {
      const kind = roles.get(token.from) ?? token.kind;
      return el("span", { className: bad ? `${kind} wrong` : kind }, part);
    });
    if (from >= value.length) pieces.push(el("span", { className: "wrong end" }, " "));
    this.mirror.replaceChildren(...pieces, "\u200b");
  }

  /** Where a character stands on the screen. */
  rectAt(index) {
    const walker = document.createTreeWalker(this.mirror, NodeFilter.SHOW_TEXT);
    let node = walker.nextNode();
    let left = index;
    while (left >= node.length && walker.nextNode()) {
      left -= node.length;
      node = walker.currentNode;
    }
    const range = document.createRange();
    range.setStart(node, Math.min(left, node.length));
    range.setEnd(node, Math.min(left + 1, node.length));
    return range.getBoundingClientRect();
  }

  /** Say an error and underline its place ([from, to] in characters, or null). */
  complain(message, place) {
    this.error = { message, place };
    this.paint();
    const hint = find("#hint");
    hint.classList.add("bad");
    text(hint, message);
    const under = hint.getBoundingClientRect();
    const wrong = place && this.rectAt(Math.min(place[0], this.value.length));
    const x = wrong && under.top - wrong.bottom < LINE ? wrong.left - under.left : -1; // not through other lines
    hint.classList.toggle("pointed", x >= 0);
    if (x >= 0) hint.style.setProperty("--at", `${Math.round(x)}px`);
    this.box.setAttribute("aria-invalid", "true");
  }

  /** Something to say that is no error; the next key replaces it. */
  remark(message) {
    this.accept();
    text(find("#hint"), message);
  }

  /** Under the box: the signature of the call around the caret, or which keys there are. */
  hint() {
    if (this.error) return;
    const hint = find("#hint");
    hint.classList.remove("bad", "pointed");
    this.box.removeAttribute("aria-invalid");
    const around = callAt(this.value, this.box.selectionStart, this.words);
    text(hint, around ? `${around.signature} · ${t(around.help)}` : KEYBOARD.matches ? t("Enter runs, Shift+Enter breaks the line, Ctrl+Space completes.") : "");
  }

  /** The query ran: nothing is wrong with it. */
  accept() {
    this.error = null;
    this.paint();
    this.hint();
  }
}

function split(token, from, to) {
  const cuts = [token.from, ...[from, to].filter((cut) => cut > token.from && cut < token.to), token.to];
  return cuts.slice(1).map((end, index) => ({ token, text: token.text.slice(cuts[index] - token.from, end - token.from), bad: cuts[index] >= from && end <= to }));
}
