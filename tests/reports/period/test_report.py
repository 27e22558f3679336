"""What a report says of a month, against plain arithmetic over the files that the server gives."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import orjson
import pytest

from config import ReportSettings, Settings
from reports.report import Report, Reporter
from tests.reports.period.conftest import Place
from tests.reports.period.month import DAY_MS, END_MS, GIB, START_MS, ZONE, moment

SCRIPT = Path(__file__).parents[3] / "bench" / "report_check.py"
NOW_MS = END_MS + 8 * 3_600_000
METRICS = ("process_resident_memory_bytes", *(f"gpu_{end}" for end in (
    "utilization_ratio", "memory_used_bytes", "memory_total_bytes", "energy_joules_total", "power_watts",
)))  # fmt: skip


@pytest.fixture(scope="module")
def reporter(october: Place) -> Reporter:
    wanted = ReportSettings(price_per_kwh=0.31, currency="EUR", slow_seconds=0.5)
    return Reporter(Settings(reports=wanted), october.database, october.query, ZONE)


@pytest.fixture(scope="module")
def report(reporter: Reporter) -> Report:
    return reporter.report("month", date(2026, 10, 17), NOW_MS)


def save(folder: Path, place: Place, report: Report) -> None:
    """What the server gives of the report's time, as files."""
    window = report.start_ms, report.until_ms
    (folder / "report.json").write_bytes(orjson.dumps(report.as_dict()))
    for name in ("requests", "incidents", "alerts"):
        (folder / f"{name}.csv").write_bytes(place.file(f"/api/{name}.csv", *window))
    (folder / "series.csv").write_bytes(place.file("/api/export.csv", *window, METRICS))


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, str(SCRIPT), "--files", str(folder)]
    return subprocess.run(call, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize(("kind", "day"), [("month", 17), ("week", 8), ("day", 3), ("day", 25), ("day", 20)])
def test_its_figures_are_those_that_an_independent_script_reckons_from_the_files(
    tmp_path: Path, october: Place, reporter: Reporter, kind: str, day: int
) -> None:
    report = reporter.report(kind, date(2026, 10, day), NOW_MS)  # type: ignore[arg-type]
    save(tmp_path, october, report)
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 20, "so many figures are compared"


def test_the_script_finds_a_figure_that_is_wrong(tmp_path: Path, october: Place, reporter: Reporter) -> None:
    save(tmp_path, october, reporter.report("day", date(2026, 10, 20), NOW_MS))
    told = json.loads((tmp_path / "report.json").read_text())
    told["traffic"]["latency"]["p95"] *= 1 + 1e-6
    told["energy"]["kwh"] += 1e-6
    (tmp_path / "report.json").write_text(json.dumps(told))
    done = check(tmp_path)
    assert done.returncode == 1
    assert "2 figures differ" in done.stdout, done.stdout


def test_it_says_how_much_of_the_time_it_rests_on(reporter: Reporter, report: Report) -> None:
    off = reporter.report("day", date(2026, 10, 3), NOW_MS)
    assert off.covered == pytest.approx(0.5, abs=0.005)
    assert [one.key for one in off.advice].count("not_covered") == 1
    assert report.covered == pytest.approx(1 - (12 + 0.75 + 4.5) / (31 * 24 + 1), abs=0.001)
    assert report.end_ms - report.start_ms == 31 * DAY_MS + 3_600_000


def test_energy_is_counted_over_gaps_and_over_counters_that_begin_anew(report: Report) -> None:
    assert report.energy is not None
    assert report.energy.by == "counter"
    hours = (END_MS - START_MS) / 3_600_000 - 12.75 - 4.5
    assert report.energy.kwh == pytest.approx(0.26 * hours, rel=0.02)
    assert report.energy.cost == pytest.approx(report.energy.kwh * 0.31)


def test_a_disk_without_a_trend_gets_no_date_and_memory_that_grows_does(report: Report) -> None:
    vram, disk = report.forecasts
    assert (vram.what, vram.verdict) == ("vram", "full")
    assert vram.per_day == pytest.approx(0.5 * GIB, rel=0.05)
    assert vram.full_ms == pytest.approx(START_MS + (60 / 0.5) * DAY_MS, abs=6 * DAY_MS)
    assert (disk.what, disk.verdict, disk.full_ms) == ("disk", "no_trend", None)


def test_events_of_the_month_are_told_and_those_before_it_are_not(report: Report) -> None:
    assert report.incidents.count == 3
    assert [note.cause for note in report.incidents.notes] == ["segfault", "power_cut", "oom_kill", "load_failed"]
    assert report.incidents.notes[-1].seconds == 7200, "all of it, though it ends in November"
    assert report.alerts.count == 11, "the first fired two hours before"
    assert {person.name for person in report.alerts.people} == {"li", "+zhang"}
    assert (report.notices.sent, report.notices.failed) == (2, 1)
    (target,) = report.targets
    assert (target.target, target.outages, target.seconds_down) == ("comfyui", 1, 3600)
    assert [(one.pattern, one.lines) for one in report.patterns] == [("Out of memory", 17)]
    assert (report.deeds.remedies_helped, report.deeds.people) == (1, {"model.reload": 1})


def test_counts_are_compared_only_where_the_month_before_is_known(report: Report) -> None:
    assert report.earlier.requests == 2000
    assert report.earlier.covered < 0.001, "but for the first minute of the next"
    assert report.change.requests is None
    assert report.change.p95 is not None


def test_a_period_under_way_goes_to_the_last_five_minutes_and_is_not_over(reporter: Reporter) -> None:
    now_ms = moment("2026-10-20T10:03:20")
    report = reporter.report("day", date(2026, 10, 20), now_ms)
    assert report.until_ms == moment("2026-10-20T10:00")
    assert not report.is_over
    assert len(report.traffic.slots) == 10
    assert report.covered == 1
    with pytest.raises(ValueError, match="begun"):
        reporter.report("day", date(2026, 10, 21), now_ms)
