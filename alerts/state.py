"""What an alert is, and the one place that says how its state moves: inactive → pending → firing → resolved.

Pure: no clock, no database. Acknowledged is firing with a person's name on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from collectors.sample import Labels

State = Literal["pending", "firing", "acknowledged", "resolved"]
EventKind = Literal["fired", "resolved", "acknowledged"]
#: Who raised an alert: our own rules, or another server through the Alertmanager API.
Source = Literal["rules", "api"]
#: Why an alert resolved: its condition or its data ended, its rule went away, it was not sent again, or its sender said
#: so.
Ending = Literal["recovered", "no_data", "rule_removed", "expired", "told"]

#: The least time after a start in which an alert read from disk is not taken for gone: its data may not be back yet.
GRACE_MS = 15_000
#: How often what only moves slowly (last seen, value) is written; so much may be unknown after a crash.
FLUSH_MS = 60_000

_LEVELS = {"critical": 3, "page": 3, "error": 3, "warning": 2, "info": 1}


class AlertError(Exception):
    """An acknowledgement that cannot be: the alert is unknown, not in a state for it, or the words do not do."""

    permanent = True

    def __init__(self, kind: Literal["not_found", "conflict", "invalid"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["not_found", "conflict", "invalid"] = kind


@dataclass(frozen=True, slots=True)
class Alert:
    """One breach of one rule by one label set, from the moment it became pending until it resolved.

    ``id`` is 0 until it is in the database. ``value`` is None where the expression gave NaN. ``flaps`` is how often it
    had fired shortly before, this time included: more than a few and it flaps. ``no_data_ms`` is since when the data
    that it is about are missing. ``ends_ms`` is when an alert that another server sent ends unless it is sent again.
    """

    id: int
    fingerprint: str
    rule: str
    group: str
    state: State
    severity: str
    level: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float | None
    active_ms: int
    firing_ms: int | None
    resolved_ms: int | None
    seen_ms: int
    ack_by: str | None = None
    ack_reason: str | None = None
    ack_ms: int | None = None
    source: Source = "rules"
    ended_by: Ending | None = None
    no_data_ms: int | None = None
    flaps: int = 0
    streak: int = 0
    ends_ms: int | None = None
    generator_url: str | None = None

    @property
    def summary(self) -> str:
        """What happened, in a line; the rule's name where the rule says nothing."""
        return self.annotations.get("summary") or self.rule

    @property
    def description(self) -> str:
        """What it means."""
        return self.annotations.get("description", "")

    @property
    def action(self) -> str:
        """What to do about it."""
        return self.annotations.get("action", "")

    def text(self, name: str, language: str) -> str:
        """An annotation in a language (``summary_zh`` before ``summary``)."""
        fallback = self.rule if name == "summary" else ""
        return self.annotations.get(f"{name}_{language}") or self.annotations.get(name) or fallback

    @property
    def is_firing(self) -> bool:
        """Whether it fires now, acknowledged or not."""
        return self.state in ("firing", "acknowledged")

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, the three main annotations beside the fields."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields |= {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        return fields | {"summary": self.summary, "description": self.description, "action": self.action}


