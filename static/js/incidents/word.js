// Words for incidents that the list and the page of one have in common. No DOM.

import { language, sayReason, t } from "../i18n.js";

/** In the reader's language, where the alert that explains it has said it in several. */
export const titleOf = (one) => one.detail?.annotations?.[`summary_${language}`] || sayReason(one.summary) || sayReason(one.cause);
export const causeOf = (one) => sayReason(one.cause);

/** When it was over with all that belongs to it: stretches, alerts. Null while it lasts. */
export const endOf = (one) => (one.outage === null || one.outage === undefined || one.outage !== one.id ? one.ended_ms : one.over_ms);

/** [look, word]. */
export function stateOf(one) {
  if (one.kind === "planned") return ["", t("PLANNED")];
  if (endOf(one) !== null) return ["ok", t("OVER")];
  return one.acknowledged_ms ? ["warning", t("TAKEN ON")] : ["critical", t("OPEN")];
}
