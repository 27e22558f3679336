// Matchers of labels as removable chips, with a field that takes more of them as Alertmanager writes them.

import { el, find, icon } from "./dom.js";
import { t } from "./i18n.js";

const ONE = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"{}]*))\s*(?:,|$)/;

/** `a="b", c=~"d.*"` → matchers as Alertmanager's API has them; null where it is not understood. */
export function parseMatchers(text) {
  let rest = text.trim().replace(/^\{|\}$/g, "");
  const found = [];
  while (rest.trim()) {
    const one = ONE.exec(rest);
    if (!one) return null;
    const value = one[3] !== undefined ? one[3].replace(/\\(["\\n])/g, (_, letter) => (letter === "n" ? "\n" : letter)) : one[4];
    found.push({ name: one[1], value, isRegex: one[2].endsWith("~"), isEqual: !one[2].startsWith("!") });
    rest = rest.slice(one[0].length);
  }
  return found;
}

/** As one reads it: severity="critical". A missing isEqual means that it is. */
export function sayMatcher({ name, value, isRegex, isEqual = true }) {
  const operator = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
  return `${name}${operator}${JSON.stringify(value)}`;
}

export const exactly = (labels) => Object.entries(labels).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true }));

export const chipOf = (matcher) => el("code", { className: "matcher" }, sayMatcher(matcher));

export class Matchers {
  constructor(matchers, changed, none = "") {
    this.list = matchers;
    this.changed = changed;
    this.chips = el("ul", { className: "chips", "aria-label": t("Matchers") });
    this.input = el("input", { className: "mono", placeholder: 'severity="warning"', "aria-describedby": "matchers-hint", spellcheck: false, autocomplete: "off", on: { keydown: (event) => this.#key(event), focusout: (event) => this.#left(event) } });
    this.hint = el("small", { id: "matchers-hint" }, none ? `${none} ` : "", t('All must hold. Enter adds one: name="value", also !=, =~ and !~.'));
    this.root = el("div", { className: "matchers" }, el("span", { className: "field-name" }, t("What it is for")), this.chips, el("label", { className: "field" }, el("span", { className: "visually-hidden" }, t("Add a matcher")), this.input), this.hint);
    this.paint();
  }

  paint() {
    this.chips.replaceChildren(...this.list.map((matcher, at) => el("li", {}, el("code", {}, sayMatcher(matcher)),
      el("button", { type: "button", "aria-label": t("Remove {matcher}", { matcher: sayMatcher(matcher) }), on: { click: () => this.remove(at) } }, icon("x-lg")))));
  }

  remove(at) {
    this.list = this.list.filter((_, index) => index !== at);
    this.paint();
    (find(`li:nth-child(${Math.min(at + 1, this.list.length)}) button`, this.chips) ?? this.input).focus();
    this.changed();
  }

  /** Take what stands in the field; false where it is not understood. */
  finish() {
    return this.#take();
  }

  /** A chip that appears between pressing and releasing a button would move the button away from under the pointer. */
  #left({ relatedTarget }) {
    if (relatedTarget?.type !== "submit") setTimeout(() => { if (this.input.isConnected && document.activeElement !== this.input) this.#take(); }, 300);
  }

  #key(event) {
    if (event.key === "Enter" && this.input.value.trim()) {
      event.preventDefault(); // it adds a matcher, it does not save the form
      this.#take();
    }
    if (event.key === "Backspace" && !this.input.value && this.list.length) this.remove(this.list.length - 1);
  }

  #take() {
    if (!this.input.value.trim()) { this.input.setCustomValidity(""); return true; }
    const found = parseMatchers(this.input.value);
    this.input.setCustomValidity(found ? "" : t('Write it as name="value".'));
    if (!found) { this.input.reportValidity(); return false; }
    this.list = [...this.list, ...found];
    this.input.value = "";
    this.paint();
    this.changed();
    return true;
  }
}
