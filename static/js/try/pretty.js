// JSON for people: indented, short lists on one line, and what is long folded until somebody asks for it.

import { el } from "../dom.js";
import { t } from "../i18n.js";

const LINE = 88;
const LONG_TEXT = 160;
const LONG_LIST = 24;
const SHOWN = 48;

/** Put the document into `root`, a <pre>. */
export function pretty(root, document) {
  root.replaceChildren();
  let said = "";
  const flush = () => { if (said) root.append(said); said = ""; };
  const fold = (short, whole) => { flush(); root.append(folded(short, whole)); };

  function write(value, indent) {
    const flat = JSON.stringify(value);
    if (typeof value === "string" && flat.length > LONG_TEXT) {
      fold(t("{start} … {count} characters", { start: flat.slice(0, SHOWN), count: value.length }), () => flat);
    } else if (Array.isArray(value) && value.length > LONG_LIST) {
      fold(t("{start} … {count} entries", { start: flat.slice(0, SHOWN), count: value.length }), () => JSON.stringify(value, null, 2).replaceAll("\n", `\n${indent}`));
    } else if (value === null || typeof value !== "object" || flat.length + indent.length <= LINE / 2) {
      said += spaced(value, flat);
    } else {
      const list = Array.isArray(value);
      const deeper = `${indent}  `;
      said += list ? "[" : "{";
      Object.entries(value).forEach(([name, one], index) => {
        said += `${index ? "," : ""}\n${deeper}${list ? "" : `${JSON.stringify(name)}: `}`;
        write(one, deeper);
      });
      said += `\n${indent}${list ? "]" : "}"}`;
    }
  }
  write(document, "");
  flush();
}

/** On one line, with room between what belongs apart. */
const spaced = (value, flat) => (value && typeof value === "object" ? JSON.stringify(value, null, 1).replace(/\n */g, " ").replace(/([[{]) | ([\]}])/g, "$1$2") : flat);

function folded(short, whole) {
  const button = el("button", { type: "button", className: "fold", "aria-expanded": "false", title: t("Show all of it") }, short);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? whole() : short;
  });
  return button;
}

/** What goes into one line of a list. */
export function brief(document) {
  const flat = typeof document === "string" ? document : JSON.stringify(document);
  return flat.length > LONG_TEXT ? folded(`${flat.slice(0, LONG_TEXT)} …`, () => flat) : flat;
}
