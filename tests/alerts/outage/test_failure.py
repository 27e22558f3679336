"""What fails most often, and how fast people are."""

from __future__ import annotations

from sqlalchemy import Engine as Database

from alerts.outage.failure import Means, failure_points, means, pace, recovered
from tests.alerts.outage.scene import HOUR, MINUTE, SECOND, T0, Scene


def test_points_of_failure_are_counted_by_rule_and_by_cause(scene: Scene, database: Database) -> None:
    for start in (0, 60 * MINUTE + 30 * SECOND):
        alert = scene.fire("NotReady", start, after=30 * SECOND)
        scene.acknowledge(alert, start + 10 * SECOND)
        scene.resolve(alert, start + MINUTE)
    scene.fire("GPUMemoryHigh", 100 * MINUTE)
    scene.resolve(scene.fire("Earlier", -20 * MINUTE), -19 * MINUTE)
    scene.stretch("process", "segfault", 60 * MINUTE, 61 * MINUTE, noted=60 * MINUTE + 5 * SECOND)
    scene.follow(110 * MINUTE)
    found = failure_points(database, scene.incidents, T0, T0 + 110 * MINUTE, T0 + 110 * MINUTE)
    assert [(point.kind, point.name, point.count) for point in found] == [
        ("rule", "NotReady", 2), ("rule", "GPUMemoryHigh", 1), ("cause", "segfault", 1),
    ]  # fmt: skip
    often, lasting, crash = found
    assert (often.seconds, often.mttd, often.mtta, often.mttr) == (120, 30, 10, 90)
    assert (lasting.seconds, lasting.mttd, lasting.mtta, lasting.mttr) == (600, 0, None, None)
    assert (crash.seconds, crash.mttd, crash.mtta, crash.mttr) == (60, 5, 35, 60)


def test_an_outage_is_mended_when_the_service_is_back_whatever_alerts_still_tell_of_it(scene: Scene) -> None:
    crash = scene.stretch("process", "segfault", 0, 20 * SECOND, noted=10 * SECOND)
    alert = scene.fire("ProcessRestarted", 30 * SECOND)
    scene.follow(30 * SECOND)
    scene.acknowledge(alert, MINUTE)
    scene.resolve(alert, 10 * MINUTE)
    scene.follow(10 * MINUTE)
    (head,) = scene.heads()
    found = pace(head, recovered(head, scene.incidents.parts(crash)), T0 + 60 * MINUTE)
    assert (found.seconds, found.detect, found.acknowledge, found.recover) == (600, 10, 50, 20)


def test_means_are_over_outages_not_over_their_parts(scene: Scene) -> None:
    assert means([], T0) == Means(0, None, None, None)
    scene.stretch("process", "killed", 0, MINUTE, noted=10 * SECOND)
    scene.stretch("process", "killed", 2 * MINUTE, 3 * MINUTE)
    scene.stretch("planned", "restart", 30 * MINUTE, 31 * MINUTE)
    scene.fire("NotReady", 60 * MINUTE, after=30 * SECOND)
    scene.follow(60 * MINUTE)
    found = means(scene.incidents.recent(100), T0 + 61 * MINUTE)
    assert (found.count, found.mttd, found.mtta, found.mttr) == (2, 20, None, 180)


def test_the_mean_counts_a_crash_while_an_old_warning_lasts_as_one_of_its_own(scene: Scene) -> None:
    scene.fire("DiskAlmostFull", 0)
    scene.follow(0)
    scene.stretch("process", "killed", 48 * HOUR, 48 * HOUR + MINUTE, noted=48 * HOUR + 10 * SECOND)
    scene.follow(48 * HOUR + MINUTE)
    assert means(scene.incidents.recent(100), T0 + 50 * HOUR) == Means(2, 5, None, 60)
