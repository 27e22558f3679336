"""Rules are replaced while the server runs: what is still there goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Engine as Database

from alerts.book import AlertBook
from storage.error import StorageError
from tests.alerts.world import World

MakeWorld = Callable[[str], World]

HOT = "{alert: Hot, expr: t > 85, for: 1m, labels: {severity: warning}}"
COLD = "{alert: Cold, expr: t < 5, labels: {severity: warning}}"


def file(*rules: str, group: str = "g", extra: str = "") -> str:
    return f"groups: [{{name: {group}, {extra} rules: [{', '.join(rules)}]}}]"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(file(HOT, COLD))


def test_a_pending_alert_goes_on_waiting_and_fires_on_time(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(40)
    started_ms = world.only().active_ms
    world.reload(file(COLD, HOT))
    assert world.states() == {"Hot": "pending"}
    assert world.run(15) == []
    assert world.run(5) == ["fired Hot"]
    assert world.only().active_ms == started_ms


def test_a_firing_alert_and_its_acknowledgement_stay_and_nobody_hears_anything(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    alert = world.engine.acknowledge(world.only().id, "ada", "on it", world.now_ms)
    world.reload(file(HOT.replace("85", "70").replace("1m", "5m")))
    assert world.run(60) == []
    assert (world.only().id, world.only().state, world.only().ack_by) == (alert.id, "acknowledged", "ada")


def test_alerts_of_a_rule_that_is_gone_end_and_say_why(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    alert_id = world.only().id
    world.reload(file(COLD))
    assert world.states() == {"Hot": "firing"}, "it is there until its end is written"
    world.now_ms += 1_000
    assert world.run() == ["resolved Hot"]
    assert world.engine.current() == []
    alert = world.engine.alert(alert_id)
    assert alert is not None
    assert (alert.ended_by, alert.resolved_ms) == ("rule_removed", world.now_ms)
    assert world.run(60) == []


def test_a_pending_alert_of_a_rule_that_is_gone_leaves_no_trace(world: World, database: Database) -> None:
    world.source.set("t", 90.0)
    world.run(20)
    world.reload(file(COLD))
    assert world.run(5) == []
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alerts").scalar() == 0


def test_a_rule_that_comes_back_before_its_end_was_written_was_never_gone(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    alert_id = world.only().id
    world.reload(file(COLD))
    world.reload(file(COLD, HOT))
    assert world.run(60) == []
    assert world.only().id == alert_id


def test_other_fixed_labels_make_it_another_rule(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    world.reload(file(HOT.replace("warning", "critical"), COLD))
    assert world.run(0) == ["resolved Hot"]
    assert (world.only().state, world.only().severity) == ("pending", "critical")
    assert world.run(60) == ["fired Hot"]


def test_a_rule_that_moves_to_another_group_takes_its_alerts_along_also_over_a_restart(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    alert_id = world.only().id
    world.reload(file(HOT, group="mine"))
    assert world.run(60) == []
    assert (world.only().id, world.only().group) == (alert_id, "mine")
    world.restart(file(HOT, group="ours"))
    assert world.run(60) == []
    assert (world.only().id, world.only().group) == (alert_id, "ours")


def test_two_rules_of_one_name_keep_their_own_alerts_when_they_change_places(make_world: MakeWorld) -> None:
    low = "{alert: Hot, expr: t > 80, labels: {tier: low}}"
    high = "{alert: Hot, expr: t > 90, labels: {tier: high}}"
    world = make_world(file(low, high))
    world.source.set("t", 95.0)
    world.run()
    ids = {alert.labels["tier"]: alert.id for alert in world.engine.current()}
    world.reload(file(high, low))
    assert world.run(30) == []
    assert {alert.labels["tier"]: alert.id for alert in world.engine.current()} == ids


def test_new_words_are_used_from_the_next_evaluation_on(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    world.reload(file(HOT[:-1] + ", annotations: {summary: Too hot}}"))
    world.run(5)
    assert world.only().summary == "Too hot"


def test_a_shorter_for_counts_what_has_been_waited(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(40)
    world.reload(file(HOT.replace("1m", "30s")))
    assert world.run() == ["fired Hot"]


def test_a_group_keeps_its_schedule(make_world: MakeWorld) -> None:
    world = make_world(file(COLD, extra="interval: 1m,"))
    world.run(10)
    (group,) = world.engine.rules()
    world.source.set("t", 1.0)
    world.reload(file(COLD, HOT, extra="interval: 1m,"))
    assert world.run(45) == [], "not due before its minute is over"
    assert world.engine.rules()[0].last_evaluation_ms == group.last_evaluation_ms
    assert world.run(5) == ["fired Cold"]


def test_what_a_removed_rule_recorded_ends_and_what_moved_goes_on(make_world: MakeWorld) -> None:
    one, two = (f"{{record: 'x:{name}', expr: vector(1)}}" for name in "ab")
    world = make_world(file(one, two))
    world.run()
    world.reload(file(two))
    world.recorded.clear()
    world.now_ms += 5_000
    world.run()
    assert [(source, [sample.name for sample in samples]) for _, source, samples in world.recorded] == [
        ("rule/test.yml/g/1", []),
        ("rule/test.yml/g/0", ["x:b"]),
    ]
    world.recorded.clear()
    world.reload(file(COLD))
    world.run(10)
    assert [(source, samples) for _, source, samples in world.recorded] == [("rule/test.yml/g/0", [])]


def test_a_reload_while_the_database_takes_nothing_loses_and_doubles_nothing(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("the disk is full", permanent=False, trouble="full")

    world.source.set("t", 90.0)
    world.run(30)
    seen = []
    with monkeypatch.context() as full:
        full.setattr(AlertBook, "change", refuse)
        for text in (file(HOT, COLD), file(COLD, HOT), file(COLD), file(COLD)):
            world.now_ms += 20_000
            world.source.tick(world.now_ms)
            with suppress(StorageError):
                world.engine.evaluate(world.now_ms)
            seen.append(world.states())
            world.reload(text)
    assert seen == [{"Hot": "pending"}, {"Hot": "firing"}, {"Hot": "firing"}, {}]
    world.now_ms += 5_000
    assert world.run() == ["resolved Hot"]
    (alert,) = world.engine.history(0, world.now_ms)
    assert (alert.state, alert.ended_by) == ("resolved", "rule_removed")
    assert world.run(30) == []


def test_an_alert_from_before_a_restart_is_found_by_rules_that_come_with_a_reload(world: World) -> None:
    world.source.set("t", 90.0)
    world.run(60)
    alert_id = world.only().id
    world.restart(file(COLD))
    world.reload(file(COLD, HOT))
    assert world.only().id == alert_id
    assert world.run(60) == []


@pytest.mark.parametrize("text", ["groups: []", file(COLD, group="other")])
def test_nothing_happens_where_no_alert_is_open(world: World, text: str) -> None:
    world.run(10)
    world.reload(text)
    assert world.run(10) == []
    assert world.engine.current() == []
