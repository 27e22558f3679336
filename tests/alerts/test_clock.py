"""The clock is set while alerts wait: nobody waits for less or for more than the rule says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from alerts.posted import Posted
from tests.alerts.world import World

MakeWorld = Callable[[str], World]

STEPS = [-7200, -60, -1, 1, 30, 60, 7200]


@pytest.mark.parametrize("seconds", STEPS)
def test_a_pending_alert_waits_for_what_is_left(make_world: MakeWorld, seconds: int) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, for: 1m}]}]")
    world.source.set("bad", 1.0)
    world.run(30)
    world.set_clock(seconds)
    assert world.run(25) == []
    world.now_ms += 5_000
    assert world.run() == ["fired Bad"]
    alert = world.only()
    assert alert.firing_ms == alert.active_ms + 60_000


@pytest.mark.parametrize("seconds", STEPS)
def test_also_when_the_server_starts_anew_right_after_that(make_world: MakeWorld, seconds: int) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, for: 1m}]}]")
    world.source.set("bad", 1.0)
    world.run(30)
    world.set_clock(seconds)
    world.run()
    world.restart()
    assert world.run(25) == []
    world.now_ms += 5_000
    assert world.run() == ["fired Bad"]


@pytest.mark.parametrize("seconds", STEPS)
def test_keep_firing_for_is_as_long_as_it_says(make_world: MakeWorld, seconds: int) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0, keep_firing_for: 1m}]}]")
    world.source.set("bad", 1.0)
    world.run()
    world.source.set("bad", 0.0)
    world.now_ms += 5_000
    assert world.run(30) == []
    world.set_clock(seconds)
    assert world.run(25) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Bad"]


@pytest.mark.parametrize("seconds", STEPS)
def test_a_group_keeps_its_interval(make_world: MakeWorld, seconds: int) -> None:
    world = make_world("groups: [{name: g, interval: 1m, rules: [{alert: Bad, expr: bad > 0}]}]")
    world.run(30)
    world.source.set("bad", 1.0)
    world.set_clock(seconds)
    assert world.run(25) == []
    world.now_ms += 5_000
    assert world.run() == ["fired Bad"]


@pytest.mark.parametrize("seconds", STEPS)
def test_another_servers_alert_does_not_expire_early(make_world: MakeWorld, seconds: int) -> None:
    world = make_world("groups: []")
    world.engine.accept([Posted({"alertname": "Far"}, {})], world.now_ms)
    world.run(100)
    world.set_clock(seconds)
    assert world.run(195) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Far"]


def test_what_was_restored_is_given_its_time_all_the_same(make_world: MakeWorld) -> None:
    world = make_world("groups: [{name: g, rules: [{alert: Bad, expr: bad > 0}]}]")
    world.source.set("bad", 1.0)
    world.run()
    world.source.set("bad", None)
    world.restart()
    world.now_ms += 5_000
    assert world.run() == []
    world.set_clock(3600)
    world.now_ms += 5_000
    assert world.run(5) == []
    world.now_ms += 5_000
    assert world.run() == ["resolved Bad"]


def test_it_is_said_once_and_a_clock_that_drifts_is_not_one_that_was_set(make_world: MakeWorld) -> None:
    world = make_world("groups: []")
    with capture_logs() as logs:
        world.set_clock(0.05)
        world.run(60)
        assert logs == []
        world.set_clock(-3600)
        world.run(60)
    assert [(line["event"], line["seconds"]) for line in logs] == [("clock_was_set", -3599.95)]
