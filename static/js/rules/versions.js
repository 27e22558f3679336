// The history of the rules' text: who saved what and why, what changed, and back to it.

import { call } from "../api.js";
import { el, find, reconcile, show, text } from "../dom.js";
import { sayFull, sayMoment } from "../format.js";
import { t } from "../i18n.js";
import { diffLines, hunks } from "./diff.js";

export class Versions {
  /** `area` holds the text at hand; `restored(version)` is told when an older text was put into it. */
  constructor(area, restored) {
    this.area = area;
    this.restored = restored;
    find("#difference-close").addEventListener("click", () => { show(find("#difference"), false); this.opener?.focus(); });
    find("#restore")?.addEventListener("click", () => {
      area.value = this.text;
      area.dispatchEvent(new Event("change"));
      show(find("#difference"), false);
      area.input.focus();
      restored(this.shown);
    });
  }

  async load(current) {
    const { versions } = await call("/api/rules/versions");
    if (!versions.length) {
      find("#versions").replaceChildren(el("li", { className: "mute" }, t("Nothing has been saved here yet.")));
      return;
    }
    reconcile(find("#versions"), versions, {
      key: (one) => one.version ?? one.id,
      make: () => el("li", {}, el("div", { className: "grow" }, el("p"), el("p", { className: "mute" })), el("button", { type: "button", className: "control bare small" }, t("Compare"))),
      fill: (item, one) => {
        const [[comment, facts], button] = [item.firstChild.children, item.lastChild];
        const id = one.version ?? one.id;
        text(comment, one.comment || t("(no comment)"));
        text(facts, [t("version {id}", { id }), one.author, sayMoment(one.time_ms), id === current ? t("in force") : ""].filter(Boolean).join(" · "));
        facts.title = sayFull(one.time_ms);
        button.setAttribute("aria-label", t("Compare with version {id}", { id }));
        button.onclick = () => { this.opener = button; this.compare(id); };
      },
    });
  }

  /** Show what the text at hand changes against a version. */
  async compare(id) {
    const { text: before } = await call(`/api/rules/versions/${id}`);
    this.shown = id;
    this.text = before;
    this.paint(t("From version {id} to the text in the editor", { id }), before, this.area.value);
  }

  paint(title, before, after) {
    const lines = diffLines(before, after);
    const changed = lines.some(({ sign }) => sign !== " ");
    text(find("#difference-title"), title);
    const words = { "-": t("taken out"), "+": t("put in") };
    const rows = changed ? hunks(lines).map((line) => (line === null ? el("tr", { className: "gap" }, el("td", { colSpan: 4 }, "⋯")) :
      el("tr", { data: { sign: line.sign } }, el("td", { className: "number" }, String(line.before ?? "")), el("td", { className: "number" }, String(line.after ?? "")),
        el("td", { className: "sign" }, line.sign.trim(), words[line.sign] ? el("span", { className: "visually-hidden" }, words[line.sign]) : null), el("td", {}, el("code", {}, line.text)))))
      : [el("tr", {}, el("td", { className: "mute same" }, t("Both are the same.")))];
    find("#difference tbody").replaceChildren(...rows);
    show(find("#difference"), true);
    find("#difference").scrollIntoView({ block: "nearest" });
    find("#difference-title").focus();
  }
}