class AlertEvent(NamedTuple):
    """Something about an alert that people may want to hear; ``alert`` is as it was right after."""

    kind: EventKind
    alert: Alert
    time_ms: int


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert that has fired ``count`` times within ``within_ms`` flaps: it stays open, as one long alert, until its
    condition has been gone for ``quiet_ms``.
    """

    count: int
    within_ms: int
    quiet_ms: int

    @classmethod
    def of_seconds(cls, count: int, within: float, quiet: float) -> Flapping | None:
        """The same from settings; None for a ``count`` of 0."""
        return cls(count, round(within * 1000), round(quiet * 1000)) if count else None


class Timing(NamedTuple):
    """A rule's patience, in milliseconds. ``interval_ms`` lies between two evaluations.

    An alert fires once its condition has held for ``for_ms`` and ``in_a_row`` evaluations, and ends when it has been
    gone for ``keep_ms``. ``flapping`` None: nothing is said to flap.
    """

    for_ms: int
    keep_ms: int
    in_a_row: int = 1
    interval_ms: int = 0
    flapping: Flapping | None = None

    def flaps(self, alert: Alert) -> bool:
        """Whether an alert flaps."""
        return self.flapping is not None and alert.flaps >= self.flapping.count

    def keep_of(self, alert: Alert) -> int:
        """For how long an alert outlives its condition."""
        if self.flapping is not None and self.flaps(alert):
            return max(self.keep_ms, self.flapping.quiet_ms)
        return self.keep_ms


class Breach(NamedTuple):
    """One element of a rule's result: the alert's labels, the value, and the annotations expanded for it."""

    labels: Labels
    value: float | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Track:
    """An alert that is pending or firing (or has just resolved), and what only the running process knows of it."""

    alert: Alert
    restored: bool = False  # read from disk and not seen to hold since
    gone_ms: int | None = None  # since when only keep_firing_for, or its flapping, holds it
    saved_ms: int = 0  # the ``seen_ms`` that the database has


def begin(breach: Breach, rule: str, group: str, timing: Timing, now_ms: int) -> Track:
    """A breach that was not there before: pending, or firing at once where the rule has no ``for``."""
    labels = dict(breach.labels)
    alert = Alert(
        id=0,
        fingerprint=fingerprint(breach.labels),
        rule=rule,
        group=group,
        state="pending",
        severity=labels.get("severity", "none"),
        level=level_of(labels),
        labels=labels,
        annotations=breach.annotations,
        value=breach.value,
        active_ms=now_ms,
        firing_ms=None,
        resolved_ms=None,
        seen_ms=now_ms,
    )
    return hold(Track(alert), breach, timing, now_ms)


def hold(track: Track, breach: Breach, timing: Timing, now_ms: int) -> Track:
    """The expression holds (still): a pending alert whose time has come fires."""
    alert = track.alert
    active_ms, streak = alert.active_ms, alert.streak
    if alert.state == "pending":
        if track.restored and now_ms - alert.seen_ms > timing.for_ms + FLUSH_MS + timing.interval_ms:
            active_ms, streak = now_ms, 0  # nobody watched for longer than ``for``: it may have been well in between
        elif now_ms < alert.seen_ms:
            active_ms = now_ms - (alert.seen_ms - active_ms)  # the clock was set back: keep what has elapsed
        streak = min(streak + 1, timing.in_a_row)
    fires = alert.state == "pending" and now_ms - active_ms >= timing.for_ms and streak >= timing.in_a_row
    again = track.gone_ms is not None and timing.flaps(alert)
    alert = replace(
        alert,
        state="firing" if fires else alert.state,
        firing_ms=now_ms if fires else alert.firing_ms,
        active_ms=active_ms,
        seen_ms=now_ms,
        value=breach.value,
        annotations=breach.annotations,
        no_data_ms=None,
        flaps=alert.flaps + again,
        streak=streak,
    )
    return Track(alert, saved_ms=track.saved_ms)


def miss(track: Track, timing: Timing, now_ms: int, boot_ms: int, ended_by: Ending = "recovered") -> Track | None:
    """The expression does not hold (any more): None for a pending alert that is dropped, else kept or resolved.

    An alert restored from disk is left as it is until ``for``, and 15 s at least, have passed since ``boot_ms``.
    """
    if track.restored and now_ms - boot_ms < max(timing.for_ms, GRACE_MS):
        return track
    if track.alert.state == "pending":
        return None
    alert = replace(track.alert, no_data_ms=None)
    gone_ms = now_ms if track.gone_ms is None else min(track.gone_ms, now_ms)
    if now_ms - gone_ms < timing.keep_of(alert):
        return replace(track, alert=alert, restored=False, gone_ms=gone_ms)
    return replace(track, alert=resolve(alert, now_ms, ended_by))


def lack(track: Track, now_ms: int) -> Track:
    """A firing alert's data are missing, and its rule has it wait for them."""
    if track.alert.no_data_ms is not None:
        return track
    return replace(track, alert=replace(track.alert, no_data_ms=now_ms))


def shift(track: Track, step_ms: int) -> Track:
    """The clock was set: what has elapsed stays as long as it was. The database hears of it with the next step."""
    alert = track.alert
    if alert.state == "pending":
        alert = replace(alert, active_ms=alert.active_ms + step_ms, seen_ms=alert.seen_ms + step_ms)
    if alert.ends_ms is not None:
        alert = replace(alert, ends_ms=alert.ends_ms + step_ms)
    gone_ms = None if track.gone_ms is None else track.gone_ms + step_ms
    return replace(track, alert=alert, gone_ms=gone_ms, saved_ms=0)


def resolve(alert: Alert, now_ms: int, ended_by: Ending) -> Alert:
    """The alert, ended; never before it fired, whatever the clock did."""
    resolved_ms = max(now_ms, alert.firing_ms or now_ms)
    return replace(alert, state="resolved", resolved_ms=resolved_ms, ended_by=ended_by)


def event_between(before: Alert | None, after: Alert) -> AlertEvent | None:
    """What people hear of a step from ``before`` to ``after``."""
    was_firing = before is not None and before.is_firing
    if after.is_firing and not was_firing and after.firing_ms is not None:
        return AlertEvent("fired", after, after.firing_ms)
    if after.state == "resolved" and after.resolved_ms is not None:
        return AlertEvent("resolved", after, after.resolved_ms)
    return None


def level_of(labels: Mapping[str, str]) -> int:
    """The label ``level`` (1 log only, 2 message, 3 wake somebody), or what the severity stands for."""
    level = labels.get("level", "")
    return int(level) if level in ("1", "2", "3") else _LEVELS.get(labels.get("severity", ""), 2)


def fingerprint(labels: Labels) -> str:
    """Alertmanager's fingerprint of a sorted label set: FNV-1a, 64 bits, as 16 hex digits."""
    value = 0xCBF29CE484222325
    for name, text in labels:
        for byte in b"%b\xff%b\xff" % (name.encode(), text.encode()):
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"
