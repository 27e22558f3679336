"""Who is told of an alert: the tree of routes, receivers, and what keeps notices back. Pure values, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.delivery.spec import ChannelSpec
from alerts.routing.calendar import TimeInterval, contains_any
from alerts.routing.rota import Rota
from alerts.silencing.matching import LabelMatcher, match_all
from alerts.state import level_of

#: What holds where a file says nothing, in milliseconds.
GROUP_WAIT_MS = 30_000
GROUP_INTERVAL_MS = 300_000
REPEAT_INTERVAL_MS = 4 * 3_600_000
EVERY_LEVEL = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Escalation:
    """A receiver that is told as well when nobody has acknowledged for so long."""

    after_ms: int
    receiver: str


@dataclass(frozen=True, slots=True)
class QuietHours:
    """While one of the named time intervals holds the moment, alerts of these levels wait."""

    time_intervals: tuple[str, ...]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One node of the tree, with everything that it inherits filled in.

    ``key`` is Alertmanager's name for it, ``id`` the same made unique among routes that match alike. ``levels`` narrow
    it further. ``path`` is its place: ``routes[0].routes[2]``.
    """

    id: str
    key: str
    path: str
    receiver: str
    matchers: tuple[LabelMatcher, ...] = ()
    levels: tuple[int, ...] = EVERY_LEVEL
    group_by: tuple[str, ...] = ()
    group_by_all: bool = False
    group_wait_ms: int = GROUP_WAIT_MS
    group_interval_ms: int = GROUP_INTERVAL_MS
    repeat_interval_ms: int = REPEAT_INTERVAL_MS
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    escalation: tuple[Escalation, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    continues: bool = False
    routes: tuple[Route, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the node itself takes an alert with these labels."""
        if not match_all(self.matchers, labels):
            return False
        return self.levels == EVERY_LEVEL or level_of(labels) in self.levels

    def find(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes below and including this one by which people hear of an alert; empty if it does not match."""
        if not self.matches(labels):
            return []
        found: list[Route] = []
        for route in self.routes:
            below = route.find(labels)
            found += below
            if below and not route.continues:
                break
        return found or [self]

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Those of an alert's labels by which it is grouped, sorted by name."""
        names = sorted(labels) if self.group_by_all else sorted(name for name in self.group_by if name in labels)
        return {name: labels[name] for name in names}

    def walk(self) -> Iterator[Route]:
        """The route and all below it."""
        yield self
        for route in self.routes:
            yield from route.walk()


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """While an alert fires that ``source`` matches, those that ``target`` matches are not told.

    Both must have equal values, or both none, of the labels ``equal``.
    """

    source: tuple[LabelMatcher, ...]
    target: tuple[LabelMatcher, ...]
    equal: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Which alerts keep which others back, as matchers."""
        return f"{matchers_text(self.source)} → {matchers_text(self.target)}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """People or programs that are told together; ``channels`` are names of channels."""

    name: str
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routing:
    """One routing file, or the default: everything that decides who is told what, and when.

    ``unsupported`` names what the file asks for and does not get, ``notes`` what is done in another way. ``channels``
    are those that the file itself describes; receivers may name others, of the settings or the page.
    """

    root: Route
    receivers: Mapping[str, Receiver]
    channels: tuple[ChannelSpec, ...] = ()
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    inhibit_rules: tuple[InhibitRule, ...] = ()
    time_intervals: Mapping[str, tuple[TimeInterval, ...]] = field(default_factory=dict)
    resolve_timeout_ms: int = 300_000
    file: str | None = None
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    send_resolved: Mapping[str, bool] = field(default_factory=dict)

    def receiver(self, name: str, now_ms: int) -> Receiver:
        """A receiver by name; for a rota, the one that is on call at a moment."""
        rota = self.rotas.get(name)
        return self.receivers[rota.on_call(now_ms) if rota is not None else name]

    def is_inside(self, names: Sequence[str], now_ms: int) -> bool:
        """Whether any of the named time intervals holds the moment."""
        return any(contains_any(self.time_intervals[name], now_ms) for name in names)

    def muting_intervals(self, route: Route, now_ms: int) -> list[str]:
        """The time intervals because of which a route tells nothing at a moment."""
        if route.active_time_intervals and not self.is_inside(route.active_time_intervals, now_ms):
            return list(route.active_time_intervals)
        return [name for name in route.mute_time_intervals if self.is_inside((name,), now_ms)]

    def is_quiet(self, route: Route, level: int, now_ms: int) -> bool:
        """Whether alerts of a level wait at a moment because of quiet hours."""
        return any(
            level in quiet.levels and self.is_inside(quiet.time_intervals, now_ms) for quiet in route.quiet_hours
        )


def matchers_text(matchers: Sequence[LabelMatcher]) -> str:
    """Matchers as Alertmanager writes them: ``{a="b",c=~"d"}``."""
    return "{" + ",".join(str(matcher) for matcher in matchers) + "}"


def labels_text(labels: Mapping[str, str]) -> str:
    """A label set as Alertmanager writes it: ``{a="b", c="d"}``."""
    return "{" + ", ".join(f"{name}={_quoted(labels[name])}" for name in sorted(labels)) + "}"


def _quoted(value: str) -> str:
    """As Go quotes a text."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
