"""Uptime since the first start at most, in the days of people."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from alerts.outage.uptime import DAY_MS, uptime
from tests.alerts.outage.scene import MINUTE, T0, Scene

HOUR = 60 * MINUTE


def test_a_fresh_install_has_no_ninety_days(scene: Scene) -> None:
    assert uptime(scene.incidents, T0).since_ms is None
    assert uptime(scene.incidents, T0).windows["90d"].ratio is None
    scene.incidents.note_first_start(T0)
    scene.incidents.note_first_start(T0 + HOUR)  # the next process's word changes nothing
    scene.stretch("process", "killed", HOUR, 2 * HOUR)
    found = uptime(scene.incidents, T0 + 10 * HOUR, UTC)
    assert (found.since_ms, found.windows["90d"].since_ms) == (T0, T0)
    assert {share.ratio for share in found.windows.values()} == {0.9}
    assert found.days[0].ratio is None
    assert len(found.days) == 90


def test_a_restart_that_was_asked_for_is_told_apart(scene: Scene) -> None:
    scene.incidents.note_first_start(T0)
    scene.stretch("planned", "stop", 0, 5 * HOUR)
    scene.stretch("model", "load_failed", 4 * HOUR, 6 * HOUR)  # and what fails meanwhile counts as failed
    share = uptime(scene.incidents, T0 + 10 * HOUR).windows["24h"]
    assert (share.seconds_planned, share.seconds_down) == (4 * 3600, 2 * 3600)
    assert share.ratio == 1 - 2 / 6


def test_what_was_open_when_the_process_died_and_the_hole_after_it_are_one(scene: Scene) -> None:
    """The chronicle ends the first where the second begins; an outage that lasts counts up to now."""
    scene.incidents.note_first_start(T0)
    scene.stretch("model", "breaker_open", HOUR, 2 * HOUR)
    scene.stretch("power", "power", 2 * HOUR, None)
    assert uptime(scene.incidents, T0 + 4 * HOUR).windows["24h"].seconds_down == 3 * 3600


def test_a_day_counts_outages_that_began_with_an_alert_once(scene: Scene) -> None:
    scene.incidents.note_first_start(T0)
    scene.fire("HighLatencyP95", MINUTE)
    scene.stretch("process", "oom_kill", 2 * MINUTE, 3 * MINUTE)
    scene.stretch("model", "load_failed", 3 * MINUTE, 4 * MINUTE)
    scene.follow(5 * MINUTE)
    scene.fire("GPUTemperatureHigh", 6 * MINUTE)
    scene.follow(6 * MINUTE)
    assert sum(day.incidents for day in uptime(scene.incidents, T0 + HOUR, UTC).days) == 1


def test_days_are_those_of_the_zone_also_when_the_clocks_change(scene: Scene) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = int(datetime(2026, 10, 24, tzinfo=berlin).timestamp() * 1000)
    scene.incidents.note_first_start(start)
    offset = start - T0
    # On 25 October a day of 25 hours begins: down from its start for 25 of 50 half hours.
    scene.stretch("process", "killed", offset + DAY_MS, offset + DAY_MS + 12 * HOUR + HOUR // 2)
    found = uptime(scene.incidents, start + 3 * DAY_MS, berlin)
    days = {day.day: day for day in found.days}
    assert days["2026-10-24"].ratio == 1.0
    assert (days["2026-10-25"].ratio, days["2026-10-25"].incidents) == (0.5, 1)
    assert days["2026-10-26"].ratio == 1.0
    assert days["2026-10-23"].ratio is None
