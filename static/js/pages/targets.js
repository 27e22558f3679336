// The targets page: what runs beside the model, and a way to add to it.

import { copyText } from "../clipboard.js";
import { toast } from "../dialog.js";
import { find } from "../dom.js";
import { t } from "../i18n.js";
import { openTarget } from "../targets/form.js";
import { startList } from "../targets/list.js";
import { pathOf } from "../targets/word.js";

export function start(store) {
  const list = startList(store);
  for (const button of document.querySelectorAll("[data-do=add]")) button.addEventListener("click", async () => {
    const name = await openTarget({});
    if (name) location.href = pathOf(name);
  });
  find("#copy-example").addEventListener("click", async () => { if (await copyText(find("#example").textContent)) toast(t("Copied.")); });
  list.open();
}
