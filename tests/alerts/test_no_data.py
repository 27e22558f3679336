"""Thresholds of recovery, evaluations in a row, and data that are not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.alerts.world import World

MakeWorld = Callable[[str], World]


def rule(expr: str = "t > 85", wait: str = "0s", **annotations: str) -> str:
    words = ", ".join(f'wakeless_{name}: "{text}"' for name, text in annotations.items())
    return (
        "groups: [{name: g, rules: [{alert: Hot, "
        f'expr: "{expr}", for: {wait}, labels: {{severity: critical, card: "card {{{{ $labels.gpu }}}}"}}, '
        f'annotations: {{summary: "{{{{ $value }}}} °C", action: Cool it., {words}}}}}]}}]'
    )


# --- a threshold of its own for recovery -------------------------------------------------------------------------


def test_an_alert_that_fires_is_held_until_the_lower_threshold_is_passed(make_world: MakeWorld) -> None:
    world = make_world(rule(hold="t > 80"))
    world.source.set("t", 82.0, gpu="0")
    assert world.run(60) == [], "the lower threshold makes nothing fire"
    world.source.set("t", 90.0, gpu="0")
    assert world.run(5) == ["fired Hot"]
    world.source.set("t", 82.0, gpu="0")
    assert world.run(600) == []
    assert (world.only().value, world.only().summary) == (82.0, "82 °C")
    world.source.set("t", 79.0, gpu="0")
    assert world.run(5) == ["resolved Hot"]
    (alert,) = world.engine.history(0, world.now_ms)
    assert alert.ended_by == "recovered"


def test_it_holds_only_alerts_with_its_own_labels_and_none_that_is_pending(make_world: MakeWorld) -> None:
    world = make_world(rule(wait="1m", hold="t > 80"))
    world.source.set("t", 90.0, gpu="0")
    world.source.set("t", 90.0, gpu="1")
    world.run(60)
    world.source.set("t", 90.0, gpu="2")
    world.run(10)
    world.source.set("t", 70.0, gpu="1")
    world.source.set("t", 82.0, gpu="2")
    world.source.set("t", 82.0, gpu="0")
    assert world.run(5) == ["resolved Hot"]
    assert world.only().labels["gpu"] == "0"


def test_it_holds_over_a_restart(make_world: MakeWorld) -> None:
    world = make_world(rule(hold="t > 80"))
    world.source.set("t", 90.0, gpu="0")
    world.run()
    world.restart()
    world.source.set("t", 82.0, gpu="0")
    assert world.run(120) == []


def test_a_threshold_that_cannot_be_evaluated_is_an_error_of_the_rule_and_ends_nothing(make_world: MakeWorld) -> None:
    world = make_world(rule(hold="t / on () u > 80"))
    world.source.set("t", 90.0, gpu="0")
    world.run()
    world.source.set("t", 70.0, gpu="0")
    world.source.set("u", 1.0, a="1")
    world.source.set("u", 1.0, a="2")
    assert world.run(60) == []
    assert world.states() == {"Hot": "firing"}
    assert world.engine.rules()[0].rules[0].health == "err"


# --- in a row ----------------------------------------------------------------------------------------------------


def test_three_in_a_row_fire_and_two_do_not(make_world: MakeWorld) -> None:
    world = make_world(rule(in_a_row="3"))
    for celsius, expected in [(90, 0), (90, 0), (70, 0), (90, 0), (90, 0), (90, 1), (90, 0)]:
        world.source.set("t", float(celsius), gpu="0")
        assert world.run() == ["fired Hot"] * expected
        world.now_ms += 5_000


def test_it_is_asked_for_beside_for(make_world: MakeWorld) -> None:
    world = make_world(rule(wait="1m", in_a_row="3"))
    world.source.set("t", 90.0, gpu="0")
    assert world.run(55) == []
    assert world.run(5) == ["fired Hot"]


def test_for_may_be_over_before_the_row_is(make_world: MakeWorld) -> None:
    world = make_world(rule(wait="10s", in_a_row="3"))
    world.source.set("t", 90.0, gpu="0")
    assert world.run(20, step=20) == []
    world.now_ms += 20_000
    assert world.run() == ["fired Hot"]


@pytest.mark.parametrize("restart_after", [1, 2])
def test_the_count_survives_a_restart(make_world: MakeWorld, restart_after: int) -> None:
    world = make_world(rule(in_a_row="3"))
    world.source.set("t", 90.0, gpu="0")
    for number in range(1, 3):
        assert world.run() == []
        if number == restart_after:
            world.restart()
        world.now_ms += 5_000
    assert world.run() == ["fired Hot"]


def test_the_count_survives_a_restart_also_where_evaluations_lie_far_apart(make_world: MakeWorld) -> None:
    world = make_world(rule(in_a_row="2").replace("name: g,", "name: g, interval: 10m,"))
    world.source.set("t", 90.0, gpu="0")
    assert world.run() == []
    world.restart()
    world.now_ms += 600_000
    assert world.run() == ["fired Hot"]


def test_an_evaluation_that_failed_neither_counts_nor_breaks_the_row(make_world: MakeWorld) -> None:
    world = make_world(rule(in_a_row="2"))
    world.source.set("t", 90.0, gpu="0")
    world.run()
    world.source.broken = True
    world.now_ms += 5_000
    assert world.run() == []
    world.source.broken = False
    world.now_ms += 5_000
    assert world.run() == ["fired Hot"]


# --- no data -----------------------------------------------------------------------------------------------------


def vanish(world: World) -> None:
    world.source.set("t", 90.0, gpu="0")
    world.run(60)
    world.source.set("t", None, gpu="0")


def test_data_that_end_resolve_an_alert_as_in_prometheus_and_that_is_no_recovery(make_world: MakeWorld) -> None:
    world = make_world(rule())
    vanish(world)
    assert world.run(10) == ["resolved Hot"]
    (alert,) = world.engine.history(0, world.now_ms)
    assert alert.ended_by == "no_data"


def test_a_rule_tells_since_when_it_has_no_data_and_is_well_all_the_same(make_world: MakeWorld) -> None:
    world = make_world(rule())
    world.source.set("t", 20.0, gpu="0")
    world.run()
    assert world.engine.rules()[0].rules[0].no_data_ms is None
    world.source.set("t", None, gpu="0")
    world.now_ms += 10_000
    since_ms = world.now_ms
    world.run(30)
    state = world.engine.rules()[0].rules[0]
    assert (state.no_data_ms, state.health) == (since_ms, "ok")
    world.source.set("t", 20.0, gpu="0")
    world.run(5)
    assert world.engine.rules()[0].rules[0].no_data_ms is None


@pytest.mark.parametrize("expr", ["vector(1) > 2", "absent(t)", "absent_over_time(t[1m])", "t < 85 or vector(1) > 2"])
def test_a_rule_that_answers_from_nothing_does_not_lack_data(make_world: MakeWorld, expr: str) -> None:
    world = make_world(rule(expr=expr))
    if expr.startswith("t <"):
        world.source.set("t", 90.0, gpu="0")
    world.run(60)
    assert world.engine.rules()[0].rules[0].no_data_ms is None


def test_keep_lets_a_firing_alert_wait_for_its_data_also_over_a_restart(make_world: MakeWorld) -> None:
    world = make_world(rule(no_data="keep"))
    vanish(world)
    assert world.run(600) == []
    alert = world.only()
    assert alert.state == "firing"
    assert alert.no_data_ms is not None
    world.restart()
    assert world.only().no_data_ms == alert.no_data_ms
    assert world.run(600) == []
    world.source.set("t", 95.0, gpu="0")
    assert world.run(5) == []
    assert (world.only().no_data_ms, world.only().value) == (None, 95.0)
    world.source.set("t", 20.0, gpu="0")
    assert world.run(5) == ["resolved Hot"]
    (ended,) = world.engine.history(0, world.now_ms)
    assert (ended.ended_by, ended.no_data_ms) == ("recovered", None)


def test_keep_does_not_make_a_pending_alert_fire(make_world: MakeWorld) -> None:
    world = make_world(rule(wait="2m", no_data="keep"))
    vanish(world)
    assert world.run(600) == []
    assert world.engine.current() == []


def test_alert_makes_missing_data_an_alert_by_itself_after_for(make_world: MakeWorld) -> None:
    world = make_world(rule(wait="1m", no_data="alert"))
    vanish(world)
    assert world.run(5) == ["resolved Hot"]
    waiting = world.only()
    assert waiting.state == "pending"
    assert world.run(55) == []
    assert world.run(5) == ["fired Hot"]
    alert = world.only()
    assert alert.labels == {"alertname": "Hot", "severity": "critical", "no_data": "true"}
    assert alert.firing_ms is not None
    assert alert.firing_ms - alert.active_ms == 60_000
    assert (alert.summary, alert.action, alert.level) == ("Hot: no data", "Cool it.", 3)
    world.source.set("t", 20.0, gpu="0")
    assert world.run(5) == ["resolved Hot"]
    ended = world.engine.alert(alert.id)
    assert ended is not None
    assert ended.ended_by == "recovered"


def test_alert_gives_data_some_time_to_come_after_a_start(make_world: MakeWorld) -> None:
    world = make_world(rule(no_data="alert"))
    assert world.run(10) == []
    assert world.engine.current() == []
    assert world.run(5) == ["fired Hot"]
