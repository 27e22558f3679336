// Copying text, also where the page came over plain HTTP and the browser keeps its clipboard away.

import { el } from "./dom.js";

/** Resolves to whether the text is in the clipboard now. */
export async function copyText(content) {
  if (navigator.clipboard) return navigator.clipboard.writeText(content).then(() => true, () => false);
  const box = el("textarea", { value: content, readOnly: true, className: "visually-hidden" });
  (document.querySelector("dialog[open]") ?? document.body).append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
}
