"""An alert that comes and goes becomes one long alert, until it has been quiet for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alerts.book import AlertBook
from alerts.state import Flapping
from storage.error import StorageError
from tests.alerts.world import World

MakeWorld = Callable[..., World]

RULES = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0}, {alert: Worse, expr: bad > 0}]}]"
ONE = "groups: [{name: g, rules: [{alert: Bad, expr: bad > 0}]}]"
FLAPPING = Flapping.of_seconds(3, within=600, quiet=120)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(ONE, flapping=FLAPPING)


def flap(world: World, times: int) -> list[str]:
    """It is bad for half a minute, then well for half a minute."""
    happened = []
    for _ in range(times):
        for bad in (1.0, 0.0):
            world.source.set("bad", bad)
            world.now_ms += 5_000
            happened += world.run(25)
    return happened


def test_the_third_time_it_stays_open_until_it_has_been_quiet(world: World) -> None:
    assert flap(world, 2) == ["fired Bad", "resolved Bad"] * 2
    assert flap(world, 5) == ["fired Bad"]
    assert world.states() == {"Bad": "firing"}
    assert world.only().flaps == 7, "each time that it came back is counted"
    assert world.run(90) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Bad"]
    last = world.engine.history(0, world.now_ms)[0]
    assert (last.flaps, last.ended_by) == (7, "recovered")


def test_a_slow_one_does_not_flap(world: World) -> None:
    for _ in range(6):
        assert flap(world, 1) == ["fired Bad", "resolved Bad"]
        world.now_ms += 240_000
    assert [alert.flaps for alert in world.engine.history(0, world.now_ms)] == [2, 2, 2, 2, 2, 1]


def test_times_before_a_restart_count(world: World) -> None:
    assert flap(world, 2) == ["fired Bad", "resolved Bad"] * 2
    world.restart()
    assert flap(world, 2) == ["fired Bad"]
    world.restart()
    assert world.only().flaps == 4
    assert flap(world, 1) == []


def test_two_rules_with_the_same_series_are_counted_apart(make_world: MakeWorld) -> None:
    world = make_world(RULES, flapping=FLAPPING)
    assert sorted(flap(world, 1)) == ["fired Bad", "fired Worse", "resolved Bad", "resolved Worse"]
    assert {alert.flaps for alert in world.engine.history(0, world.now_ms)} == {1}


@pytest.mark.parametrize("flapping", [None, Flapping.of_seconds(0, within=600, quiet=120)])
def test_without_it_an_alert_comes_and_goes_as_in_prometheus(make_world: MakeWorld, flapping: Flapping | None) -> None:
    world = make_world(ONE, flapping=flapping)
    assert flap(world, 6) == ["fired Bad", "resolved Bad"] * 6
    assert {alert.flaps for alert in world.engine.history(0, world.now_ms)} == {0}


def test_it_fires_also_where_nobody_can_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("the disk is gone", permanent=False, trouble="disk")

    monkeypatch.setattr(AlertBook, "firings", refuse)
    assert flap(world, 4) == ["fired Bad", "resolved Bad"] * 4
