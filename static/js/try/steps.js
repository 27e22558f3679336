// An answer in steps: how far it is, what is there of it, and each event as it came.

import { Problem } from "../api.js";
import { el, field, find, show, text } from "../dom.js";
import { sayText } from "../format.js";
import { t } from "../i18n.js";
import { paintAnswer, paintFailure, tell } from "./answer.js";
import { showPictures } from "./picture.js";
import { brief } from "./pretty.js";

/** Events beyond are dropped from the top of the list, and so many characters of a text. */
const MOST = 200;
const MOST_TEXT = 20_000;
/** A fast stream brings thousands of events a second; they are painted together, every so many ms. */
const EVERY = 40;
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
    /** What has come since it was painted: events, the last result, how far it is, and all words. */
    this.fresh = [];
    this.last = null;
    this.far = null;
    this.words = "";
    this.timer = null;
    this.root = find("#steps");
    this.list = field(this.root, "events");
    this.track = find(".track", this.root);
    this.writing = field(this.root, "writing");
    this.list.replaceChildren();
    field(this.root, "pictures").replaceChildren();
    text(this.writing, "");
    text(field(this.root, "step"), "");
    for (const part of [this.track, this.writing, field(this.root, "pictures")]) show(part, false);
    show(this.root, true);
  }

  take({ kind, data }) {
    this.count += 1;
    this.fresh.push({ kind, data, after: performance.now() - this.begun });
    if (this.fresh.length > MOST) this.fresh.shift();
    if (kind === "progress") this.far = data;
    else if (kind === "data") this.piece(data);
    else if (kind === "degraded") this.standIn = data;
    else if (kind === "error" || kind === "done") this.over = true;
    if (this.over) this.paint();
    else this.timer ??= setTimeout(() => this.paint(), EVERY);
    if (kind === "done") paintAnswer({ ...data, ...this.standIn });
    if (kind === "error") this.fail(data);
  }

  piece(data) {
    this.last = data;
    const names = data && typeof data === "object" ? Object.keys(data) : [];
    const words = typeof data === "string" ? data : names.length === 1 && PIECES.includes(names[0]) ? data[names[0]] : "";
    if (typeof words === "string" && words) this.words = (this.words + words).slice(-MOST_TEXT);
  }

  paint() {
    clearTimeout(this.timer);
    this.timer = null;
    const { list, far } = this;
    const low = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    list.append(...this.fresh.map(row));
    this.fresh = [];
    while (list.children.length > MOST) list.firstChild.remove();
    if (low) list.scrollTop = list.scrollHeight; // who has scrolled up reads
    if (far) this.progress(far);
    show(this.writing, Boolean(this.words));
    text(this.writing, this.words);
    if (this.last !== null && showPictures(field(this.root, "pictures"), this.last)) show(field(this.root, "pictures"), true);
    this.last = null;
  }

  progress({ done, total }) {
    show(this.track, true);
    this.track.setAttribute("aria-valuemax", total);
    this.track.setAttribute("aria-valuenow", done);
    find("i", this.track).style.transform = `scaleX(${total ? Math.min(1, done / total) : 0})`;
    text(field(this.root, "step"), t("Step {done} of {total}", { done, total }));
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

const row = ({ kind, data, after }) => el("li", { data: { kind } }, el("span", { className: "faint" }, sayText(after / 1000, "seconds")), el("b", {}, kind), el("span", {}, brief(data)));
