"""Without a routing file: every channel hears its levels, and one cause sends one message."""

from __future__ import annotations

from pydantic import SecretStr
from sqlalchemy import Engine as Database

from alerts.delivery.spec import ChannelSpec
from alerts.routing.default import _CAUSES, default_routing
from alerts.rule import Rule, load_stock
from alerts.silencing.matching import parse_matchers
from tests.alerts.routing.desk import Desk


def _spec(name: str, least_level: int = 2) -> ChannelSpec:
    return ChannelSpec(name, "apprise", SecretStr("ntfys://topic"), least_level=least_level)


def _stock() -> set[str]:
    """The names of the stock rules."""
    return {rule.name for group in load_stock() for rule in group.rules if isinstance(rule, Rule)}


def test_a_channel_hears_its_levels_and_level_one_stays_on_the_page(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat"), _spec("phone", 3), _spec("log", 1)]))
    desk.fire("A", level="1")
    desk.fire("B", level="2")
    desk.fire("C", level="3")
    said = sorted((item.channel, item.firing) for item in desk.run(90))
    assert said == [("chat", "B"), ("chat", "C"), ("log", "A"), ("log", "B"), ("log", "C"), ("phone", "C")]


def test_nobody_is_told_of_a_level_one_where_no_channel_asks_for_it(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    desk.fire("A", severity="info")
    assert desk.run(600) == []
    (found,) = desk.dispatcher.explain({"alertname": "A", "severity": "info"}, desk.now_ms)
    assert (found.receiver, found.channels) == ("page", ())


def test_a_level_three_is_told_within_two_seconds(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    desk.fire("A", severity="critical")
    assert [item.seconds for item in desk.run(10)] == [2]


def test_a_dead_server_sends_one_message_whatever_follows_from_it(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    follows = (
        "NotReady|HighFailureRate|VeryHighFailureRate|ConsecutiveFailures|ManyErrors|ManySlowRequests"
        "|InferenceOver30s|InferenceStalled|HighLatencyP95|HighLatencyP99|QueueBacklog|BreakerOpen|DegradedReplies"
        "|LatencyDrift|ReplicaDown"
    )
    for name in follows.split("|"):
        desk.fire(name, severity="critical")
    cause = desk.fire("ServerDown", severity="critical", job="photo")
    assert [item.firing for item in desk.run(600)] == ["ServerDown"]
    for alert in [*desk.alerts.values()]:
        desk.resolve(alert)
    assert [item.resolved for item in desk.run(600)] == ["ServerDown"]
    assert cause.rule == "ServerDown"


def test_another_servers_outage_does_not_hide_what_happens_here(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    desk.fire("ServerDown", severity="critical", instance="other:8000")
    desk.fire("NotReady", severity="critical")
    assert sorted(item.firing for item in desk.run(60)) == ["NotReady", "ServerDown"]


def test_a_dead_network_sends_one_message_for_all_that_it_takes_down(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    for index in range(20):  # their probes find out over a few seconds
        desk.fire("TargetDown", severity="critical", level="2", target=f"target{index:02}", probe="http")
        assert desk.run(0.5, step=0.5) == []
    (said,) = desk.run(600)
    assert said.firing.split() == ["TargetDown"] * 20
    for alert in [*desk.alerts.values()]:
        desk.resolve(alert)
    (over,) = desk.run(600)
    assert over.resolved.split() == ["TargetDown"] * 20


def test_a_lost_gpu_explains_what_its_server_says(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    desk.fire("GPUXidError", severity="critical", xid="79")
    for name in ("ServerDown", "NotReady", "CollectorDown", "GPUMemoryHigh", "BreakerOpen"):
        desk.fire(name, severity="critical")
    assert [item.firing for item in desk.run(600)] == ["GPUXidError"]


def test_no_cause_is_among_what_follows_from_itself() -> None:
    for rule in default_routing([]).inhibit_rules:
        for name in _stock():
            labels = {"alertname": name, "xid": "79"}
            is_source = all(matcher.matches(labels) for matcher in rule.source)
            is_target = all(matcher.matches(labels) for matcher in rule.target)
            assert not (is_source and is_target), name


def test_causes_and_what_follows_are_rules_that_exist() -> None:
    known = {*_stock(), "ServiceDown", "HighLatency"}  # the latter are S1's
    follows = {name for _, names in _CAUSES for name in names.split("|")}
    causes = {name for cause, _ in _CAUSES for name in parse_matchers(cause)[0].value.split("|")}
    assert follows | causes <= known


def test_a_target_that_has_long_been_down_is_no_reason_to_tell_late_of_another(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    desk.fire("TargetDown", severity="critical", level="2", target="dead", probe="http")
    assert len(desk.run(100)) == 1
    begun_ms = desk.now_ms
    desk.fire("TargetDown", severity="critical", level="2", target="front", probe="http")
    assert len(desk.run(31)) == 1
    assert desk.now_ms - begun_ms <= 31_000


def test_an_alert_about_a_target_is_explained_by_one_route_of_its_level(database: Database) -> None:
    desk = Desk(database, default_routing([_spec("chat")]))
    for name in ("TargetDown", "GPUTemperatureHigh"):
        (found,) = desk.dispatcher.explain({"alertname": name, "level": "2"}, desk.now_ms)
        assert (found.receiver, found.channels) == ("level-2", ("chat",)), name
