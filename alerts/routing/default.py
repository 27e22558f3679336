"""Who is told what where no routing file is given: every channel gets the levels that it is there for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alerts.delivery.spec import ChannelSpec
from alerts.routing.tree import InhibitRule, Receiver, Route, Routing
from alerts.silencing.matching import LabelMatcher, parse_matchers

#: The receiver of what only the page shows.
PAGE = "page"
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
#: For each level: how long to wait for others, between two notices of a group, and until what still fires is repeated.
_TIMES_MS = {
    1: (60_000, 10 * _MINUTE_MS, 24 * _HOUR_MS),
    2: (30_000, 5 * _MINUTE_MS, 12 * _HOUR_MS),
    3: (2_000, _MINUTE_MS, _HOUR_MS),
}

#: Alerts about things that have nothing to do with each other: one that has been down since yesterday is no reason to
#: tell of another one minutes later.
_APART = "TargetDown|ScrapeDown|RemedyExhausted|LogPattern|LogPatternUrgent"
#: The longest that such wait for their group's next notice.
_APART_MS = 30_000

#: What follows from a model that does not answer.
_NO_ANSWERS = (
    "HighFailureRate|VeryHighFailureRate|ConsecutiveFailures|ManyErrors|ManySlowRequests|InferenceOver30s"
    "|InferenceStalled|HighLatencyP95|HighLatencyP99|QueueBacklog|BreakerOpen|DegradedReplies|BrownOut"
    "|LatencyDrift|LatencyUnusual|TrafficUnusuallyLow|GPUMemoryUnusual|ReplicaDown|HighLatency"
)
_GPU = "GPUMemoryHigh|GPUTemperatureHigh|GPUThermalThrottling|GPUPowerThrottling"
_DOWN = "ServerDown|ServiceDown"
#: Alerts, and the names of those that they explain: the cause is told, what follows from it is not.
_CAUSES = (
    ('alertname="CrashLoop"', f"{_DOWN}|NotReady|ProcessRestarted|ModelReloadedByItself|{_NO_ANSWERS}"),
    # The driver's word for a card that has fallen off the bus.
    ('alertname="GPUXidError",xid="79"', f"{_DOWN}|NotReady|CollectorDown|GPURowRemap|{_GPU}|{_NO_ANSWERS}"),
    ('alertname="ServerDown"', f"ServiceDown|NotReady|{_NO_ANSWERS}"),
    ('alertname="ServiceDown"', f"NotReady|{_NO_ANSWERS}"),  # as many name the same in rule files of their own
    ('alertname="NotReady"', _NO_ANSWERS),
    ('alertname="VeryHighFailureRate"', "HighFailureRate|ManyErrors|ConsecutiveFailures"),
    ('alertname="HighFailureRate"', "ManyErrors"),
    ('alertname="HighLatencyP95"', "HighLatencyP99|ManySlowRequests|InferenceOver30s|LatencyDrift|LatencyUnusual"),
    ('alertname=~"DatabaseDamaged|HistoryNotWritten"', "DatabaseLocked|NoticesFailing|TicksDropped"),
)


def default_routing(channels: Sequence[ChannelSpec]) -> Routing:
    """A routing of the settings' and the page's channels. Level 1 is for the page, unless a channel asks for it.

    A level 3 is told within seconds and repeated hourly; each rule is a group of its own, so that none waits for
    another's rhythm. A cause inhibits what follows from it, among alerts with the same ``instance``.
    """
    routes: list[Route] = []
    receivers = {PAGE: Receiver(PAGE)}
    for level in (3, 2, 1):
        names = tuple(spec.name for spec in channels if spec.least_level <= level)
        name = f"level-{level}" if names else PAGE
        receivers[name] = Receiver(name, names)
        routes.append(_route(level, name, len(routes)))
    root = Route(id="{}", key="{}", path="route", receiver=PAGE, group_by=("alertname",), routes=tuple(routes))
    return Routing(
        root=root,
        receivers=receivers,
        inhibit_rules=tuple(_rule(cause, follows) for cause, follows in _CAUSES),
        send_resolved={spec.name: spec.send_resolved for spec in channels},
    )


def _route(level: int, receiver: str, index: int) -> Route:
    wait_ms, interval_ms, repeat_ms = _TIMES_MS[level]
    route = Route(
        id=f"{{}}/{{}}[level {level}]",
        key=f"{{}}/{{}}[level {level}]",
        path=f"route.routes[{index}]",
        receiver=receiver,
        levels=(level,),
        group_by=("alertname",),
        group_wait_ms=wait_ms,
        group_interval_ms=interval_ms,
        repeat_interval_ms=repeat_ms,
    )
    apart = replace(
        route,
        id=f"{route.id}/apart",
        key=f'{route.key}/{{alertname=~"{_APART}"}}',
        path=f"{route.path}.routes[0]",
        matchers=(LabelMatcher("alertname", _APART, is_regex=True),),
        group_interval_ms=min(interval_ms, _APART_MS),
    )
    return replace(route, routes=(apart,))


def _rule(cause: str, follows: str) -> InhibitRule:
    target = (LabelMatcher("alertname", follows, is_regex=True),)
    return InhibitRule(tuple(parse_matchers(cause)), target, ("instance",))
