// A part of a page that loads its own data: at once when it is opened, again every so often while it can be seen, and
// one that fails says so in its place and leaves what it showed before.

import { el, find, icon } from "./dom.js";
import { t } from "./i18n.js";

export class Part {
  /** `load` fetches and paints; what it throws is said inside `root`. */
  constructor(root, store, load, everyMs = 10_000) {
    Object.assign(this, { root, store, load, isOpen: false });
    setInterval(() => { if (this.isOpen && !document.hidden && store.connection === "open") this.reload(); }, everyMs);
    store.on("connection", ({ connection, before }) => { if (this.isOpen && connection === "open" && before === "lost") this.reload(); });
  }

  open() {
    this.isOpen = true;
    return this.reload();
  }

  close() {
    this.isOpen = false;
  }

  /** One load at a time; one that is asked for meanwhile comes right after. */
  async reload() {
    if (this.loading) { this.again = true; return this.loading; }
    this.loading = this.#run();
    await this.loading;
    this.loading = null;
    if (this.again) { this.again = false; await this.reload(); }
  }

  async #run() {
    try {
      await this.load();
      this.#say(null);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!error.status && !(error instanceof TypeError && /fetch|network/i.test(error.message))) console.error(error);
      this.#say(error);
    } finally {
      this.root.setAttribute("aria-busy", "false");
    }
  }

  #say(error) {
    find(":scope > .part-problem", this.root)?.remove();
    // Where the line is gone, the banner says so already.
    if (!error || (!error.status && this.store.connection !== "open")) return;
    const words = t("This could not be loaded: {reason}", { reason: [error.message, error.suggestion].filter(Boolean).join(" ") });
    const retry = el("button", { className: "control small", type: "button", on: { click: () => this.reload() } }, t("Try again"));
    this.root.prepend(el("div", { className: "notice part-problem", role: "alert", data: { state: "warning" } }, icon("exclamation-triangle-fill"), el("span", { className: "grow" }, words), retry));
  }
}
