"""Alerts that other servers send: they fire at once, are renewed, end when told, and expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy import Engine as Database

from alerts import posted as posted_module
from alerts.book import AlertBook
from alerts.posted import Posted
from alerts.state import AlertError, fingerprint
from storage.error import StorageError
from tests.alerts.world import START_MS, World

MakeWorld = Callable[[str], World]

OURS = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, labels: {job: api}}]}]"
LABELS = {"alertname": "Bad", "job": "api"}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(OURS)


def send(world: World, labels: dict[str, str] = LABELS, **fields: Any) -> list[str]:
    heard = len(world.events)
    world.engine.accept([Posted(labels, fields.pop("annotations", {}), **fields)], world.now_ms)
    return [f"{event.kind} {event.alert.rule}" for event in world.events[heard:]]


def test_it_fires_at_once_as_its_sender_says(world: World) -> None:
    labels = {"alertname": "NodeDown", "severity": "critical", "empty": ""}
    since_ms = START_MS - 90_000
    assert send(world, labels, annotations={"summary": "gone"}, starts_ms=since_ms, generator_url="http://p/g") == [
        "fired NodeDown"
    ]
    alert = world.only()
    assert (alert.state, alert.source, alert.level, alert.summary) == ("firing", "api", 3, "gone")
    assert (alert.active_ms, alert.firing_ms, alert.generator_url) == (since_ms, since_ms, "http://p/g")
    assert alert.labels == {"alertname": "NodeDown", "severity": "critical"}
    assert alert.fingerprint == fingerprint((("alertname", "NodeDown"), ("severity", "critical")))


def test_one_that_begins_in_the_future_at_no_time_or_before_clocks_begins_now(world: World) -> None:
    send(world, {"a": "1"}, starts_ms=START_MS + 60_000)
    send(world, {"a": "2"})
    send(world, {"a": "3"}, starts_ms=-8_520_336_000_000)
    assert {alert.firing_ms for alert in world.engine.current()} == {START_MS}


def test_the_same_labels_renew_it_and_nobody_hears_of_it_again(world: World) -> None:
    send(world, annotations={"summary": "one"})
    first = world.only()
    world.now_ms += 60_000
    assert send(world, annotations={"summary": "two"}, starts_ms=world.now_ms) == []
    renewed = world.only()
    assert (renewed.id, renewed.summary, renewed.firing_ms) == (first.id, "two", first.firing_ms)
    assert renewed.ends_ms == world.now_ms + 300_000


def test_it_ends_when_its_sender_says_so(world: World) -> None:
    send(world)
    world.now_ms += 60_000
    assert send(world, ends_ms=world.now_ms - 5_000) == ["resolved Bad"]
    (alert,) = world.engine.history(0, world.now_ms)
    assert (alert.ended_by, alert.resolved_ms) == ("told", world.now_ms - 5_000)
    assert send(world, ends_ms=world.now_ms - 5_000) == [], "an end of what is not there is no news"


def test_it_expires_when_it_is_not_sent_again(world: World) -> None:
    send(world)
    assert world.run(295) == []
    assert world.run(5) == ["resolved Bad"]
    (alert,) = world.engine.history(0, world.now_ms)
    assert (alert.ended_by, alert.resolved_ms) == ("expired", START_MS + 300_000)


def test_it_expires_at_the_end_that_its_sender_gave(world: World) -> None:
    send(world, ends_ms=START_MS + 40_000)
    assert world.run(35) == []
    assert world.run(5) == ["resolved Bad"]


def test_it_survives_a_restart_and_its_sender_is_given_time_to_send_it_again(world: World) -> None:
    send(world, ends_ms=START_MS + 40_000)
    alert = world.engine.acknowledge(world.only().id, "ada", "on it", world.now_ms)
    world.restart()
    world.now_ms += 60_000
    assert world.run(290) == []
    assert (world.only().id, world.only().ack_by) == (alert.id, "ada")
    send(world, ends_ms=world.now_ms + 60_000)
    assert world.run(55) == []
    assert world.only().state == "acknowledged"
    assert world.run(5) == ["resolved Bad"]


def test_a_restart_without_its_sender_ends_it_in_time(world: World) -> None:
    send(world)
    world.restart()
    assert world.run(295) == []
    assert world.run(5) == ["resolved Bad"]


def test_one_that_comes_before_the_stored_alerts_were_taken_up_is_not_there_twice(world: World) -> None:
    send(world)
    engine = world.engine.__class__(world.database, world.engine._means.promql, world.groups)
    engine.accept([Posted(LABELS, {})], world.now_ms)
    engine.load()
    assert len(engine.current()) == 1


def test_rules_with_the_same_labels_have_an_alert_of_their_own(world: World) -> None:
    send(world)
    world.source.set("bad", 1.0)
    assert world.run() == ["fired Bad"]
    ours, theirs = sorted(world.engine.current(), key=lambda alert: alert.source, reverse=True)
    assert (ours.source, theirs.source) == ("rules", "api")
    assert ours.fingerprint == theirs.fingerprint
    world.restart()
    world.source.set("bad", 0.0)
    assert send(world, ends_ms=world.now_ms) == ["resolved Bad"]
    assert world.only().source == "rules"
    world.now_ms += 5_000
    assert world.run(15) == ["resolved Bad"]


def test_rules_that_go_leave_it_alone(world: World) -> None:
    send(world)
    world.reload("groups: []")
    assert world.run(60) == []
    assert world.only().source == "api"


@pytest.mark.parametrize(
    ("labels", "fields", "says"),
    [
        ({}, {}, "at least one label"),
        ({"a": ""}, {}, "at least one label"),
        (LABELS, {"starts_ms": START_MS, "ends_ms": START_MS - 1}, "must not be after"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_rest_is_taken(
    world: World, labels: dict[str, str], fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(AlertError, match=says) as caught:
        world.engine.accept([Posted(labels, {}, **fields), Posted({"a": "1"}, {})], world.now_ms)
    assert caught.value.kind == "invalid"
    assert world.only().labels == {"a": "1"}


def test_there_is_a_limit_and_what_is_open_can_still_be_renewed_and_ended(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert posted_module.MOST_OPEN == 10_000
    world = make_world(OURS)
    world.engine._posted._most_open = 3
    with pytest.raises(AlertError, match="3 alerts of other servers are open already"):
        world.engine.accept([Posted({"n": str(number)}, {}) for number in range(5)], world.now_ms)
    assert {alert.labels["n"] for alert in world.engine.current()} == {"0", "1", "2"}
    assert send(world, {"n": "0"}) == []
    assert send(world, {"n": "1"}, ends_ms=world.now_ms) == ["resolved "]
    assert send(world, {"n": "4"}) == ["fired "]


def test_of_equal_ones_in_one_message_the_last_counts(world: World) -> None:
    world.engine.accept([Posted(LABELS, {"summary": "one"}), Posted(LABELS, {"summary": "two"})], world.now_ms)
    assert world.only().summary == "two"


def test_while_the_database_takes_nothing_its_sender_hears_that_and_it_is_told_of_later(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("the disk is full", permanent=False, trouble="full")

    with monkeypatch.context() as full:
        full.setattr(AlertBook, "add", refuse)
        with pytest.raises(StorageError):
            send(world)
    assert world.only().id < 0
    assert world.run() == ["fired Bad"]
    assert world.only().id > 0
    assert world.run(60) == []


def test_a_flood_is_taken_in_portions_and_all_of_it(world: World, database: Database) -> None:
    longest, running = 0, 0

    def count(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        nonlocal longest, running
        running = running + 1 if statement.startswith("INSERT INTO alerts") else running
        longest = max(longest, running)

    def end(connection: Connection) -> None:
        nonlocal running
        running = 0

    event.listen(database, "before_cursor_execute", count)
    event.listen(database, "commit", end)
    flood = [Posted({"alertname": f"A{number}"}, {}) for number in range(2 * posted_module.PORTION + 1)]
    world.engine.accept(flood, START_MS)
    assert len(world.engine.current()) == len(flood)
    assert longest == posted_module.PORTION
