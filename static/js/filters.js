// A form whose fields are part of the address, so that what is filtered can be shared, reloaded and stepped back to.

import { el, find } from "./dom.js";
import { sayDayClock, sayMoment } from "./format.js";

const SPANS = { "15m": 900_000, "1h": 3600_000, "6h": 21_600_000, "24h": 86400_000, "7d": 604800_000, "30d": 2592000_000 };
const PAUSE_MS = 300;

export class Filters {
  /** `changed()` is called when a field was changed by a person; the field `span` says a range, or that of a link. */
  constructor(form, changed) {
    this.form = form;
    this.fields = [...form.elements].filter(({ name }) => name);
    this.standard = Object.fromEntries(this.fields.map((field) => [field.name, field.value]));
    this.fixed = null;
    this.#read();
    let waiting = 0;
    const soon = (pause) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { this.#write(); changed(); }, pause);
    };
    form.addEventListener("submit", (event) => { event.preventDefault(); soon(0); });
    form.addEventListener("input", ({ target }) => soon(target.matches("input") ? PAUSE_MS : 0));
    addEventListener("popstate", () => { this.#read(); changed(); });
    this.changed = () => { this.#write(); changed(); };
  }

  #read() {
    const given = new URLSearchParams(location.search);
    for (const field of this.fields) if (given.has(field.name)) {
      const value = given.get(field.name);
      // A value that the page does not know yet is kept: what came by a link counts.
      if (field.matches("select") && ![...field.options].some((one) => one.value === value)) field.append(el("option", { value }, value));
      field.value = value;
    } else field.value = this.standard[field.name];
    const [start, end] = ["start", "end"].map((name) => Number(given.get(name)));
    if (start > 0 && end > start && this.form.elements.span) this.fix(start, end);
  }

  /** Show one stretch of time instead of the last hours. */
  fix(start, end) {
    const { span } = this.form.elements;
    find("option[value=fixed]", span)?.remove();
    this.fixed = { start, end };
    span.append(el("option", { value: "fixed" }, `${sayDayClock(start)} – ${sayMoment(end, start)}`));
    span.value = "fixed";
  }

  #write() {
    const found = new URLSearchParams();
    for (const { name, value } of this.fields) if (value.trim() !== this.standard[name] && value !== "fixed") found.set(name, value.trim());
    if (this.form.elements.span?.value === "fixed") for (const [name, value] of Object.entries(this.fixed)) found.set(name, value);
    const query = found.toString();
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  }

  get(name) {
    return this.form.elements[name].value.trim();
  }

  /** Set fields as if a person had. */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      const field = this.form.elements[name];
      if (field.matches("select") && ![...field.options].some((one) => one.value === value)) field.append(el("option", { value }, value));
      field.value = value;
    }
    this.changed();
  }

  clear() {
    this.set({ ...this.standard, ...(this.form.elements.span ? { span: this.get("span") } : {}) });
  }

  /** Whether more than a range is asked for. */
  get isNarrowed() {
    return this.fields.some(({ name, value }) => name !== "span" && value.trim() !== this.standard[name]);
  }

  /** {start, end} in ms. */
  range(now) {
    const span = this.get("span");
    return span === "fixed" ? this.fixed : { start: Math.round(now - SPANS[span]), end: Math.round(now) };
  }

  /** What is asked for, without the range and without what is empty. */
  query(...names) {
    const found = new URLSearchParams();
    for (const name of names) if (this.get(name)) found.set(name, this.get(name));
    return found;
  }
}
