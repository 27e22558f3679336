// The alerts page: six tabs, each of which loads what it shows when it is opened.

import { handleActions } from "../alerts.js";
import { startActive } from "../alerts/active.js";
import { startChannels } from "../alerts/channels.js";
import { startHistory } from "../alerts/history.js";
import { startNotices } from "../alerts/notices.js";
import { startRules } from "../alerts/rules.js";
import { startSilences } from "../alerts/silences.js";
import { find, text } from "../dom.js";
import { startTabs } from "../tabs.js";

const PARTS = { active: startActive, history: startHistory, silences: startSilences, rules: startRules, notices: startNotices, channels: startChannels };

export function start(store) {
  const parts = Object.fromEntries(Object.entries(PARTS).map(([name, begin]) => [name, begin(store, (count) => text(find(`[data-count="${name}"]`), count || ""))]));
  handleActions(find("main"), store);
  startTabs(find("#tabs"), (name, before) => {
    if (before) parts[before].close();
    parts[name].open();
  });
}
