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
  let newest = null; // cursors of the first and the last line that are shown
  let oldest = null;
  let isMore = false;
  let follows = true;
  let cut = false; // whether newer lines were let go of to make room
  let asked = "";
  let waiting = 0;

  const asks = () => [...filters.query("q", "request_id"), ...(filters.get("own_level") ? [["level", filters.get("own_level")]] : [])];
  const query = (more) => `/api/logs/tail?${new URLSearchParams([...asks(), ...Object.entries({ limit: PAGE, ...more })])}`;
  const cursorOf = (line) => line.cursor ?? line.time_ms;

  async function load() {
    const now = JSON.stringify(asks());
    if (now !== asked || newest === null) {
      asked = now;
      await begin();
    } else if (!cut) await grow();
  }

  async function begin() {
    const { lines, more } = await call(query({}));
    list.replaceChildren(...lines.map(makeLine));
    [oldest, newest] = lines.length ? [cursorOf(lines[0]), cursorOf(lines.at(-1))] : [null, null];
    [isMore, cut, waiting] = [Boolean(more), false, 0];
    follow(true);
    paint();
  }

  async function grow() {
    const { lines } = await call(query({ after: newest }));
    if (!lines.length) return;
    newest = cursorOf(lines.at(-1));
    list.append(...lines.map(makeLine));
    if (follows) {
      while (list.children.length > MOST) { list.firstChild.remove(); isMore = true; }
      oldestShown();
      toEnd();
    } else {
      waiting += lines.length;
      if (list.children.length > MOST) { cut = true; for (const one of lines) if (one) list.lastChild.remove(); }
    }
    paint();
  }

  function oldestShown() {
    const first = list.firstChild;
    if (first?.dataset.cursor) oldest = first.dataset.cursor;
  }

  async function loadOlder() {
    if (!isMore || oldest === null) return;
    const { lines, more } = await call(query({ before: oldest }));
    const height = box.scrollHeight;
    list.prepend(...lines.map(makeLine));
    box.scrollTop += box.scrollHeight - height; // what is read stays where it is
    if (lines.length) oldest = cursorOf(lines[0]);
    isMore = Boolean(more) && lines.length > 0;
    while (list.children.length > MOST) { list.lastChild.remove(); cut = true; }
    paint();
  }

  function follow(on) {
    follows = on;
    if (on) { waiting = 0; toEnd(); }
    paint();
  }

  const toEnd = () => { box.scrollTop = box.scrollHeight; };

  function paint() {
    show(find("#tail-older"), isMore);
    show(find("#tail-empty"), list.children.length === 0);
    show(find("#tail-clear"), filters.isNarrowed);
    show(find("#tail-newest"), !follows);
    text(find("#tail-newest span"), waiting === 1 ? t("one new line") : waiting ? t("{count} new lines", { count: waiting }) : t("To the newest"));
    text(find("#tail-state"), follows ? t("Live: it follows") : t("It stands still while you read"));
    find("#tail-state").dataset.state = follows ? "ok" : "";
  }

  box.addEventListener("scroll", () => {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    if (atEnd !== follows && !cut) follow(atEnd);
    else if (cut && follows) { follows = false; paint(); }
  });
  list.addEventListener("click", ({ target }) => {
    const request = target.closest("[data-request]")?.dataset.request;
    if (request) filters.set({ request_id: request });
  });
  const part = new Part(find("#part-own"), store, load, EVERY_MS);
  find("#tail-newest").addEventListener("click", async () => { if (cut) { newest = null; await part.reload(); } else follow(true); });
  find("#tail-older").addEventListener("click", async ({ currentTarget: button }) => {
    button.disabled = true;
    await loadOlder().finally(() => { button.disabled = false; });
  });
  find("#tail-clear").addEventListener("click", () => filters.clear());
  return part;
}
