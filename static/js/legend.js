// A chart's legend: names the series, toggles them, and says their values at the cross-hair or now.

import { el, reconcile, text } from "./dom.js";
import { digits, precise } from "./format.js";
import { t } from "./i18n.js";

/** A name of more letters may be cut off, and is said in full when it is pointed at. */
const LONG = 28;

const DASHES = ["solid", "dash", "dot"];

export class Legend {
  constructor(root, panel, changed) {
    Object.assign(this, { root, panel, changed, off: new Set(), looks: new Map(), series: [] });
  }

  /** Name and colour the series; a part of the legend in [brackets] is left out where there is only one of its kind. */
  name(series, colors) {
    const signature = `${series.map((one) => one.title ?? one.key).join("|")}${colors.s1}`;
    this.series = series;
    if (signature === this.signature) {
      series.forEach((one) => { one.name = this.looks.get(one.key).name; });
      return;
    }
    this.signature = signature;
    const kinds = new Map();
    series.forEach((one) => kinds.set(one.legend, (kinds.get(one.legend) ?? 0) + 1));
    let next = 0;
    series.forEach((one) => {
      one.name = one.title ?? say(one, kinds.get(one.legend) > 1);
      const fixed = this.panel.colors[one.key];
      const index = typeof fixed === "number" ? fixed - 1 : one.style === "line" ? next++ : 0;
      const color = one.style === "limit" ? colors.faint : one.style === "shade" ? colors.warning : colors[fixed] ?? colors[`s${(index % 8) + 1}`];
      this.looks.set(one.key, { name: one.name, color, dash: DASHES[Math.floor(index / 8) % 3], style: one.style });
    });
    this.build();
  }

  build() {
    reconcile(this.root, this.series, {
      key: (one) => one.key,
      make: () => el("button", { type: "button", on: { click: ({ currentTarget, shiftKey }) => (shiftKey ? this.only(currentTarget.dataset.key) : this.toggle(currentTarget.dataset.key)) } }, el("i"), el("span"), el("b")),
      fill: (button, one) => {
        const look = this.looks.get(one.key);
        button.style.setProperty("--color", look.color);
        button.firstChild.className = look.style;
        button.setAttribute("aria-pressed", String(!this.off.has(one.key)));
        text(button.children[1], look.name);
        button.title = one.full ?? (look.name.length > LONG ? look.name : "");
      },
    });
  }

  toggle(key) {
    if (!this.off.delete(key)) this.off.add(key);
    this.choose(this.off);
  }

  /** Only this series; all again where it is the only one already. */
  only(key) {
    const others = this.series.map((one) => one.key).filter((one) => one !== key);
    const alone = !this.off.has(key) && others.every((one) => this.off.has(one));
    this.choose(new Set(alone ? [] : others));
  }

  choose(off) {
    this.off = off;
    this.build();
    this.changed();
    this.root.dispatchEvent(new Event("chosen"));
  }

  /** Mark the row of one series; undefined for none. */
  mark(key) {
    if (key === this.marked) return;
    this.marked = key;
    for (const row of this.root.children) row.classList.toggle("near", row.dataset.key === key);
  }

  say(index, scale, unit) {
    this.series.forEach((one, position) => {
      const value = one.values[index ?? one.values.length - 1];
      const said = one.style === "shade" ? (value > 0 ? t("yes") : t("no")) : value === null || value === undefined ? "–" : this.panel.precise ? `${precise(value * scale.factor)}${scale.unit && `\u202f${scale.unit}`}` : digits(value * scale.factor);
      text(this.root.children[position]?.lastChild, said);
    });
  }

  color = (key) => this.looks.get(key).color;

  dash = (key) => this.looks.get(key).dash;
}

/** A word in the page's language, with the spaces and signs around it as they are. */
function sayWord(part) {
  const [, before, word, after] = /^(\W*)(.*?)(\W*)$/s.exec(part);
  return `${before}${word ? t(word) : ""}${after}`;
}

function say(series, several) {
  const template = series.legend.replace(/\[([^\]]*)\]/g, several ? "$1" : "");
  const words = template.split(/(\{\{\s*\w+\s*\}\})/).map((part) => {
    const label = /^\{\{\s*(\w+)\s*\}\}$/.exec(part);
    if (label) return t(series.labels[label[1]] ?? "");
    return part.split(/(\s*·\s*)/).map(sayWord).join("");
  });
  return words.join("");
}
