// An answer in steps: how far it is, what is there of it, and each event as it came.

import { Problem } from "../api.js";
import { el, field, find, show, text } from "../dom.js";
import { sayText } from "../format.js";
import { t } from "../i18n.js";
import { paintAnswer, paintFailure, tell } from "./answer.js";
import { showPictures } from "./picture.js";
import { brief } from "./pretty.js";

/** Events beyond are dropped from the top of the list. */
const MOST = 200;
/** Under which names a piece of a text comes. */
const PIECES = ["token", "text", "delta", "content"];

export class Steps {
  constructor(begun) {
    this.begun = begun;
    this.count = 0;
    /** What stood in for the answer, and whether the last event has come. */
    this.standIn = null;
    this.over = false;
    this.failed = false;
    this.root = find("#steps");
    this.list = field(this.root, "events");
    this.track = find(".track", this.root);
    this.writing = field(this.root, "writing");
    this.list.replaceChildren();
    field(this.root, "pictures").replaceChildren();
    this.writing.replaceChildren();
    text(field(this.root, "step"), "");
    for (const part of [this.track, this.writing, field(this.root, "pictures")]) show(part, false);
    show(this.root, true);
  }

  take({ kind, data }) {
    this.count += 1;
    this.note(kind, data);
    if (kind === "progress") this.progress(data);
    else if (kind === "data") this.piece(data);
    else if (kind === "degraded") this.standIn = data;
    else if (kind === "done") paintAnswer({ ...data, ...this.standIn });
    else if (kind === "error") this.fail(data);
    this.over = kind === "done" || kind === "error";
  }

  note(kind, data) {
    const low = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
    const after = sayText((performance.now() - this.begun) / 1000, "seconds");
    this.list.append(el("li", { data: { kind } }, el("span", { className: "faint" }, after), el("b", {}, kind), el("span", {}, brief(data))));
    if (this.list.children.length > MOST) this.list.firstChild.remove();
    if (low) this.list.scrollTop = this.list.scrollHeight; // who has scrolled up reads
  }

  progress({ done, total }) {
    show(this.track, true);
    this.track.setAttribute("aria-valuemax", total);
    this.track.setAttribute("aria-valuenow", done);
    find("i", this.track).style.transform = `scaleX(${total ? Math.min(1, done / total) : 0})`;
    text(field(this.root, "step"), t("Step {done} of {total}", { done, total }));
  }

  piece(data) {
    if (showPictures(field(this.root, "pictures"), data)) show(field(this.root, "pictures"), true);
    const names = data && typeof data === "object" ? Object.keys(data) : [];
    const words = typeof data === "string" ? data : names.length === 1 && PIECES.includes(names[0]) ? data[names[0]] : null;
    if (typeof words !== "string") return;
    show(this.writing, true);
    this.writing.append(words);
  }

  fail(data) {
    this.failed = true;
    tell("critical", t("ended midway"), this.said());
    paintFailure(new Problem(data.status, data));
  }

  /** How many there were, for the line below. */
  said() {
    return t("{count} events", { count: this.count });
  }
}
