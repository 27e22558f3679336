"""Alerts and stretches without an answer become incidents: one outage, one entry."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event

from alerts.outage.failure import recovered
from alerts.outage.joining import QUIET_MS, REOPEN_MS
from tests.alerts.outage.scene import HOUR, MINUTE, SECOND, T0, Scene


def test_alerts_that_fire_while_one_lasts_are_the_same_incident(scene: Scene) -> None:
    first = scene.fire("NotReady", 30 * SECOND, after=30 * SECOND)
    scene.follow(30 * SECOND)
    second = scene.fire("ServerDown", MINUTE, after=MINUTE, level=3)
    scene.follow(MINUTE)
    (incident,) = scene.heads()
    assert scene.members() == {first: incident.id, second: incident.id}
    assert (incident.kind, incident.started_ms, incident.ended_ms, incident.over_ms) == ("alert", T0, None, None)
    assert incident.detected_ms == T0 + 30 * SECOND
    assert (incident.cause, incident.level, incident.summary) == ("ServerDown", 3, "ServerDown fires")
    scene.resolve(first, 2 * MINUTE)
    scene.follow(2 * MINUTE)
    assert scene.heads()[0].over_ms is None
    scene.resolve(second, 3 * MINUTE)
    scene.follow(3 * MINUTE)
    (incident,) = scene.heads()
    assert (incident.ended_ms, incident.over_ms) == (T0 + 3 * MINUTE, T0 + 3 * MINUTE)


def test_it_is_never_detected_before_it_began_whatever_another_server_says_of_its_alert(scene: Scene) -> None:
    scene.fire("ServerDown", 0, level=3)
    scene.follow(0)
    scene.fire("Foreign", -900 * HOUR, level=3)
    scene.follow(SECOND)
    (incident,) = scene.heads()
    assert incident.detected_ms == incident.started_ms == T0


def test_what_is_only_worth_knowing_makes_no_incident(scene: Scene) -> None:
    scene.fire("BrownOut", 0, level=1)
    scene.follow(0)
    assert scene.heads() == []


@pytest.mark.parametrize(("later", "count"), [(REOPEN_MS, 1), (REOPEN_MS + 1, 2)])
def test_one_that_fires_soon_after_reopens_it(scene: Scene, later: int, count: int) -> None:
    first = scene.fire("NotReady", 0)
    scene.follow(0)
    scene.resolve(first, SECOND)
    scene.follow(SECOND)
    scene.fire("NotReady", SECOND + later, after=later + 500)
    scene.follow(SECOND + later)
    heads = scene.heads()
    assert len(heads) == count
    assert heads[-1].over_ms is None
    if count == 1:
        assert ("state", SECOND + later, "reopened") in scene.lines(heads[0].id)
    else:
        assert heads[1].started_ms == T0 + 500  # when its condition began, also where the first one lasted then


def test_a_crash_and_all_alerts_about_it_are_one_incident_with_the_chronicles_cause(scene: Scene) -> None:
    crash = scene.stretch("process", "segfault", 0, None, noted=3 * SECOND)
    scene.follow(3 * SECOND)
    alerts = [scene.fire("ProcessRestarted", 5 * SECOND), scene.fire("NotReady", 6 * SECOND)]
    scene.follow(6 * SECOND)
    alerts.append(scene.fire("ServerDown", 7 * SECOND, level=3))
    scene.incidents.close(crash, T0 + 8 * SECOND)
    scene.follow(8 * SECOND)
    (incident,) = scene.heads()
    assert (incident.id, incident.cause, incident.ended_ms, incident.over_ms) == (
        crash,
        "segfault",
        T0 + 8 * SECOND,
        None,
    )
    assert incident.detected_ms == T0 + 3 * SECOND
    assert set(scene.members().values()) == {crash}
    for alert in alerts:
        scene.resolve(alert, 10 * MINUTE)
    scene.follow(10 * MINUTE)
    (incident,) = scene.heads()
    assert (incident.ended_ms, incident.over_ms) == (T0 + 8 * SECOND, T0 + 10 * MINUTE)


def test_a_crash_during_an_incident_of_alerts_gives_it_its_cause(scene: Scene) -> None:
    scene.fire("HighLatencyP95", 0)
    scene.follow(0)
    crash = scene.stretch("process", "oom_kill", MINUTE, 2 * MINUTE)
    scene.follow(2 * MINUTE)
    (incident,) = scene.heads()
    assert (incident.kind, incident.cause, incident.summary) == ("alert", "oom_kill", "it was oom_kill")
    part = scene.incidents.find(crash)
    assert part is not None
    assert part.part_of == incident.id
    assert [one.id for one in scene.incidents.parts(incident.id)] == [incident.id, crash]


def test_a_warning_that_nobody_mends_swallows_neither_the_crash_nor_the_alerts_about_it(scene: Scene) -> None:
    disk = scene.fire("DiskAlmostFull", 0)
    scene.follow(0)
    crash = scene.stretch("process", "segfault", 100 * HOUR, None, noted=100 * HOUR + 3 * SECOND)
    restarted = scene.fire("ProcessRestarted", 100 * HOUR + 5 * SECOND)
    scene.follow(100 * HOUR + 5 * SECOND)
    scene.incidents.close(crash, T0 + 100 * HOUR + 20 * SECOND)
    scene.acknowledge(restarted, 100 * HOUR + MINUTE)
    scene.follow(100 * HOUR + MINUTE)
    scene.resolve(restarted, 100 * HOUR + 10 * MINUTE)
    scene.restart()
    scene.follow(100 * HOUR + 10 * MINUTE)
    second = scene.stretch("process", "oom_kill", 124 * HOUR, 124 * HOUR + MINUTE)
    scene.follow(124 * HOUR + MINUTE)
    warning, first, last = scene.heads()
    assert scene.members() == {disk: warning.id, restarted: crash}
    assert (warning.cause, warning.over_ms, warning.acknowledged_ms) == ("DiskAlmostFull", None, None)
    assert (first.id, first.cause, first.over_ms) == (crash, "segfault", T0 + 100 * HOUR + 10 * MINUTE)
    assert (last.id, last.cause, last.over_ms) == (second, "oom_kill", T0 + 124 * HOUR + MINUTE)
    assert recovered(first, scene.incidents.parts(crash)) == T0 + 100 * HOUR + 20 * SECOND
    scene.resolve(disk, 168 * HOUR)
    scene.follow(168 * HOUR)
    assert [one.over_ms for one in scene.heads()] == [T0 + 168 * HOUR, first.over_ms, last.over_ms]
    assert scene.lines(warning.id) == [
        ("fired", 0, "DiskAlmostFull fires"),
        ("resolved", 168 * HOUR, "DiskAlmostFull fires"),
        ("state", 168 * HOUR, "over"),
    ]


@pytest.mark.parametrize(("later", "count"), [(QUIET_MS, 1), (QUIET_MS + 1, 2)])
@pytest.mark.parametrize("what", ["fire", "resolve"])
def test_of_warnings_it_takes_more_while_something_has_just_begun_or_ended(
    scene: Scene, what: str, later: int, count: int
) -> None:
    scene.fire("DiskAlmostFull", 0)
    other = scene.fire("GPUTemperatureHigh", 10 * MINUTE)
    moment = 10 * MINUTE
    if what == "resolve":
        moment = 20 * MINUTE
        scene.resolve(other, moment)
    scene.follow(moment)
    scene.fire("HighLatencyP95", moment + later)
    scene.follow(moment + later)
    assert len(scene.heads()) == count


@pytest.mark.parametrize("what", ["critical", "trouble"])
def test_while_something_grave_lasts_all_that_begins_belongs_to_it(scene: Scene, what: str) -> None:
    if what == "critical":
        scene.fire("NotReady", 0, level=3)
    else:
        scene.stretch("model", "load_failed", 0, None)
    scene.follow(0)
    scene.fire("QueueFull", 5 * HOUR)
    scene.stretch("process", "killed", 9 * HOUR, 9 * HOUR + MINUTE)
    scene.follow(10 * HOUR)
    assert len(scene.heads()) == 1


def test_of_two_that_are_live_the_one_of_which_something_grave_lasts_takes_what_begins(scene: Scene) -> None:
    disk = scene.fire("DiskAlmostFull", 0)
    scene.follow(0)
    trouble = scene.stretch("model", "load_failed", HOUR, None)
    scene.follow(HOUR)
    scene.resolve(disk, HOUR + MINUTE)  # something has happened in it: it is live as well, for five minutes
    scene.follow(HOUR + MINUTE)
    late = scene.fire("QueueFull", HOUR + 2 * MINUTE)
    scene.follow(HOUR + 2 * MINUTE)
    assert scene.members()[late] == trouble


def test_a_planned_restart_and_what_was_done_are_no_part_of_an_old_warning(scene: Scene) -> None:
    scene.fire("DiskAlmostFull", 0)
    scene.follow(0)
    planned = scene.stretch("planned", "restart", HOUR, HOUR + MINUTE)
    scene.follow(HOUR + MINUTE)
    alone = scene.incidents.find(planned)
    assert alone is not None
    assert (alone.part_of, alone.over_ms) == (None, T0 + HOUR + MINUTE)


def test_what_is_told_late_belongs_to_what_it_began_before_if_it_still_lasted_then(scene: Scene) -> None:
    trouble = scene.stretch("model", "load_failed", HOUR, None)
    scene.follow(HOUR)
    remedy = scene.stretch("remedy", "leak", HOUR - MINUTE, HOUR + MINUTE)  # written down when it is over
    long_over = scene.fire("PostedLate", 0)
    scene.resolve(long_over, MINUTE)
    scene.follow(HOUR + MINUTE)
    assert [one.id for one in scene.incidents.parts(trouble)] == [remedy, trouble]
    assert scene.members()[long_over] != trouble
    assert len(scene.heads()) == 2


def test_ends_one_after_the_other_are_one_outage_and_each_keeps_its_own_times(scene: Scene) -> None:
    first = scene.stretch("process", "segfault", 0, 10 * SECOND)
    scene.follow(10 * SECOND)
    second = scene.stretch("process", "segfault", 12 * SECOND, 20 * SECOND)
    third = scene.stretch("model", "safe_mode", 20 * SECOND, None)
    scene.follow(20 * SECOND)
    assert [one.id for one in scene.heads()] == [first]
    assert [(one.id, one.outage, one.ended_ms) for one in scene.incidents.parts(first)] == [
        (first, first, T0 + 10 * SECOND), (second, first, T0 + 20 * SECOND), (third, first, None),
    ]  # fmt: skip


def test_a_planned_restart_is_no_outage_and_what_was_done_belongs_to_one(scene: Scene) -> None:
    planned = scene.stretch("planned", "restart", 0, None)
    scene.follow(0)
    scene.incidents.close(planned, T0 + 5 * SECOND)
    scene.follow(5 * SECOND)
    assert scene.heads() == []
    alone = scene.incidents.find(planned)
    assert alone is not None
    assert (alone.outage, alone.over_ms) == (planned, T0 + 5 * SECOND)
    trouble = scene.stretch("model", "breaker_open", MINUTE, 2 * MINUTE)
    remedy = scene.stretch("remedy", "breaker_open", MINUTE, 3 * MINUTE)
    scene.follow(3 * MINUTE)
    (incident,) = scene.heads()
    assert (incident.id, incident.over_ms) == (trouble, T0 + 2 * MINUTE)
    assert [one.id for one in scene.incidents.parts(trouble)] == [trouble, remedy]


def test_the_timeline_tells_who_took_it_on_and_who_took_that_back(scene: Scene) -> None:
    alert = scene.fire("NotReady", 0)
    scene.follow(0)
    scene.acknowledge(alert, MINUTE)
    scene.follow(MINUTE)
    scene.change(alert, state="firing", ack_by=None, ack_reason=None, ack_ms=None)
    scene.restart()
    scene.follow(2 * MINUTE)
    scene.acknowledge(alert, 3 * MINUTE, by="wang")
    scene.follow(3 * MINUTE)
    scene.resolve(alert, 4 * MINUTE)
    scene.follow(4 * MINUTE)
    (incident,) = scene.heads()
    assert incident.acknowledged_ms == T0 + MINUTE
    assert scene.lines(incident.id) == [
        ("fired", 0, "NotReady fires"),
        ("acknowledged", MINUTE, "on it"),
        ("unacknowledged", 2 * MINUTE, "NotReady fires"),
        ("acknowledged", 3 * MINUTE, "on it"),
        ("resolved", 4 * MINUTE, "NotReady fires"),
        ("state", 4 * MINUTE, "over"),
    ]


def test_a_change_writes_nothing_about_others_that_last(scene: Scene, count: Callable[[], int]) -> None:
    def cost(at: int) -> int:
        before = count()
        scene.resolve(scene.fire("Flaps", at), at)
        scene.follow(at)
        scene.follow(at + SECOND)
        return count() - before

    scene.follow(0)
    scene.fire("DiskAlmostFull", HOUR)
    scene.follow(HOUR)
    cost(2 * HOUR)
    with_one = cost(3 * HOUR)
    for number in range(4, 8):
        scene.fire(f"Warning{number}", number * HOUR)
        scene.follow(number * HOUR)
    assert len([one for one in scene.heads() if one.over_ms is None]) == 5
    assert cost(9 * HOUR) == with_one


def test_nothing_is_asked_of_the_database_while_nothing_changes(scene: Scene, count: Callable[[], int]) -> None:
    scene.fire("NotReady", 0)
    scene.stretch("model", "load_failed", 0, None)
    scene.follow(0)
    before = count()
    scene.follow(SECOND)
    scene.follow(2 * SECOND)
    assert count() == before


@pytest.fixture
def count(scene: Scene) -> Callable[[], int]:
    statements: list[str] = []
    event.listen(scene.database, "before_cursor_execute", lambda *args: statements.append(args[2]))
    return lambda: len(statements)


def test_an_alert_that_came_and_went_while_nobody_followed_is_in_an_incident_of_its_time(scene: Scene) -> None:
    for start in (0, 20 * MINUTE):
        scene.resolve(scene.fire("NotReady", start), start + MINUTE)
    scene.follow(60 * MINUTE)
    assert [(one.started_ms - T0, one.over_ms) for one in scene.heads()] == [
        (0, T0 + MINUTE), (20 * MINUTE, T0 + 21 * MINUTE),
    ]  # fmt: skip
    assert len(set(scene.members().values())) == 2


def test_whether_one_was_live_is_asked_as_of_when_a_sign_began(scene: Scene) -> None:
    disk, hot = scene.fire("DiskAlmostFull", 0), scene.fire("GPUTemperatureHigh", 30 * MINUTE)
    scene.resolve(hot, 31 * MINUTE)
    scene.resolve(disk, 40 * MINUTE)
    scene.follow(41 * MINUTE)
    members = scene.members()
    assert members[disk] != members[hot]


def test_one_that_came_and_went_between_two_ticks_is_found_within_a_minute(scene: Scene) -> None:
    scene.follow(0)
    scene.resolve(scene.fire("SentAndOver", 100), 200)
    scene.follow(MINUTE)
    assert [one.over_ms for one in scene.heads()] == [T0 + 200]


def test_an_alert_that_is_not_in_the_database_yet_is_looked_for_again(scene: Scene) -> None:
    id = scene.fire("NotReady", 0)
    alert = scene.alerts[id]
    scene.change(id, state="pending", firing_ms=None)
    scene.outages.follow([alert], T0)
    assert scene.heads() == []
    scene.change(id, state="firing", firing_ms=T0)
    scene.outages.follow([alert], T0 + SECOND)
    assert len(scene.heads()) == 1
