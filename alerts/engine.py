"""The alert engine: evaluates every rule, moves every alert, and writes what changed in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from alerts.arrears import Arrears
from alerts.book import AlertBook
from alerts.evaluation import Origin
from alerts.rule import Group
from alerts.running import GroupState, Means, Record, RunningGroup, RunningRule, Step
from alerts.state import FLUSH_MS, Alert, AlertError, AlertEvent, Track, event_between, resolve
from collectors.sample import Labels
from promql import Engine as QueryEngine
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: Characters of an acknowledgement's reason.
MAX_REASON = 500


class NoticeWriter(Protocol):
    """Puts the notices of an event where they outlive a crash, inside the transaction that records the event."""

    def write(self, connection: Connection, event: AlertEvent) -> None:
        """Write them through ``connection``; writing the same event again changes nothing."""
        ...


class AlertEngine:
    """Owns the state of every alert. All methods may be called from any thread.

    ``outbox`` is told of events inside the transaction that records them. ``record`` takes what recording rules give;
    ``origin`` is what templates know about this server.
    """

    def __init__(
        self,
        database: Database,
        promql: QueryEngine,
        groups: Iterable[Group],
        *,
        outbox: NoticeWriter | None = None,
        record: Record | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._database = database
        self._means = Means(promql, origin or Origin(), record)
        self._outbox = outbox
        self._book = AlertBook(database)
        self._groups = [RunningGroup.of(group) for group in groups]
        self._lock = threading.Lock()
        self._arrears = Arrears()
        self._orphans: list[Alert] = []
        self._boot_ms: int | None = None
        self._current: tuple[Alert, ...] = ()

    def load(self) -> None:
        """Take up where the last process stopped: pending, firing and acknowledged alerts from the database."""
        with self._lock:
            for alert in self._book.open_alerts():
                labels = tuple(sorted(alert.labels.items()))
                owner = next((rule for rule in self._rules() if rule.owns(alert) and labels not in rule.tracks), None)
                if owner is None:
                    self._orphans.append(alert)
                else:
                    owner.tracks[labels] = Track(alert, restored=True, saved_ms=alert.seen_ms)
            self._publish()

    def evaluate(self, now_ms: int) -> list[AlertEvent]:
        """Evaluate the rules that are due; returns what happened. A rule that fails keeps its alerts as they are.

        Raises :class:`storage.error.StorageError` while the database takes nothing. Alerts move on in memory then, so
        that the page shows them; their notices go out, and the log tells of them, once they are written.
        """
        with self._lock:
            self._boot_ms = now_ms if self._boot_ms is None else min(self._boot_ms, now_ms)
            steps = [Step(None, (), Track(alert), _end(alert, now_ms)) for alert in self._orphans]
            for group in self._groups:
                steps += group.run(self._means, now_ms, self._boot_ms)
            steps = self._arrears.join(steps)
            try:
                events = self._commit(steps)
            except StorageError:
                for step in self._arrears.hold(steps):
                    if step.owner is not None:
                        _follow(step.owner, step.labels, step.after)
                self._publish()
                raise
            self._arrears.settle(steps)
            self._orphans = []
            self._publish()
        self._tell(events)
        return events

    def current(self) -> list[Alert]:
        """Every pending and firing alert, the most urgent first."""
        return list(self._current)

    def history(self, start_ms: int, end_ms: int, limit: int = 1000) -> list[Alert]:
        """Alerts that fired at some time in ``[start_ms, end_ms]``, the newest first."""
        live = {alert.id: alert for alert in self._current}
        return [live.get(alert.id, alert) for alert in self._book.between(start_ms, end_ms, limit)]

    def alert(self, alert_id: int) -> Alert | None:
        """One alert, also one that has resolved."""
        found = next((alert for alert in self._current if alert.id == alert_id), None)
        return found or self._book.find(alert_id)

    def rules(self) -> list[GroupState]:
        """Every group with its rules, in the order of the files."""
        with self._lock:
            return [group.state() for group in self._groups]

    def acknowledge(self, alert_id: int, by: str, reason: str, now_ms: int) -> Alert:
        """Put a person's name and reason on a firing alert. It clears itself when the alert resolves.

        Raises :class:`AlertError`: invalid (no name or reason, or too long), not_found, conflict (it does not fire).
        """
        by, reason = by.strip(), reason.strip()
        if not by:
            raise AlertError("invalid", "an acknowledgement needs the name of a person")
        if not reason:
            raise AlertError("invalid", "an acknowledgement needs a reason")
        if len(reason) > MAX_REASON:
            raise AlertError("invalid", f"the reason has {len(reason)} characters; {MAX_REASON} are allowed")
        with self._lock:
            owner, labels, track = self._firing(alert_id)
            if track.alert.state == "acknowledged":
                raise AlertError("conflict", f"the alert is already acknowledged by {track.alert.ack_by}")
            alert = replace(track.alert, state="acknowledged", ack_by=by, ack_reason=reason, ack_ms=now_ms)
            event = AlertEvent("acknowledged", alert, now_ms)
            self._commit_one(owner, labels, replace(track, alert=alert), event)
        self._tell([event])
        return alert

    def unacknowledge(self, alert_id: int, by: str, now_ms: int) -> Alert:
        """Take an acknowledgement back. Raises :class:`AlertError`: not_found, conflict (it is not acknowledged)."""
        with self._lock:
            owner, labels, track = self._firing(alert_id)
            if track.alert.state != "acknowledged":
                raise AlertError("conflict", "the alert is not acknowledged")
            alert = replace(track.alert, state="firing", ack_by=None, ack_reason=None, ack_ms=None)
            self._commit_one(owner, labels, replace(track, alert=alert), None)
        log.info("alert_unacknowledged", alert=alert.rule, id=alert.id, by=by, time_ms=now_ms)
        return alert

    # --- writing (the lock is held) ------------------------------------------------------------------------------

    def _commit(self, steps: Sequence[Step]) -> list[AlertEvent]:
        """Write what must be written, in one transaction; only then let memory follow."""
        flush = any(_is_stale(step) for step in steps)
        changes = {index: step for index, step in enumerate(steps) if _must_write(step, flush)}
        written: dict[int, Track] = {}
        events: list[AlertEvent] = []
        if changes:
            with self._database.begin() as connection:
                for index, step in changes.items():
                    track = self._write(connection, step)
                    if track is None:
                        continue
                    written[index] = track
                    event = event_between(step.before.alert if step.before else None, track.alert)
                    if event is not None:
                        events.append(event)
                        if self._outbox is not None:
                            self._outbox.write(connection, event)
        for index, step in enumerate(steps):
            if step.owner is not None:
                _follow(step.owner, step.labels, written.get(index, step.after))
        return events

    def _write(self, connection: Connection, step: Step) -> Track | None:
        """Write one alert; returns its track as memory is to hold it."""
        if step.after is None:
            if step.before is not None:
                self._book.remove(connection, step.before.alert.id)
            return None
        alert = step.after.alert
        if step.before is None:
            alert = replace(alert, id=self._book.add(connection, alert))
        else:
            self._book.change(connection, alert)
        return replace(step.after, alert=alert, saved_ms=alert.seen_ms)

    def _commit_one(self, owner: RunningRule, labels: Labels, track: Track, event: AlertEvent | None) -> None:
        with self._database.begin() as connection:
            self._book.change(connection, track.alert)
            if event is not None and self._outbox is not None:
                self._outbox.write(connection, event)
        owner.tracks[labels] = replace(track, saved_ms=track.alert.seen_ms)
        self._publish()

    # --- helpers -------------------------------------------------------------------------------------------------

    def _rules(self) -> Iterable[RunningRule]:
        return (rule for group in self._groups for rule in group.rules)

    def _firing(self, alert_id: int) -> tuple[RunningRule, Labels, Track]:
        for rule in self._rules():
            for labels, track in rule.tracks.items():
                if track.alert.id == alert_id:
                    if alert_id < 0:
                        raise AlertError("conflict", "the alert is not in the database yet, which takes nothing now")
                    if not track.alert.is_firing:
                        raise AlertError("conflict", "the alert is pending and does not fire yet")
                    return rule, labels, track
        if self._book.find(alert_id) is None:
            raise AlertError("not_found", f"there is no alert {alert_id}")
        raise AlertError("conflict", "the alert does not fire any more")

    def _publish(self) -> None:
        alerts = [track.alert for rule in self._rules() for track in rule.tracks.values()]
        alerts.sort(key=lambda alert: (alert.state == "pending", -alert.level, alert.active_ms, alert.id))
        self._current = tuple(alerts)

    def _tell(self, events: Sequence[AlertEvent]) -> None:
        for event in events:
            alert = event.alert
            log.info(f"alert_{event.kind}", alert=alert.rule, id=alert.id, labels=dict(alert.labels), value=alert.value)


def _end(alert: Alert, now_ms: int) -> Track | None:
    """The end of an alert whose rule is gone."""
    return None if alert.state == "pending" else Track(resolve(alert, now_ms))


def _follow(owner: RunningRule, labels: Labels, track: Track | None) -> None:
    if track is None or track.alert.state == "resolved":
        owner.tracks.pop(labels, None)
    else:
        owner.tracks[labels] = track


def _must_write(step: Step, flush: bool) -> bool:
    """Whether the database must know of a step now; ``flush``: also of what may wait."""
    before, after = step.before, step.after
    if before is None or after is None:
        return True
    moved = before.alert.state != after.alert.state or before.alert.active_ms != after.alert.active_ms
    return moved or (flush and before.alert != after.alert)


def _is_stale(step: Step) -> bool:
    """Whether what the database has of an alert that still holds is a minute old."""
    return step.after is not None and abs(step.after.alert.seen_ms - step.after.saved_ms) >= FLUSH_MS
