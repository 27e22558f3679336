// The rule editor: checks while one types, previews the rule at the cursor, saves versions and loses nobody's text.

import { call } from "../api.js";
import { toast } from "../dialog.js";
import { el, find, icon, reconcile, show, text } from "../dom.js";
import { sayFull, sayMoment } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { Area } from "../rules/area.js";
import { insertRule, ruleAt } from "../rules/block.js";
import { Preview } from "../rules/preview.js";
import { Versions } from "../rules/versions.js";

const PAUSE_MS = 400;
/** A text to begin with. */
const FIRST = "groups:\n  - name: mine\n    rules: []\n";

export function start(store) {
  new RulePage(store).open();
}

class RulePage {
  constructor(store) {
    this.store = store;
    this.admin = store.first.may.admin;
    this.errors = 0; // of the text as it was last checked
    this.saved = null; // {text, version} as the server has it
    this.area = new Area(find("#area"));
    this.preview = new Preview();
    this.versions = new Versions(this.area, (id) => toast(t("Version {id} is in the editor. It is in force once you save it.", { id })));
    this.part = new Part(find("#part-rules"), store, () => this.load(), 60_000);
    this.listen();
  }

  open() {
    return this.part.open();
  }

  listen() {
    this.area.addEventListener("change", () => this.changed());
    this.area.addEventListener("move", () => this.look());
    find("#save")?.addEventListener("submit", (event) => { event.preventDefault(); this.save(this.saved.version); });
    find("#discard")?.addEventListener("click", () => { this.area.value = this.saved.text; this.changed(); });
    find("#reload")?.addEventListener("click", () => this.reloadFiles());
    addEventListener("beforeunload", (event) => { if (this.dirty) event.preventDefault(); });
    addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s" && this.admin) { event.preventDefault(); find("#save").requestSubmit(); }
    });
  }

  get dirty() {
    return this.admin && this.saved !== null && this.area.value !== this.saved.text;
  }

  async load() {
    const rules = await call("/api/rules");
    const begin = this.saved === null;
    if (begin || !this.dirty) {
      this.saved = { ...rules, text: rules.text ?? "" };
      const shown = this.saved.text || (this.admin ? FIRST : "");
      if (this.area.value !== shown) this.area.value = shown;
      if (!this.saved.text) this.saved.text = shown;
      this.changed();
    } else if (rules.version !== this.saved.version) this.sayConflict(rules);
    text(find("#version"), rules.version ? t("version {id} of {author}, {time}", { id: rules.version, author: rules.author, time: sayMoment(rules.time_ms) }) : t("nothing saved yet"));
    find("#version").title = rules.time_ms ? sayFull(rules.time_ms) : "";
    this.paintFiles(rules.files ?? []);
    await this.versions.load(rules.version);
    if (begin) await this.adjust();
  }

  paintFiles(files) {
    reconcile(find("#files"), files, {
      key: (file) => file.path,
      make: () => el("li", {}, el("span", { className: "mono grow" }), el("span", { className: "mute" }), el("p", { className: "error" })),
      fill: (item, file) => {
        text(item.lastChild, file.problems.join("\n"));
        text(item.firstChild, String(file.path).split("/").at(-1));
        text(item.children[1], `${file.rules === 1 ? t("one rule") : t("{count} rules", { count: file.rules })}${file.editable ? ` · ${t("edited here")}` : ""}`);
      },
    });
  }

  /** Copy a rule that came with the product, or from a file, into the text, to be changed there. */
  async adjust() {
    const query = new URLSearchParams(location.search);
    const name = query.get("adjust");
    if (!name || !this.admin) return;
    history.replaceState(null, "", location.pathname);
    const there = this.area.value.split("\n").findIndex((line) => new RegExp(`^\\s*-\\s*alert\\s*:\\s*["']?${name.replace(/[^\w]/g, "\\$&")}["']?\\s*$`).test(line));
    if (there >= 0) { this.area.goTo(there); return; }
    const group = query.get("group") ?? (await groupOf(name));
    const { text: file } = await call(`/api/rules/source?${new URLSearchParams({ name, group })}`);
    const { value, line } = insertRule(this.area.value, file);
    this.area.value = value;
    this.changed();
    this.area.goTo(line);
    find("#save").elements.comment.value = t("Adjust {name}", { name });
    toast(t("{name} was copied here. Change it, then save: it replaces the one that was in force.", { name }));
  }

  changed() {
    const { dirty } = this;
    if (this.admin) {
      find("#discard").disabled = !dirty;
      find("#save-button").disabled = !dirty || this.errors > 0;
    }
    clearTimeout(this.pause);
    this.pause = setTimeout(() => { this.check(); this.look(); }, PAUSE_MS);
  }

  look() {
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.preview.show(ruleAt(this.area.value, this.area.line)), PAUSE_MS);
  }

  async check() {
    this.checking?.abort();
    const mine = (this.checking = new AbortController());
    try {
      const { problems, rules } = await call("/api/rules/check", { method: "POST", json: { text: this.area.value }, signal: mine.signal });
      if (mine === this.checking) this.paintProblems(problems, rules);
    } catch (error) {
      if (error.name === "AbortError" || mine !== this.checking) return;
      this.checked(0); // the server has the last word when it is saved
      text(find("#checked"), t("It could not be checked: {reason}", { reason: error.message }));
    }
  }

  /** What the check found: a text with a mistake cannot be saved. */
  checked(errors) {
    this.errors = errors;
    if (this.admin) find("#save-button").disabled = !this.dirty || errors > 0;
  }

  paintProblems(problems, rules) {
    const errors = problems.filter(({ level }) => level === "error").length;
    this.checked(errors);
    const checked = find("#checked");
    checked.dataset.state = errors ? "critical" : problems.length ? "warning" : "ok";
    checked.replaceChildren(icon(errors ? "x-octagon-fill" : problems.length ? "exclamation-triangle-fill" : "check-circle-fill"),
      errors ? (errors === 1 ? t("One error: it cannot be saved like this.") : t("{count} errors: it cannot be saved like this.", { count: errors })) : t("Nothing wrong: {what}.", { what: [rules === 1 ? t("one rule") : t("{count} rules", { count: rules }), problems.length === 1 ? t("one remark") : problems.length ? t("{count} remarks", { count: problems.length }) : ""].filter(Boolean).join(", ") }));
    this.area.mark(new Map(problems.filter(({ line }) => line).reverse().map(({ line, level }) => [line - 1, level === "error" ? "critical" : "warning"])));
    reconcile(find("#problems"), problems, {
      key: (one, at) => `${at}${one.line}${one.message}`,
      make: (one) => el("li", {}, one.line ? el("button", { type: "button", className: "control bare small", on: { click: () => this.area.goTo(one.line - 1) } }, t("line {line}", { line: one.line })) : el("span", { className: "faint" }, one.where ?? ""), el("span", {})),
      fill: (item, one) => {
        item.dataset.state = one.level === "error" ? "critical" : "warning";
        text(item.lastChild, [one.line && one.where, sayReason(one.message)].filter(Boolean).join(": "));
      },
    });
  }

  async save(version) {
    const form = find("#save");
    if (!this.dirty || this.errors) return;
    if (!form.reportValidity()) return;
    const sent = this.area.value;
    find("#save-button").disabled = true;
    try {
      await call("/api/rules", { method: "PUT", json: { text: sent, comment: form.elements.comment.value.trim(), version } });
      this.saved = { ...this.saved, text: sent };
      form.reset();
      show(find("#conflict"), false);
      toast(t("Saved: the rules are in force."));
      await this.part.reload();
      this.changed();
    } catch (error) {
      this.changed();
      if (error.status === 409) this.sayConflict(await call("/api/rules"));
      else toast([sayReason(error.message), sayReason(error.suggestion)].filter(Boolean).join(" "), "critical");
    }
  }

  /** Somebody else saved meanwhile: nothing of either text is lost, and one sees both. */
  sayConflict(theirs) {
    const words = t("{author} saved version {id} while you were writing. Your text is still here and has not been saved.", { author: theirs.author, id: theirs.version });
    const button = (label, run) => el("button", { type: "button", className: "control small", on: { click: run } }, label);
    find("#conflict").replaceChildren(icon("exclamation-triangle-fill"), el("span", { className: "grow" }, words), el("span", { className: "row-of" },
      button(t("Show the difference"), () => this.versions.compare(theirs.version)),
      button(t("Save mine over it"), () => this.save(theirs.version)),
      button(t("Take theirs"), () => { this.saved = { ...theirs }; this.area.value = theirs.text; show(find("#conflict"), false); this.changed(); this.part.reload(); })));
    show(find("#conflict"), true);
  }

  async reloadFiles() {
    try {
      await call("/api/rules/reload", { method: "POST", json: {} });
      toast(t("The rule files have been read anew."));
      this.part.reload();
    } catch (error) {
      toast([sayReason(error.message), sayReason(error.suggestion)].filter(Boolean).join(" "), "critical");
    }
  }
}

async function groupOf(name) {
  const { data } = await call(`/api/v1/rules?${new URLSearchParams({ "rule_name[]": name, exclude_alerts: "true" })}`);
  return data.groups[0]?.name ?? "";
}
