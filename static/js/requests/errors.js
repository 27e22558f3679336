// Errors grouped by what they have in common, and what the inputs of those that fail have in common.

import { call } from "../api.js";
import { el, find, reconcile, show, text } from "../dom.js";
import { digits, sayFull, sayMoment, sayText } from "../format.js";
import { colon, sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { lookOf, sayOutcome } from "./word.js";

const MOST = 20;
const TRAITS = 8;
/** Fewer failing inputs than this say nothing of what they share. */
const LEAST = 5;

export function startErrors(store, filters) {
  const ask = (path, more = {}) => call(`${path}?${new URLSearchParams({ ...filters.range(store.now()), ...more })}`);

  async function loadGroups() {
    const { groups } = await ask("/api/requests/errors");
    const chosen = filters.get("fingerprint");
    reconcile(find("#error-groups"), groups.slice(0, MOST), {
      key: ({ fingerprint, outcome }) => `${fingerprint} ${outcome}`,
      make: ({ fingerprint }) => el("li", {}, el("button", { type: "button", on: { click: () => filters.set({ fingerprint: filters.get("fingerprint") === fingerprint ? "" : fingerprint }) } },
        el("span", { className: "error-text" }), el("b"), el("span", { className: "mute" }))),
      fill: (item, one) => {
        const [words, count, facts] = item.firstChild.children;
        item.dataset.state = lookOf(one.outcome);
        item.firstChild.setAttribute("aria-pressed", String(chosen === one.fingerprint));
        text(words, sayReason(one.text) || sayOutcome(one.outcome));
        text(count, `${sayText(one.count, "count")}×`);
        text(facts, [sayOutcome(one.outcome), one.count === 1 ? sayMoment(one.last_ms) : t("{first} until {last}", { first: sayMoment(one.first_ms), last: sayMoment(one.last_ms) })].join(" · "));
        facts.title = `${sayFull(one.first_ms)} – ${sayFull(one.last_ms)}`;
      },
    });
    show(find("#errors-none"), groups.length === 0);
    show(find("#errors-all"), Boolean(chosen));
  }

  async function loadTraits() {
    const fingerprint = filters.get("fingerprint");
    const { failing, good, traits } = await ask("/api/requests/common", fingerprint ? { fingerprint } : {});
    const shown = traits.slice(0, TRAITS);
    show(find("#part-common"), failing > 0);
    text(find("#common-sum"), failing < LEAST ? t("Fewer than {count} failing inputs: too few to compare.", { count: LEAST }) : !good ? t("{failing} failing inputs, and none that went well to compare with.", { failing }) : t("{failing} failing inputs against {good} that went well.", { failing, good }));
    show(find("#common-none"), failing >= LEAST && good > 0 && shown.length === 0);
    reconcile(find("#traits"), shown, { key: ({ name, value }) => `${name} ${value}`, make: makeTrait, fill: fillTrait });
  }

  const groups = new Part(find("#part-errors"), store, loadGroups, 15_000);
  const traits = new Part(find("#part-common"), store, loadTraits, 30_000);
  find("#errors-all").addEventListener("click", () => filters.set({ fingerprint: "" }));
  return { open: () => { groups.open(); traits.open(); }, reload: () => { groups.reload(); traits.reload(); } };
}

function makeTrait() {
  const bar = (name) => el("div", { className: `against ${name}` }, el("i"), el("span"));
  return el("li", { className: "trait" }, el("p", { className: "row-of" }, el("b"), el("span", { className: "chip" })), bar("failing"), bar("good"));
}

function fillTrait(item, { name, value, failing_share: failing, good_share: good, lift, significant }) {
  const [head, ...bars] = item.children;
  item.dataset.state = significant ? "warning" : "";
  text(head.firstChild, `${t(name)}${colon}${typeof value === "string" ? t(value) : value}`);
  const much = !Number.isFinite(lift) || lift === null ? t("only in failing ones") : t("{lift} times as often", { lift: digits(lift) });
  text(head.lastChild, significant ? much : t("{lift}: may be chance", { lift: much }));
  for (const [bar, share, words] of [[bars[0], failing, t("of failing")], [bars[1], good, t("of good")]]) {
    bar.firstChild.style.width = `${Math.max(0.5, share * 100).toFixed(1)}%`;
    text(bar.lastChild, `${sayText(share, "ratio")} ${words}`);
  }
}
