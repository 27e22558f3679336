// Wakeless' own log as it grows. At its end it follows; who scrolls up reads in peace, and older lines come as they are
// needed. No more than so many rows are kept, so that it stays smooth however long the log is.

import { call } from "../api.js";
import { find, show, text } from "../dom.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { makeLine } from "./line.js";

const PAGE = 300;
const MOST = 3000;
const EVERY_MS = 2000;
/** So near to an end, in pixels, counts as there. */
const NEAR = 30;

export function startTail(store, filters) {
  const box = find("#tail");
  const list = find("#lines");
  let newest = null; // cursor of the newest line that was heard of
  let next = null; // where older lines begin; null where there are none
  let follows = true;
  let isCut = false; // newer lines were let go of to make room
  let asked = null;
  let waiting = 0;
  let top = 0;

  const asks = () => [...filters.query("q", "request_id"), ...(filters.get("own_level") ? [["level", filters.get("own_level")]] : [])];
  const ask = (more) => call(`/api/logs/tail?${new URLSearchParams([...asks(), ...Object.entries({ limit: PAGE, ...more })])}`);

  async function load() {
    const now = JSON.stringify(asks());
    if (now !== asked || newest === null) {
      asked = now;
      await begin();
    } else if (!isCut) await grow();
  }

  async function begin() {
    const found = await ask({});
    list.replaceChildren(...found.lines.map(makeLine));
    newest = found.lines.at(-1)?.cursor ?? null;
    next = found.more ? found.next : null;
    isCut = false;
    follow(true);
  }

  async function grow() {
    const { lines, more } = await ask({ after: newest });
    if (!lines.length) return;
    newest = lines.at(-1).cursor;
    if (more && follows) { // so many at once that some between were left out
      await begin();
      return;
    }
    const room = MOST - list.children.length;
    if (!follows && (more || lines.length > room)) isCut = true; // they wait to be asked for
    else list.append(...lines.map(makeLine));
    if (follows) {
      while (list.children.length > MOST) list.firstChild.remove();
      next = list.children.length === MOST ? list.firstChild.dataset.cursor : next;
      toEnd();
    } else waiting += lines.length;
    paint();
  }

  async function loadOlder() {
    const found = await ask({ before: next });
    const height = box.scrollHeight;
    list.prepend(...found.lines.map(makeLine));
    box.scrollTop += box.scrollHeight - height; // what is read stays where it is
    next = found.more ? found.next : null;
    while (list.children.length > MOST) { list.lastChild.remove(); isCut = true; }
    paint();
  }

  function follow(on) {
    follows = on;
    if (on) { waiting = 0; toEnd(); }
    paint();
  }

  const toEnd = () => { box.scrollTop = box.scrollHeight; };

  function paint() {
    show(find("#tail-older"), next !== null);
    show(find("#tail-empty"), list.children.length === 0);
    show(find("#tail-clear"), filters.isNarrowed);
    show(find("#tail-newest"), !follows);
    text(find("#tail-newest span"), waiting === 1 ? t("one new line") : waiting ? t("{count} new lines", { count: waiting }) : t("To the newest"));
    text(find("#tail-state"), follows ? t("Live: it follows") : t("It stands still while you read"));
    find("#tail-state").dataset.state = follows ? "ok" : "";
  }

  box.addEventListener("scroll", () => {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    const isUp = box.scrollTop < top;
    top = box.scrollTop;
    if (atEnd && !follows && !isCut) follow(true);
    else if (!atEnd && follows && isUp) follow(false);
    else if (!atEnd && follows) toEnd(); // rows turned out to be taller than they were taken to be
  });
  list.addEventListener("click", ({ target }) => {
    const request = target.closest("[data-request]")?.dataset.request;
    if (request) filters.set({ request_id: request });
  });
  const part = new Part(find("#part-own"), store, load, EVERY_MS);
  find("#tail-newest").addEventListener("click", async () => { if (isCut) { newest = null; await part.reload(); } else follow(true); });
  find("#tail-older").addEventListener("click", async ({ currentTarget: button }) => {
    button.disabled = true;
    await loadOlder().finally(() => { button.disabled = false; });
  });
  find("#tail-clear").addEventListener("click", () => filters.clear());
  return part;
}
