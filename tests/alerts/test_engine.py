"""Alerts move through their states, survive restarts, and are written sparingly. Time is driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select
from structlog.testing import capture_logs

from alerts.book import AlertBook
from alerts.engine import MAX_REASON, AlertEngine
from alerts.rule import parse_rules
from alerts.state import AlertError
from collectors.sample import METRIC_NAME, Matcher, Sample, Tick
from promql import Engine
from storage.error import StorageError
from storage.series import SeriesStore
from storage.tables import AlertRow
from tests.alerts.world import START_MS, World

MakeWorld = Callable[[str], World]

HOT = """
groups:
  - name: gpu
    rules:
      - alert: Hot
        expr: temperature > 85
        for: 1m
        labels: {severity: warning, card: "card {{ $labels.gpu }}"}
        annotations: {summary: "GPU {{ $labels.gpu }} is at {{ $value }} °C", action: Cool it.}
"""
AT_ONCE = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, labels: {level: '3'}}]}]"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(HOT)


@contextmanager
def counted_transactions(database: Database) -> Iterator[list[str]]:
    """Every statement that writes."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            seen.append(statement.split()[0])

    sqlalchemy_event.listen(database, "before_cursor_execute", note)
    yield seen
    sqlalchemy_event.remove(database, "before_cursor_execute", note)


def test_an_alert_is_pending_until_for_has_passed_and_then_fires_once(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    assert world.run(55) == []
    alert = world.only()
    assert (alert.state, alert.active_ms, alert.firing_ms) == ("pending", START_MS, None)
    assert world.run(30) == ["fired Hot"]
    alert = world.only()
    assert (alert.state, alert.active_ms, alert.firing_ms) == ("firing", START_MS, START_MS + 60_000)
    assert world.run(600) == []


def test_its_labels_are_those_of_the_expression_and_the_rule_and_its_name(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run()
    alert = world.only()
    assert alert.labels == {"alertname": "Hot", "card": "card 0", "gpu": "0", "severity": "warning"}
    assert (alert.severity, alert.level, alert.value) == ("warning", 2, 90.0)
    assert (alert.summary, alert.action, alert.description) == ("GPU 0 is at 90 °C", "Cool it.", "")


def test_its_value_and_words_follow_the_expression(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    world.source.set("temperature", 95.5, gpu="0")
    world.run(5)
    assert (world.only().value, world.only().summary) == (95.5, "GPU 0 is at 95.5 °C")


def test_a_pending_alert_that_clears_leaves_no_trace(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(30)
    world.source.set("temperature", 80.0, gpu="0")
    assert world.run(10) == []
    assert world.engine.current() == []
    assert world.engine.history(0, world.now_ms) == []


def test_it_resolves_when_the_expression_does_not_hold_any_more(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(120)
    world.source.set("temperature", 80.0, gpu="0")
    world.now_ms += 5_000
    assert world.run() == ["resolved Hot"]
    assert world.engine.current() == []
    (alert,) = world.engine.history(START_MS, world.now_ms)
    assert (alert.state, alert.resolved_ms) == ("resolved", world.now_ms)
    assert world.engine.alert(alert.id) == alert


def test_a_new_breach_is_a_new_alert(world: World) -> None:
    for celsius in (90.0, 80.0, 90.0):
        world.source.set("temperature", celsius, gpu="0")
        world.run(90)
    assert [alert.state for alert in world.engine.history(0, world.now_ms)] == ["firing", "resolved"]


def test_each_series_is_an_alert_of_its_own(world: World) -> None:
    for gpu in ("0", "1"):
        world.source.set("temperature", 90.0, gpu=gpu)
    assert world.run(60) == ["fired Hot"] * 2
    world.source.set("temperature", 60.0, gpu="1")
    assert world.run(5) == ["resolved Hot"]
    assert world.only().labels["gpu"] == "0"


def test_without_for_it_fires_at_once(make_world: MakeWorld) -> None:
    world = make_world(AT_ONCE)
    world.source.set("bad", 1.0)
    assert world.run() == ["fired Bad"]
    assert world.only().level == 3


def test_keep_firing_for_bridges_a_gap(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, keep_firing_for: 1m}]}]")
    world.source.set("bad", 1.0)
    world.run(10)
    world.source.set("bad", 0.0)
    assert world.run(50) == []
    world.source.set("bad", 1.0)
    assert world.run(10) == []
    world.source.set("bad", 0.0)
    world.now_ms += 5_000
    assert world.run(55) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Bad"]


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_rule_that_fails_keeps_its_alerts_and_says_why(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad / on () other > 0}]}]")
    world.source.set("bad", 1.0)
    world.source.set("other", 1.0, a="1")
    world.run(10)
    world.source.set("other", 1.0, a="2")  # now the right side has two series where one is allowed
    assert world.run(60) == []
    assert world.states() == {"Bad": "firing"}
    (rule,) = world.engine.rules()[0].rules
    assert rule.health == "err"
    assert rule.error
    assert rule.last_evaluation_ms == world.now_ms


