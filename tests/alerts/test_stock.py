"""The stock rules: valid, documented, quiet when all is well or nothing is known, and each fires for what it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine as Database

from alerts.engine import AlertEngine
from alerts.rule import STOCK_FILE, Rule, load_rules, load_stock
from alerts.template import Context
from collectors.sample import METRIC_NAME, Hints, Labels, Matcher, Sample, Series, Tick, Times
from promql import Engine
from storage.series import SeriesStore
from tests.alerts.promtool import needs_promtool
from tests.alerts.world import START_MS

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
RUNBOOK = PAGE.with_name("runbook.md")
STOCK = [rule for group in load_stock() for rule in group.rules if isinstance(rule, Rule)]
STEP_MS = 5_000
MINUTE = 60
GPU = {"gpu": "0", "uuid": "GPU-1", "name": "NVIDIA H100"}
MODEL = {"model": "card", "version": "1"}
OUTCOMES = (
    *("ok", "bad_input", "rejected", "timeout", "canceled", "oom", "error", "cached"),
    *("fallback", "stale", "default"),
)

#: Seconds since the start → the value, or None where there is no sample.
Curve = Callable[[float], float | None]


def key(metric: str, /, **labels: str) -> Labels:
    return tuple(sorted({METRIC_NAME: metric, **labels}.items()))


def flat(value: float) -> Curve:
    return lambda seconds: value


def slope(per_second: float, begin: float = 0.0, offset: float = 0.0) -> Curve:
    """A line that begins to rise at ``begin``."""
    return lambda seconds: offset + per_second * max(0.0, seconds - begin)


def step(at: float, value: float, before: float | None = 0.0) -> Curve:
    return lambda seconds: value if seconds >= at else before


class Curves:
    """A source of series given as curves over time, sampled every 5 s until ``seconds``. Knows all matchers."""

    def __init__(self, curves: dict[Labels, Curve], seconds: float) -> None:
        self.now_ms = START_MS
        grid = np.arange(0, round(seconds * 1000) + 1, STEP_MS, dtype=np.int64)
        self._series = {labels: _sampled(labels, curve, grid) for labels, curve in curves.items()}

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        window = hints.start_ms - hints.range_ms + 1, min(hints.end_ms, self.now_ms) + 1
        for labels, series in self._series.items():
            if all(_matches(matcher, dict(labels).get(matcher.name, "")) for matcher in matchers):
                first, last = np.searchsorted(series.times, window)
                yield Series(labels, series.times[first:last], series.values[first:last])


def _sampled(labels: Labels, curve: Curve, grid: Times) -> Series:
    pairs = [(START_MS + moment, value) for moment in grid.tolist() if (value := curve(moment / 1000)) is not None]
    times = np.array([time for time, _ in pairs], dtype=np.int64)
    return Series(labels, times, np.array([value for _, value in pairs], dtype=np.float64))


def _matches(matcher: Matcher, value: str) -> bool:
    if matcher.op in ("=", "!="):
        return (value == matcher.value) == (matcher.op == "=")
    return bool(re.fullmatch(matcher.value, value)) == (matcher.op == "=~")


def requests(**per_second: Curve) -> dict[Labels, Curve]:
    """The request counters: outcomes that are not named stay at 0."""
    return {
        key("inference_requests_total", outcome=name, **MODEL): per_second.get(name, flat(0.0)) for name in OUTCOMES
    }


def durations(per_second: float, seconds: float, begin: float = 0.0) -> dict[Labels, Curve]:
    """The latency histogram of so many requests a second, each of which takes so long."""
    name, buckets = "inference_request_duration_seconds", ("0.1", "1.0", "2.5", "10.0", "30.0", "60.0", "120.0", "+Inf")
    curves = {
        key(f"{name}_bucket", le=bound, **MODEL): slope(per_second if seconds <= float(bound) else 0.0, begin)
        for bound in buckets
    }
    return {**curves, key(f"{name}_count", **MODEL): slope(per_second, begin)}


def healthy() -> dict[Labels, Curve]:
    """A first start on a machine with one GPU: 50 s to load the model, then a request every half second."""
    loaded = 50.0
    return {
        key("up", job="wakeless"): step(loaded, 1.0),
        key("health_ready"): step(loaded, 1.0),
        key("process_start_time_seconds"): flat(START_MS / 1000 - 1),
        key("crash_loop_tripped"): flat(0.0),
        key("collector_up", collector="nvml"): step(5, 1.0, None),
        key("wakeless_ticks_dropped_total"): step(200, 8.0),  # the clock was set back by a second
        key("wakeless_storage_problem", kind="disk_full"): flat(0.0),
        key("wakeless_notices", state="failed"): flat(4.0),
        key("wakeless_notice_wait_seconds"): lambda seconds: seconds % 300,
        key("inference_queue_depth"): flat(1.0),
        key("inference_progress_age_seconds"): flat(0.0),
        # a breaker that mended itself within half a minute
        key("circuit_breaker_state", **MODEL): lambda seconds: 2.0 if 400 <= seconds < 430 else 0.0,
        key("inference_brownout_level"): lambda seconds: 0.25 if 200 <= seconds < 300 else 0.0,
        key("inference_latency_drift_ratio"): lambda seconds: 3.0 if 300 <= seconds < 400 else 1.1,
        key("model_reloads_total", reason="manual", result="ok"): step(300, 1.0),
        **requests(ok=slope(2.0, loaded), bad_input=slope(0.1, loaded)),
        **durations(2.0, 0.08, loaded),
        key("torch_cuda_ooms_total", gpu="0"): flat(0.0),
        key("gpu_memory_used_bytes", **GPU): step(loaded, 60e9, 1e9),
        key("gpu_memory_total_bytes", **GPU): flat(80e9),
        key("gpu_temperature_celsius", **GPU): lambda seconds: min(70.0, 35.0 + seconds / 10),
        key("gpu_throttle_active", reason="sw_power_cap", **GPU): lambda seconds: float(seconds % 60 < 20),
        key("gpu_throttle_active", reason="hw_thermal_slowdown", **GPU): flat(0.0),
        key("gpu_ecc_errors_total", kind="uncorrected", **GPU): flat(3.0),
        key("gpu_remapped_rows", kind="failed", **GPU): flat(0.0),
        key("memory_available_bytes"): flat(80e9),
        key("memory_total_bytes"): flat(128e9),
        key("filesystem_used_ratio", mountpoint="/"): flat(0.6),
        key("filesystem_size_bytes", mountpoint="/"): flat(500e9),
        # an installation has just written 20 GB in a minute
        key("filesystem_used_bytes", mountpoint="/"): lambda seconds: 280e9 + 20e9 * min(seconds / 60, 1.0),
    }


def play(
    database: Database, curves: dict[Labels, Curve], seconds: float, *names: str, stride: int = 1
) -> dict[str, tuple[float, float | None]]:
    """Run the stock rules (or only those named) over time; returns when each fired and resolved, in seconds."""
    source = Curves(curves, seconds)
    groups = [
        replace(group, rules=tuple(rule for rule in group.rules if not names or rule.name in names))
        for group in load_stock()
    ]
    engine = AlertEngine(database, Engine(source), groups)
    told: dict[str, tuple[float, float | None]] = {}
    for moment in range(0, round(seconds * 1000) + 1, STEP_MS * stride):
        source.now_ms = START_MS + moment
        for event in engine.evaluate(source.now_ms):
            name, now = event.alert.rule, moment / 1000
            told[name] = (now, None) if event.kind == "fired" else (told[name][0], now)
    failing = [rule for group in engine.rules() for rule in group.rules if rule.health != "ok"]
    assert not failing, failing
    return told


def test_the_first_ten_minutes_of_a_healthy_server_are_calm(database: Database) -> None:
    assert play(database, healthy(), 10 * MINUTE) == {}


def test_a_server_without_model_gpu_or_traffic_is_quiet(database: Database) -> None:
    assert play(database, {}, MINUTE) == {}
    bare = {key("memory_total_bytes"): flat(1e9), key("memory_available_bytes"): flat(5e8)}
    assert play(database, bare, 10 * MINUTE) == {}


def test_one_failed_request_wakes_nobody(database: Database) -> None:
    curves = {**healthy(), **requests(error=step(100, 1.0)), **durations(0.0, 1.0)}
    assert play(database, curves, 10 * MINUTE) == {}


def restarted(reason_before: float | None) -> dict[Labels, Curve]:
    """The process dies after 20 minutes and is back 10 s later."""
    died, back = 1200.0, 1210.0

    def starts(seconds: float) -> float | None:
        return None if died <= seconds < back else START_MS / 1000 + (back if seconds >= back else 0.0)

    def count(seconds: float) -> float | None:
        return reason_before if seconds < died else None if seconds < back else (reason_before or 0.0) + 1.0

    return {
        key("process_start_time_seconds"): starts,
        key("process_restarts_total", reason="oom_kill"): count,
        key("process_restarts_total", reason="stop"): slope(1 / 60),
    }


def throttled(reason: str) -> dict[Labels, Curve]:
    """The clocks are held down from the end of the first minute on."""
    return {key("gpu_throttle_active", reason=reason, **GPU): step(60, 1.0)}


def xid(seconds: float) -> float | None:
    """The first error of its kind after 5 minutes; its series begins at 0, as the collector sees to."""
    return float(seconds >= 300) if seconds >= 295 else None


#: For each rule: curves laid over the healthy ones, and between which seconds it must fire.
TROUBLES: dict[str, tuple[dict[Labels, Curve], float, float]] = {
    "ServerDown": ({key("up", job="wakeless"): lambda s: float(50 <= s < 300)}, 360, 365),
    "TargetDown": ({key("probe_up", target="comfy", probe="http"): lambda s: float(s < 300)}, 300, 305),
    "TargetCertificate": (
        {
            key("probe_ssl_earliest_cert_expiry", target="comfy", probe="http"): flat(START_MS / 1000 + 86_700),
            key("probe_ssl_warn_seconds", target="comfy", probe="http"): flat(86_400.0),
        },
        360,
        370,
    ),
    "RemedyExhausted": ({key("remedy_exhausted", target="comfy"): step(300, 1.0)}, 300, 305),
    "TargetUnknown": (
        {key("probe_unknown_info", target="comfy", probe="docker", reason="no socket"): step(60, 1.0, None)},
        660,
        665,
    ),
    "ScrapeDown": ({key("up", job="app", instance="h:1"): lambda s: float(s < 300)}, 360, 365),
    "LogPatternUrgent": (
        {key("log_pattern_active", target="comfy", pattern="Out of memory", level="3"): step(300, 1.0)},
        300,
        305,
    ),
    "LogPattern": (
        {key("log_pattern_active", target="comfy", pattern="Out of memory", level="2"): step(300, 1.0)},
        300,
        305,
    ),
    "LogPatternNoted": (
        {key("log_pattern_active", target="comfy", pattern="Out of memory", level="1"): step(300, 1.0)},
        300,
        305,
    ),
    "LogUnreadable": ({key("log_up", target="comfy", source="x.log"): lambda s: float(s < 300)}, 600, 605),
    "LogBehind": ({key("log_behind_bytes", target="comfy", source="x.log"): step(300, 2e8)}, 900, 905),
    "ScrapeLimit": (
        {
            key("scrape_samples_post_metric_relabeling", job="app", instance="h:1"): step(300, 4600.0, 100.0),
            key("scrape_sample_limit", job="app", instance="h:1"): flat(5000.0),
        },
        600,
        605,
    ),
    "NotReady": ({key("health_ready"): lambda s: float(50 <= s < 300)}, 330, 335),
    "ProcessRestarted": (restarted(None), 1210, 1220),
    "CrashLoop": ({key("crash_loop_tripped"): step(300, 1.0)}, 300, 305),
    "CollectorDown": ({key("collector_up", collector="nvml"): lambda s: float(s < 300)}, 360, 365),
    "TicksDropped": ({key("wakeless_ticks_dropped_total"): slope(8.0, 300)}, 420, 430),
    "NoticesFailing": ({key("wakeless_notice_wait_seconds"): slope(1.0, 300)}, 901, 910),
    "RulesRefused": ({key("wakeless_rule_file_refused", file="own.yml"): step(300, 1.0)}, 330, 335),
    "HistoryNotWritten": ({key("wakeless_storage_problem", kind="disk_full"): step(300, 1.0)}, 305, 310),
    "DatabaseLocked": ({key("wakeless_storage_problem", kind="locked"): step(300, 1.0)}, 315, 320),
    "DataFolderTouched": ({key("wakeless_storage_problem", kind="database_missing"): step(300, 1.0)}, 300, 305),
    "DatabaseDamaged": ({key("wakeless_storage_problem", kind="chunks_unreadable"): step(300, 1.0)}, 300, 305),
    "TooManySeries": (
        {key("wakeless_samples_refused_total", metric="http", label="user"): step(300, 7.0, None)},
        300,
        305,
    ),
    "HighFailureRate": (requests(ok=slope(2.0), timeout=slope(0.04, 600)), 1040, 1080),
    "VeryHighFailureRate": (requests(ok=slope(2.0), error=slope(0.4, 600)), 900, 1100),
    "ConsecutiveFailures": (requests(ok=lambda s: min(s, 300.0), error=slope(1 / 15, 300)), 345, 375),
    "ManyErrors": (requests(ok=slope(2.0), error=slope(0.1, 300)), 390, 430),
    "ManySlowRequests": (durations(0.2, 12.0), 90, 130),
    "InferenceOver30s": (durations(0.01, 45.0), 10, 120),
    "InferenceStalled": ({key("inference_progress_age_seconds"): slope(1.0, 300)}, 331, 340),
    "HighLatencyP95": (durations(1.0, 90.0), 300, 330),
    "HighLatencyP99": (durations(1.0, 9.0), 350, 430),
    "QueueBacklog": ({key("inference_queue_depth"): step(300, 60.0)}, 440, 480),
    "OutOfMemory": ({key("torch_cuda_ooms_total", gpu="0"): step(300, 1.0)}, 300, 305),
    "BreakerOpen": (
        {key("circuit_breaker_state", **MODEL): lambda s: float(2 - s // 10 % 2) if s > 300 else 0.0},
        360,
        370,
    ),
    "DegradedReplies": (requests(ok=slope(2.0), stale=slope(0.1, 300)), 390, 430),
    "BrownOut": ({key("inference_brownout_level"): step(60, 0.5)}, 360, 365),
    "LatencyDrift": ({key("inference_latency_drift_ratio"): slope(0.01, 60, 1.0)}, 760, 770),
    "ReplicaDown": ({key("model_replica_up", device="cuda:1"): step(60, 0.0, 1.0)}, 660, 670),
    "ModelReloadedByItself": (
        {key("model_reloads_total", reason="leak", result="ok"): step(300, 1.0)},
        300,
        310,
    ),
    "ModelRolledBack": (
        {key("model_reloads_total", reason="probation", result="ok"): step(300, 1.0)},
        300,
        310,
    ),
    "GPUMemoryHigh": ({key("gpu_memory_used_bytes", **GPU): step(60, 76e9, 1e9)}, 360, 365),
    "GPUTemperatureHigh": ({key("gpu_temperature_celsius", **GPU): step(60, 90.0)}, 120, 125),
    "GPUThermalThrottling": (
        {key("gpu_throttle_active", reason="hw_thermal_slowdown", **GPU): step(60, 1.0)},
        360,
        365,
    ),
    "GPUPowerThrottling": ({key("gpu_throttle_active", reason="sw_power_cap", **GPU): step(60, 1.0)}, 360, 365),
    "GPUXidError": (
        {key("gpu_xid_errors_total", xid="79", **GPU): lambda s: None if s < 295 else float(s >= 300)},
        300,
        305,
    ),
    "GPUUncorrectedECC": ({key("gpu_ecc_errors_total", kind="uncorrected", **GPU): step(300, 4.0, 3.0)}, 300, 305),
    "GPURowRemap": ({key("gpu_remapped_rows", kind="failed", **GPU): step(300, 1.0)}, 300, 305),
    "MemoryHigh": ({key("memory_available_bytes"): step(60, 8e9, 80e9)}, 360, 365),
    "DiskAlmostFull": ({key("filesystem_used_ratio", mountpoint="/"): step(60, 0.9, 0.8)}, 360, 365),
    "DiskFullSoon": ({key("filesystem_used_bytes", mountpoint="/"): slope(4e6, 0, 280e9)}, 5000, 5300),
}


#: What compares with weeks of history is put to the test in test_baseline.py.
BASELINE = {"LatencyUnusual", "GPUMemoryUnusual", "TrafficUnusuallyLow"}


def test_every_stock_rule_is_put_to_the_test() -> None:
    assert {rule.name for rule in STOCK} == set(TROUBLES) | BASELINE


@pytest.mark.parametrize("rule", STOCK, ids=lambda rule: rule.name)
def test_each_rule_has_a_section_in_the_runbook_and_a_link_to_it(rule: Rule) -> None:
    sections = re.split(r"^## ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    (section,) = [text for text in sections if text.split("\n")[0] == rule.name]
    assert all(part in section for part in ("**Means.**", "**Look.**", "**Do.**"))
    link = rule.annotations["runbook_url"].expand(Context({}, 0.0, {}, "https://wakeless.example"))
    assert link == f"https://wakeless.example/runbook#{rule.name}"


def test_an_action_is_asked_for_only_where_it_is_safe() -> None:
    asked = {rule.name: rule.labels["wakeless_action"].text for rule in STOCK if "wakeless_action" in rule.labels}
    assert set(asked.values()) == {"reload_model"}
    assert all(rule.labels["level"].text == "3" for rule in STOCK if rule.name in asked)


@pytest.mark.parametrize("name", TROUBLES)
def test_each_rule_fires_for_what_it_is_for(database: Database, name: str) -> None:
    curves, earliest, latest = TROUBLES[name]
    told = play(database, {**healthy(), **curves}, latest, name, stride=12 if latest > 2000 else 1)
    assert name in told, "it never fired"
    fired_at, _ = told[name]
    assert earliest <= fired_at <= latest


@pytest.mark.parametrize("since_hours", [1, 3])  # whether the hour that comes twice is empty, or was recorded in full
def test_a_clock_that_was_an_hour_ahead_and_is_set_right_is_told_until_records_go_on(
    database: Database, since_hours: int
) -> None:
    hour = 3_600_000
    store = SeriesStore(database, head_minutes=300)
    store.load()
    engine = AlertEngine(database, Engine(store), [group for group in load_stock() if group.name == "wakeless-service"])
    told: list[tuple[str, str, int]] = []

    def run(from_ms: int, minutes: int) -> None:
        for now_ms in range(from_ms, from_ms + minutes * 60_000, STEP_MS):
            dropped = Sample("wakeless_ticks_dropped_total", (), float(store.dropped))
            store.append([Tick("process", now_ms, (dropped,)), Tick("nvml", now_ms, (Sample("up", (), 1.0),))])
            told.extend((event.kind, event.alert.rule, now_ms) for event in engine.evaluate(now_ms))

    run(START_MS - since_hours * hour, since_hours * 60)
    run(START_MS - hour + 1234, 70)
    (_, _, fired_ms), (_, _, resolved_ms) = told
    assert [(kind, rule) for kind, rule, _ in told] == [("fired", "TicksDropped"), ("resolved", "TicksDropped")]
    assert fired_ms == pytest.approx(START_MS - hour + 2 * 60_000, abs=10_000)
    assert resolved_ms == pytest.approx(START_MS + 60_000, abs=20_000)


def test_a_notice_that_was_given_up_is_told_for_an_hour_and_then_no_more(database: Database) -> None:
    curves = {**healthy(), key("wakeless_notices", state="failed"): step(300, 5.0, 4.0)}
    fired, resolved = play(database, curves, 300 + 62 * MINUTE, "NoticesFailing", stride=12)["NoticesFailing"]
    assert fired == 300
    assert resolved == pytest.approx(300 + 60 * MINUTE, abs=90)


def test_a_label_gone_wild_is_told_until_it_is_tame(database: Database) -> None:
    curves = {
        key("wakeless_samples_refused_total", metric="http", label="user"): lambda s: min(s, 600) if s > 60 else None
    }
    fired, resolved = play(database, {**healthy(), **curves}, 1200, "TooManySeries", stride=4)["TooManySeries"]
    assert fired == pytest.approx(60, abs=20)
    assert resolved == pytest.approx(600 + 300 + 60, abs=40)


@pytest.mark.parametrize("before", [None, 0.0, 4.0])
def test_a_restart_is_told_once_and_over_after_a_while(database: Database, before: float | None) -> None:
    told = play(database, {**healthy(), **restarted(before)}, 2600, "ProcessRestarted")
    fired, resolved = told["ProcessRestarted"]
    assert fired == pytest.approx(1210, abs=10)
    assert resolved is not None
    assert resolved - fired >= 600


def test_restarts_of_yesterday_are_no_news_today(database: Database) -> None:
    curves = {**healthy(), key("process_restarts_total", reason="segfault"): flat(7.0)}
    assert play(database, curves, 10 * MINUTE, "ProcessRestarted") == {}


def test_a_restart_that_a_person_asked_for_is_no_alert(database: Database) -> None:
    curves = {labels: curve for labels, curve in restarted(None).items() if dict(labels).get("reason") != "oom_kill"}
    curves[key("process_restarts_total", reason="restart")] = step(1210, 1.0, None)
    assert play(database, {**healthy(), **curves}, 1500, "ProcessRestarted") == {}


@pytest.mark.parametrize("rule", STOCK, ids=lambda rule: rule.name)
def test_each_rule_says_what_it_means_and_what_to_do_in_both_languages(rule: Rule) -> None:
    for name in ("summary", "description", "action"):
        assert rule.annotations[name].text.strip()
        assert re.search(r"[\u4e00-\u9fff]", rule.annotations[f"{name}_zh"].text)
    assert rule.labels["severity"].text in ("critical", "warning", "info")
    assert rule.labels["level"].text in ("1", "2", "3")


@pytest.mark.parametrize("rule", STOCK, ids=lambda rule: rule.name)
def test_each_rule_is_on_the_page_with_its_expression_and_level(rule: Rule) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{rule.name}` |")]
    assert len(rows) == 1, f"docs/alerts.md lacks {rule.name}"
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", rows[0])[1:-1]]
    assert " ".join(rule.expr.split()) == cells[1].strip("`").replace("\\|", "|")
    assert cells[3] == f"{rule.labels['level'].text} {rule.labels['severity'].text}"
    assert cells[4] == rule.annotations["action"].text


@needs_promtool
@pytest.mark.parametrize("file", [STOCK_FILE, Path(__file__).parents[2] / "examples" / "s1" / "alert_rules.yml"])
def test_promtool_finds_nothing_wrong(file: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool
    verdict = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stderr
    assert f"{sum(len(group.rules) for group in load_rules(file))} rules found" in verdict.stdout
