// The incidents page: how much of the time it was up, what happened, what fails most.

import { startList } from "../incidents/list.js";
import { startUptime } from "../incidents/uptime.js";

export function start(store) {
  startUptime(store).open();
  startList(store).open();
}