def test_a_crash_inside_one_rule_leaves_the_others_alone(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0}, {alert: Const, expr: vector(1) > 0}]}]")
    world.source.broken = True
    assert world.run() == ["fired Const"]
    assert [rule.health for rule in world.engine.rules()[0].rules] == ["err", "ok"]
    assert "the disk is gone" in str(world.engine.rules()[0].rules[0].error)


def test_an_error_that_stays_is_logged_once(make_world: MakeWorld) -> None:
    world = make_world(AT_ONCE)
    world.source.broken = True
    with capture_logs() as logs:
        world.run(60)
        world.source.broken = False
        world.now_ms += 5_000
        world.run()
        world.source.broken = True
        world.now_ms += 5_000
        world.run()
    assert [line["event"] for line in logs] == ["rule_crashed", "rule_failed"] * 2


def test_two_results_with_the_same_alert_labels_are_an_error_of_the_rule(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, labels: {gpu: all}}]}]")
    for gpu in ("0", "1"):
        world.source.set("bad", 1.0, gpu=gpu)
    assert world.run() == []
    assert "same labelset" in str(world.engine.rules()[0].rules[0].error)


def test_a_template_that_fails_speaks_in_its_place_and_the_alert_fires(make_world: MakeWorld) -> None:
    rule = "{alert: Bad, expr: bad > 0, annotations: {summary: '{{ humanize $labels.gpu }}'}}"
    world = make_world(f"groups: [{{name: g, rules: [{rule}]}}]")
    world.source.set("bad", 1.0, gpu="x")
    assert world.run() == ["fired Bad"]
    assert "error expanding template" in world.only().summary


def test_more_alerts_than_the_groups_limit_are_an_error(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, limit: 1, rules: [{alert: Bad, expr: bad > 0}]}]")
    for gpu in ("0", "1"):
        world.source.set("bad", 1.0, gpu=gpu)
    assert world.run() == []
    assert "limit" in str(world.engine.rules()[0].rules[0].error)


def refuse_writes(*_: Any) -> None:
    raise StorageError("the disk is full", permanent=False, trouble="full")


