"""One alert's move from one evaluation to the next, and when the database must hear of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from alerts.state import FLUSH_MS, Alert, AlertEvent, Track, resolve
from collectors.sample import Labels


class Owner(Protocol):
    """Who raises alerts: a rule, or other servers. One open alert for each label set."""

    tracks: dict[Labels, Track]


class NoticeWriter(Protocol):
    """Puts the notices of an event where they outlive a crash, inside the transaction that records the event."""

    def write(self, connection: Connection, event: AlertEvent) -> None:
        """Write them through ``connection``; writing the same event again changes nothing."""
        ...


class Step(NamedTuple):
    """How one alert moves. ``owner`` None: its rule is gone; ``before`` None: it is new; ``after`` None: dropped."""

    owner: Owner | None
    labels: Labels
    before: Track | None
    after: Track | None

    @property
    def fires(self) -> bool:
        """Whether the alert begins to fire."""
        was_firing = self.before is not None and self.before.alert.is_firing
        return self.after is not None and self.after.alert.is_firing and not was_firing

    def follow(self, track: Track | None) -> None:
        """Let memory hold this."""
        if self.owner is None:
            return
        if track is None or track.alert.state == "resolved":
            self.owner.tracks.pop(self.labels, None)
        else:
            self.owner.tracks[self.labels] = track

    def must_be_written(self, *, flush: bool) -> bool:
        """Whether the database must know of it now; ``flush``: also of what may wait."""
        if self.before is None or self.after is None:
            return True
        before, after = self.before.alert, self.after.alert
        return _weighty(before) != _weighty(after) or (flush and (before != after or self.is_stale))

    @property
    def is_stale(self) -> bool:
        """Whether what the database has of an alert that still holds is a minute old."""
        return self.after is not None and abs(self.after.alert.seen_ms - self.after.saved_ms) >= FLUSH_MS


def removal(owner: Owner | None, labels: Labels, track: Track, now_ms: int) -> Step:
    """The end of an alert whose rule is gone; one that is pending leaves no trace."""
    alert = track.alert
    after = None if alert.state == "pending" else Track(resolve(alert, now_ms, "rule_removed"))
    return Step(owner, labels, track, after)


def _weighty(alert: Alert) -> tuple[Any, ...]:
    """What a restart must find as it was."""
    return alert.state, alert.active_ms, alert.streak, alert.flaps, alert.no_data_ms is None, alert.group
