"""The alerts table: the newest alert of each label set, and how often it has fired."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine as Database

from alerts.book import AlertBook
from tests.alerts.world import START_MS, World

MakeWorld = Callable[[str], World]

RULES = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, for: 10s}]}]"


def test_the_latest_alert_of_a_label_set_is_found_also_when_it_has_resolved(
    make_world: MakeWorld, database: Database
) -> None:
    world = make_world(RULES)
    for value in (1.0, 0.0, 1.0, 0.0):
        world.source.set("bad", value, gpu="0")
        world.run(30)
    world.source.set("bad", 1.0, gpu="1")
    world.run(30)
    book = AlertBook(database)
    zero, one = sorted(
        {alert.fingerprint: alert for alert in world.engine.history(0, world.now_ms)}.values(),
        key=lambda alert: alert.labels["gpu"],
    )
    found = book.latest({zero.fingerprint, one.fingerprint, "feedfacefeedface"})
    assert set(found) == {zero.fingerprint, one.fingerprint}
    assert (found[zero.fingerprint].state, found[zero.fingerprint].id) == ("resolved", 2)
    assert found[one.fingerprint].state == "firing"
    assert world.engine.latest([one.fingerprint]) == {one.fingerprint: found[one.fingerprint]}


def test_one_that_is_pending_again_does_not_hide_the_one_that_fired(make_world: MakeWorld, database: Database) -> None:
    world = make_world(RULES)
    for value in (1.0, 0.0):
        world.source.set("bad", value)
        world.run(30)
    world.source.set("bad", 1.0)
    world.run()
    pending = world.only()
    assert pending.state == "pending"
    assert AlertBook(database).latest([pending.fingerprint])[pending.fingerprint].state == "resolved"


def test_label_sets_that_never_fired_have_none(database: Database) -> None:
    book = AlertBook(database)
    assert book.latest([]) == {}
    assert book.latest(["0" * 16, "'; DROP TABLE alerts; --"]) == {}


def test_firings_are_counted_within_their_time_by_rule(make_world: MakeWorld, database: Database) -> None:
    world = make_world(RULES)
    for value in (1.0, 0.0, 1.0, 0.0):
        world.source.set("bad", value)
        world.run(30)
    alert = world.engine.history(0, world.now_ms)[0]
    assert alert.firing_ms is not None
    book, key = AlertBook(database), (alert.fingerprint, "Bad")
    others = [f"{number:016x}" for number in range(1200)]
    assert book.firings([alert.fingerprint, *others], START_MS, world.now_ms) == {key: 2}
    assert book.firings([alert.fingerprint], alert.firing_ms - 1, world.now_ms) == {key: 1}
    assert book.firings([alert.fingerprint], alert.firing_ms, world.now_ms) == {}
    assert book.firings([alert.fingerprint], START_MS, alert.firing_ms - 1) == {key: 1}