def test_while_the_database_takes_nothing_alerts_move_on_in_memory_and_are_told_once_it_does(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(AlertBook, "add", refuse_writes)
        full.setattr(AlertBook, "change", refuse_writes)
        world.source.set("temperature", 90.0, gpu="0")
        for expected in ["pending"] * 12 + ["firing"] * 3:
            with pytest.raises(StorageError, match="disk is full"):
                world.run()
            assert world.states() == {"Hot": expected}
            world.now_ms += 5_000
        assert world.only().id < 0
        with pytest.raises(AlertError, match="not in the database yet"):
            world.engine.acknowledge(world.only().id, "anna", "seen", world.now_ms)
        with database.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM alerts").scalar() == 0
    assert world.run() == ["fired Hot"]
    alert = world.only()
    assert alert.id > 0
    assert alert.firing_ms == START_MS + 60_000  # not when it could be written
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, state FROM alerts").fetchall() == [(alert.id, "firing")]
    world.now_ms += 5_000
    assert world.run() == []


def test_an_alert_that_came_and_went_while_nothing_could_be_written_is_history_afterwards(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(30)
    with monkeypatch.context() as full:
        full.setattr(AlertBook, "add", refuse_writes)
        full.setattr(AlertBook, "change", refuse_writes)
        full.setattr(AlertBook, "remove", refuse_writes)
        for temperature in [90.0] * 8 + [20.0] * 3:
            world.source.set("temperature", temperature, gpu="0")
            world.now_ms += 5_000
            with suppress(StorageError):
                world.run()
        assert world.states() == {}
    world.now_ms += 5_000
    assert world.run() == ["resolved Hot"]
    (alert,) = world.engine.history(START_MS, world.now_ms)
    assert alert.state == "resolved"
    assert alert.firing_ms == START_MS + 60_000
    world.now_ms += 5_000
    assert world.run() == []


def test_a_pending_alert_that_went_while_nothing_could_be_written_leaves_no_trace(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(30)
    with monkeypatch.context() as full:
        full.setattr(AlertBook, "remove", refuse_writes)
        world.source.set("temperature", 20.0, gpu="0")
        world.now_ms += 5_000
        with pytest.raises(StorageError, match="disk is full"):
            world.run()
        assert world.states() == {}
    world.now_ms += 5_000
    assert world.run() == []
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM alerts").scalar() == 0


def test_when_the_database_refuses_nothing_has_happened_and_the_next_evaluation_makes_up_for_it(
    world: World, database: Database
) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(55)

    def refuse(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("UPDATE"):
            raise OSError("disk full")

    sqlalchemy_event.listen(database, "before_cursor_execute", refuse)
    world.now_ms += 5_000
    with pytest.raises(OSError, match="disk full"):
        world.run()
    sqlalchemy_event.remove(database, "before_cursor_execute", refuse)
    assert world.states() == {"Hot": "pending"}
    assert world.events == []
    world.now_ms += 5_000
    assert world.run() == ["fired Hot"]


# --- groups and recording ----------------------------------------------------------------------------------------


def test_a_group_with_an_interval_runs_only_when_it_is_due(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, interval: 1m, rules: [{alert: Bad, expr: bad > 0}]}]")
    world.run()
    world.source.set("bad", 1.0)
    world.now_ms += 5_000
    assert world.run(50) == []
    world.now_ms += 5_000
    assert world.run() == ["fired Bad"]


def test_a_recording_rule_hands_its_samples_on(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{record: 'gpu:hot', expr: temperature * 2, labels: {unit: f}}]}]")
    world.source.set("temperature", 40.0, gpu="0")
    world.run()
    assert world.recorded == [(START_MS, "rule/test.yml/g/0", [("gpu:hot", (("gpu", "0"), ("unit", "f")), 80.0)])]
    world.source.set("temperature", None, gpu="0")
    world.now_ms += 5_000
    world.run(20)
    assert [samples for _, _, samples in world.recorded[1:]] == [[]], "an end is told once"


def test_recording_rules_of_groups_that_share_a_name_in_two_files_are_all_kept(database: Database) -> None:
    store = SeriesStore(database)
    store.load()
    files = [
        parse_rules(f"groups: [{{name: g, rules: [{{record: 'x:{name}', expr: vector(1)}}]}}]", f"{name}.yml")[0]
        for name in ("a", "b")
    ]

    def record(time_ms: int, source: str, samples: list[Sample]) -> None:
        store.append([Tick(source, time_ms, tuple(samples))])

    engine = AlertEngine(database, Engine(store), [group for groups in files for group in groups], record=record)
    engine.evaluate(START_MS)
    anything = [Matcher(METRIC_NAME, "=~", "x:.")]
    assert [dict(series.labels)[METRIC_NAME] for series in store.select(anything, 0, START_MS)] == ["x:a", "x:b"]


# --- restarts ----------------------------------------------------------------------------------------------------


def test_a_pending_alert_goes_on_counting_after_a_restart(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(40)
    world.restart()
    assert world.states() == {"Hot": "pending"}
    world.now_ms += 10_000
    assert world.run() == []
    world.now_ms += 10_000
    assert world.run() == ["fired Hot"]
    assert world.only().active_ms == START_MS


def test_a_pending_alert_that_nobody_watched_for_longer_than_for_starts_anew(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(40)
    world.restart()
    world.now_ms += 3_600_000
    assert world.run() == []
    assert world.only().active_ms == world.now_ms


def test_a_firing_alert_that_still_holds_is_the_same_and_is_not_told_again(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    before = world.only()
    world.restart()
    world.now_ms += 600_000
    assert world.run(120) == []
    after = world.only()
    assert (after.id, after.active_ms, after.firing_ms) == (before.id, before.active_ms, before.firing_ms)
    assert len(world.events) == 1


def test_one_that_cleared_while_down_resolves_once_its_rule_has_had_time_to_see_data(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    world.restart()
    world.source.set("temperature", None, gpu="0")  # no data at all at first
    world.now_ms += 600_000
    assert world.run(55) == []
    assert world.states() == {"Hot": "firing"}
    world.now_ms += 5_000
    assert world.run() == ["resolved Hot"]


def test_with_a_short_for_that_takes_fifteen_seconds(make_world: MakeWorld) -> None:
    world = make_world(AT_ONCE)
    world.source.set("bad", 1.0)
    world.run()
    world.source.set("bad", 0.0)
    world.restart()
    world.now_ms += 5_000
    assert world.run(10) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Bad"]


def test_an_alert_whose_query_fails_after_the_restart_is_not_resolved(make_world: MakeWorld) -> None:
    world = make_world(AT_ONCE)
    world.source.set("bad", 1.0)
    world.run()
    world.restart()
    world.source.broken = True
    world.now_ms += 60_000
    assert world.run(60) == []
    assert world.states() == {"Bad": "firing"}


def test_alerts_of_a_rule_that_is_gone_end(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    world.source.set("temperature", 90.0, gpu="1")
    world.now_ms += 5_000
    world.run()
    world.restart(AT_ONCE)
    world.now_ms += 5_000
    assert world.run(60) == ["resolved Hot"]
    assert world.engine.current() == []


def test_two_rules_of_one_name_get_their_own_alerts_back(make_world: MakeWorld) -> None:
    text = """
groups:
  - name: g
    rules:
      - {alert: Hot, expr: t > 80, labels: {severity: warning}}
      - {alert: Hot, expr: t > 90, labels: {severity: critical}}
"""
    world = make_world(text)
    world.source.set("t", 95.0)
    world.run()
    world.restart()
    world.source.set("t", 85.0)
    world.now_ms += 5_000
    assert world.run(20) == ["resolved Hot"]
    assert world.only().severity == "warning"


# --- clock -------------------------------------------------------------------------------------------------------


def test_a_clock_set_back_keeps_what_a_pending_alert_has_waited(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(40)
    world.now_ms -= 3_600_000
    assert world.run(15) == []
    world.now_ms += 5_000
    assert world.run() == ["fired Hot"]


def test_an_alert_never_resolves_before_it_fired_whatever_the_clock_does(world: World) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    world.source.set("temperature", 60.0, gpu="0")
    world.now_ms -= 3_600_000
    assert world.run() == ["resolved Hot"]
    (alert,) = world.engine.history(0, START_MS * 2)
    assert alert.resolved_ms == alert.firing_ms


# --- what is written ---------------------------------------------------------------------------------------------


def test_nothing_is_written_while_nothing_changes_but_once_a_minute(world: World, database: Database) -> None:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    with counted_transactions(database) as written:
        world.run(55)
        assert written == []
        world.run(60)
        assert written == ["UPDATE"]
    with database.connect() as connection:
        seen_ms = connection.execute(select(AlertRow.seen_ms)).scalar_one()
    assert world.now_ms - seen_ms <= 60_000


# --- acknowledging -----------------------------------------------------------------------------------------------


@pytest.fixture
def firing(world: World) -> World:
    world.source.set("temperature", 90.0, gpu="0")
    world.run(60)
    return world


def test_acknowledging_keeps_the_name_and_reason_and_survives_a_restart(firing: World) -> None:
    alert = firing.engine.acknowledge(firing.only().id, "ada", " I am on it ", firing.now_ms)
    assert (alert.state, alert.ack_by, alert.ack_reason, alert.ack_ms) == (
        "acknowledged",
        "ada",
        "I am on it",
        firing.now_ms,
    )
    assert firing.events[-1].kind == "acknowledged"
    firing.restart()
    assert firing.only() == alert
    assert firing.run(60) == []
    assert firing.states() == {"Hot": "acknowledged"}


def test_an_acknowledgement_clears_itself_on_recovery(firing: World) -> None:
    first = firing.engine.acknowledge(firing.only().id, "ada", "on it", firing.now_ms)
    firing.source.set("temperature", 60.0, gpu="0")
    assert firing.run(5) == ["resolved Hot"]
    firing.source.set("temperature", 90.0, gpu="0")
    assert firing.run(65) == ["fired Hot"]
    assert (firing.only().state, firing.only().ack_by) == ("firing", None)
    resolved = firing.engine.alert(first.id)
    assert resolved is not None
    assert (resolved.state, resolved.ack_by) == ("resolved", "ada")


def test_an_acknowledgement_can_be_taken_back(firing: World) -> None:
    alert = firing.engine.acknowledge(firing.only().id, "ada", "on it", firing.now_ms)
    assert firing.engine.unacknowledge(alert.id, "bob", firing.now_ms).state == "firing"
    firing.restart()
    assert firing.states() == {"Hot": "firing"}
    with pytest.raises(AlertError) as caught:
        firing.engine.unacknowledge(alert.id, "bob", firing.now_ms)
    assert caught.value.kind == "conflict"


@pytest.mark.parametrize(("by", "reason"), [("ada", ""), ("ada", "  "), ("", "on it"), ("ada", "x" * (MAX_REASON + 1))])
def test_an_acknowledgement_needs_a_person_and_a_reason(firing: World, by: str, reason: str) -> None:
    with pytest.raises(AlertError) as caught:
        firing.engine.acknowledge(firing.only().id, by, reason, firing.now_ms)
    assert caught.value.kind == "invalid"
    assert firing.states() == {"Hot": "firing"}


def test_only_a_firing_alert_can_be_acknowledged(world: World) -> None:
    def refusal(alert_id: int) -> str:
        with pytest.raises(AlertError) as caught:
            world.engine.acknowledge(alert_id, "ada", "on it", world.now_ms)
        return caught.value.kind

    assert refusal(4711) == "not_found"
    world.source.set("temperature", 90.0, gpu="0")
    world.run(30)
    alert_id = world.only().id
    assert refusal(alert_id) == "conflict"
    world.run(30)
    world.engine.acknowledge(alert_id, "ada", "on it", world.now_ms)
    assert refusal(alert_id) == "conflict"
    world.source.set("temperature", 60.0, gpu="0")
    world.run(5)
    assert refusal(alert_id) == "conflict"


def test_the_most_urgent_alerts_come_first(make_world: MakeWorld) -> None:
    world = make_world(
        """
groups:
  - name: g
    rules:
      - {alert: Low, expr: a > 0, labels: {level: "1"}}
      - {alert: Waiting, expr: a > 0, for: 1m, labels: {level: "3"}}
      - {alert: High, expr: a > 0, labels: {severity: critical}}
"""
    )
    world.source.set("a", 1.0)
    world.run()
    assert [alert.rule for alert in world.engine.current()] == ["High", "Low", "Waiting"]


def test_an_alert_gives_plain_values_for_json(firing: World) -> None:
    plain = firing.only().as_dict()
    assert plain["state"] == "firing"
    assert plain["summary"] == "GPU 0 is at 90 °C"
    assert plain["labels"]["alertname"] == "Hot"
