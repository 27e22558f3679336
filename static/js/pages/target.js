// One target: is it well, what was found, how it was, what was done, and what one can do.

import { call } from "../api.js";
import { copyText } from "../clipboard.js";
import { toast } from "../dialog.js";
import { all, el, field, find, icon, show, text } from "../dom.js";
import { sayRatio, startDays } from "../days.js";
import { duration } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { busy, checkNow, copyLine, paintOutcomes, pause, remove, switchStandby, tryAgain } from "../targets/act.js";
import { openTarget } from "../targets/form.js";
import { Latency } from "../targets/latency.js";
import { paintLogs, paintProbes, paintScrapes } from "../targets/looks.js";
import { measured } from "../targets/measured.js";
import { paintOutages, paintRemedies } from "../targets/past.js";
import { TIMED, daysOf, downSeconds, lookOf, pathOf, sayState, settled, standing, uptimeOf } from "../targets/word.js";

export function start(store) {
  const root = find("#part-target");
  const { target: name, may } = store.first;
  const bars = startDays(find("#bars"), find("#day-said"), find("#bars-from"));
  const latency = new Latency(store, name);
  let target = null;

  async function load() {
    const query = new URLSearchParams({ tz: Intl.DateTimeFormat().resolvedOptions().timeZone });
    const [answer, known] = await Promise.all([call(`/api/targets/${encodeURIComponent(name)}?${query}`), measured(name)]);
    target = settled(answer);
    const now = store.now();
    paintHead(target, now);
    paintUptime(target, now);
    bars.paint(daysOf(target));
    paintProbes(target.probes ?? [], known, now);
    paintScrapes(target.scrapes ?? [], name, now);
    paintLogs(target.logs ?? [], name, now);
    paintOutages(target.outages ?? [], now);
    paintRemedies(target);
    paintPush(target);
    paintStandby(target);
    latency.shade(target.outages ?? []);
    show(find("#part-latency"), (target.probes ?? []).some(({ probe }) => TIMED.includes(probe)));
  }

  function paintHead({ state, note, disabled, origin }, now) {
    const pill = field(root, "state");
    pill.dataset.state = lookOf(state);
    text(pill, sayState(state));
    text(field(root, "standing"), standing(target, now));
    text(field(root, "note"), note ?? "");
    show(field(root, "note"), Boolean(note));
    const button = find("[data-do=pause]");
    if (button) button.replaceChildren(icon(disabled ? "play-fill" : "pause-fill"), disabled ? t("Resume") : t("Pause"));
    for (const one of all("[data-do=edit], [data-do=delete]")) show(one, origin === "page");
    show(find("#from-settings"), origin !== "page");
  }

  function paintPush({ push_url: url }) {
    const section = find("#push");
    show(section, Boolean(url));
    if (!url || section.dataset.url === url) return;
    section.dataset.url = url;
    const whole = new URL(url, location.origin).href;
    const line = (content) => copyLine(content, async () => { if (await copyText(content)) toast(t("Copied.")); });
    find(".push-box", section).replaceChildren(
      el("p", { className: "mute" }, t("The job calls this address when it has done its work:")), line(whole),
      el("p", { className: "mute" }, t("As a line for cron, which also tells of a failure:")),
      line(`0 3 * * * if /path/to/job; then curl -fsS -m 10 --retry 3 '${whole}' >/dev/null; else curl -fsS -m 10 --retry 3 '${whole}/fail' >/dev/null; fi`));
  }

  function paintStandby({ standby }) {
    const section = find("#standby");
    show(section, Boolean(standby));
    if (!standby) return;
    text(field(section, "standby"), standby.active ? t("Callers of /go/{name}/ are sent to the standby: {url}", { name, url: standby.url }) : t("Callers of /go/{name}/ are sent to the target itself. The standby is {url}", { name, url: standby.url }));
    const button = find("[data-do=standby]", section);
    if (button) text(button, standby.active ? t("Switch back") : t("Switch to the standby"));
  }

  const acts = {
    check: (button) => busy(button, async () => {
      const { results } = await checkNow(name);
      paintOutcomes(find("#outcomes"), results ?? []);
      show(find("#outcomes").parentElement, true);
      await part.reload();
    }),
    pause: (button) => busy(button, async () => { await pause(name, !target.disabled); await part.reload(); }),
    standby: (button) => busy(button, async () => { await switchStandby(name, !target.standby.active, target.standby.url); await part.reload(); }),
    "try-again": (button) => busy(button, async () => { await tryAgain(name); toast(t("The remedies begin again, from the first on.")); await part.reload(); }),
    edit: async () => { if (await openTarget({ definition: target.definition, version: target.version, name })) part.reload(); },
    delete: async () => { if (await remove(name)) location.href = "/targets"; },
  };
  document.addEventListener("click", ({ target: clicked }) => {
    const button = clicked.closest("[data-do]");
    if (target && button && acts[button.dataset.do]) acts[button.dataset.do](button);
  });
  const part = new Part(root, store, load, 5000);
  find("#checkup").href = `/checkup?${new URLSearchParams({ target: name })}`;
  find("#latency-explore").href = `/explore?${new URLSearchParams({ q: latency.query() })}`;
  history.replaceState(null, "", pathOf(name));
  part.open();
  latency.part.open();
}

function paintUptime(target, now) {
  const uptime = uptimeOf(target);
  show(find("#part-uptime"), (target.probes ?? []).length > 0);
  for (const box of all("#figures [data-window]")) {
    const ratio = uptime[box.dataset.window];
    text(box.children[1], sayRatio(ratio));
    const count = box.dataset.window === "24h" ? 1 : Number.parseInt(box.dataset.window, 10);
    const down = downSeconds(target.outages ?? [], count, now);
    text(box.children[2], ratio === null ? t("not known yet") : down < 1 ? t("no downtime") : t("down for {duration}", { duration: duration(down) }));
  }
}
