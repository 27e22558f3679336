"""How rules and alerts are doing, as metrics and for people."""

from __future__ import annotations

from collections.abc import Callable

from alerts.engine import AlertEngine
from alerts.gauge import AlertCollector
from alerts.rule import parse_rules
from collectors.catalogue import METRICS
from promql import Engine
from tests.alerts.world import START_MS, MemorySource, World

MakeWorld = Callable[..., World]

RULES = """
groups:
  - name: quick
    rules: [{alert: Bad, expr: bad > 0}, {alert: Broken, expr: bad / on () other > 0}]
  - {name: slow, interval: 1m, rules: [{alert: Late, expr: bad > 0, for: 1h}]}
"""


def read(engine: AlertEngine) -> dict[str, float]:
    samples = AlertCollector(engine).collect()
    return {" ".join([name, *dict(labels).values()]): value for name, labels, value in samples}


def test_alerts_are_counted_by_their_state(make_world: MakeWorld) -> None:
    world = make_world(RULES)
    assert read(world.engine)["wakeless_alerts firing"] == 0.0
    world.source.set("bad", 1.0)
    world.run()
    found = read(world.engine)
    assert [found[f"wakeless_alerts {state}"] for state in ("pending", "firing", "acknowledged")] == [1.0, 1.0, 0.0]
    firing = next(alert for alert in world.engine.current() if alert.is_firing)
    world.engine.acknowledge(firing.id, "ada", "on it", world.now_ms)
    assert read(world.engine)["wakeless_alerts acknowledged"] == 1.0


def test_groups_tell_when_they_ran_how_late_that_was_and_what_failed(make_world: MakeWorld) -> None:
    world = make_world(RULES, interval_seconds=5.0)
    assert "rule_group_lateness_seconds test.yml;quick" not in read(world.engine), "nothing has run yet"
    world.source.set("bad", 1.0)
    for gpu in ("0", "1"):
        world.source.set("other", 1.0, gpu=gpu)
    world.run(10)
    world.now_ms += 17_000
    world.run()
    found = read(world.engine)
    assert found["rule_group_lateness_seconds test.yml;quick"] == 12.0
    assert found["rule_group_iterations_missed_total test.yml;quick"] == 2.0
    assert found["rule_evaluations_total test.yml;quick"] == 8.0
    assert found["rule_evaluation_failures_total test.yml;quick"] == 4.0
    assert found["rule_group_last_evaluation_timestamp_seconds test.yml;quick"] == world.now_ms / 1000
    assert found["rule_group_last_duration_seconds test.yml;quick"] > 0
    assert found["rule_evaluations_total test.yml;slow"] == 1.0
    world.now_ms = START_MS + 185_000
    world.run()
    found = read(world.engine)
    assert found["rule_group_lateness_seconds test.yml;slow"] == 125.0
    assert found["rule_group_iterations_missed_total test.yml;slow"] == 2.0
    assert world.engine.rules()[1].lateness_seconds == 125.0


def test_a_clock_that_is_set_makes_nothing_late(make_world: MakeWorld) -> None:
    world = make_world(RULES, interval_seconds=5.0)
    world.run(10)
    world.set_clock(3600)
    world.now_ms += 5_000
    world.run()
    group = world.engine.rules()[0]
    assert (group.lateness_seconds, group.missed) == (0.0, 0)


def test_a_reload_goes_on_counting(make_world: MakeWorld) -> None:
    world = make_world(RULES)
    world.run(10)
    world.reload(RULES.replace("bad > 0", "bad > 1"))
    world.now_ms += 5_000
    world.run()
    assert read(world.engine)["rule_evaluations_total test.yml;quick"] == 8.0


def test_groups_of_equal_names_in_files_of_equal_names_are_kept_apart_and_no_folder_is_told(
    make_world: MakeWorld,
) -> None:
    world = make_world(RULES)
    groups = [group for folder in ("a", "b") for group in parse_rules(RULES, f"/srv/{folder}/my.yml")[0]]
    engine = AlertEngine(world.database, Engine(MemorySource()), groups)
    engine.evaluate(START_MS)
    samples = list(AlertCollector(engine).collect())
    assert len({(name, labels) for name, labels, _ in samples}) == len(samples)
    assert not any("srv" in text for _, labels, _ in samples for _, text in labels)


def test_all_of_them_are_in_the_catalogue(make_world: MakeWorld) -> None:
    world = make_world(RULES)
    world.run()
    for name, labels, _ in AlertCollector(world.engine).collect():
        assert tuple(label for label, _ in labels) == METRICS[name].labels
