"""The alert engine: evaluates every rule, moves every alert, and writes what changed in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from itertools import chain

import structlog
from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from alerts.arrears import Arrears
from alerts.book import AlertBook
from alerts.evaluation import Origin
from alerts.flapping import FlapCount
from alerts.pace import Pace
from alerts.posted import PORTION, Posted, PostedAlerts, refusal
from alerts.roster import Roster
from alerts.rule import Group
from alerts.running import GroupState, Means, Record
from alerts.state import Alert, AlertError, AlertEvent, Flapping, Track, event_between
from alerts.step import NoticeWriter, Owner, Step, removal
from collectors.sample import Labels
from promql import Engine as QueryEngine
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: Characters of an acknowledgement's reason.
MAX_REASON = 500
#: The wall clock was set if it has moved by more than this against a clock that nobody sets.
_CLOCK_STEP_MS = 100


class AlertEngine:
    """Owns the state of every alert. All methods may be called from any thread.

    ``outbox`` is told of events inside the transaction that records them. ``record`` takes what recording rules give;
    ``origin`` is what templates know about this server. ``interval_seconds`` lies between two evaluations, as far as
    that is known. ``flapping`` None: no alert is said to flap. ``resolve_seconds``: an alert of another server ends
    when it is not sent again for so long. ``clock_offset_ms`` is the wall clock less one that nobody sets: with it, no
    step of the clock makes an alert wait for less or more than its rule says.
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
        interval_seconds: float = 0.0,
        flapping: Flapping | None = None,
        resolve_seconds: float = 300.0,
        clock_offset_ms: Callable[[], int] | None = None,
    ) -> None:
        self._database = database
        self._means = Means(promql, origin or Origin(), record)
        self._outbox = outbox
        self._book = AlertBook(database)
        self._flaps = None if flapping is None else FlapCount(self._book, flapping)
        self._roster = Roster(groups, Pace(round(interval_seconds * 1000), flapping))
        self._posted = PostedAlerts(round(resolve_seconds * 1000))
        self._clock_offset_ms = clock_offset_ms
        self._offset_ms = None if clock_offset_ms is None else clock_offset_ms()
        self._lock = threading.Lock()
        self._arrears = Arrears()
        self._orphans: list[Alert] = []
        self._loaded = False
        self._boot_ms: int | None = None
        self._current: tuple[Alert, ...] = ()

    def load(self) -> None:
        """Take up where the last process stopped: pending, firing and acknowledged alerts from the database."""
        with self._lock:
            self._load()

    def evaluate(self, now_ms: int) -> list[AlertEvent]:
        """Evaluate the rules that are due; returns what happened. A rule that fails keeps its alerts as they are.

        Raises :class:`storage.error.StorageError` while the database takes nothing. Alerts move on in memory then, so
        that the page shows them; their notices go out, and the log tells of them, once they are written.
        """
        with self._lock:
            self._follow_clock()
            self._boot_ms = boot_ms = now_ms if self._boot_ms is None else min(self._boot_ms, now_ms)
            steps = [removal(None, (), Track(alert), now_ms) for alert in self._orphans]
            steps += self._roster.end_removed(self._means, now_ms)
            for group in self._roster.groups:
                steps += group.run(self._means, now_ms, boot_ms)
            steps += self._posted.expire(now_ms, boot_ms)
            try:
                events = self._move(steps, now_ms)
                self._orphans = []
            finally:
                self._publish()
        self._tell(events)
        return events

    def replace(self, groups: Sequence[Group], now_ms: int) -> None:
        """Use these rules from the next evaluation on. Rules that are there still keep their alerts as they are.

        A rule is the same if file, group, name and fixed labels are, or what of that can be found again. Alerts of
        rules that are gone resolve at the next evaluation.
        """
        with self._lock:
            self._roster.replace(groups)
            self._orphans = self._roster.place(self._orphans)
            self._publish()
        log.info("rules_replaced", rules=sum(len(group.rules) for group in groups), time_ms=now_ms)

    def accept(self, posted: Sequence[Posted], now_ms: int) -> None:
        """Take alerts of another server: they fire at once, are renewed when they come again, and end when told.

        Raises :class:`AlertError`: invalid, if any had to be refused; the others have been taken. Raises
        :class:`storage.error.StorageError` while the database takes nothing.
        """
        problems: list[str] = []
        for start in range(0, len(posted), PORTION):
            with self._lock:
                self._load()
                self._follow_clock()
                steps, refused = self._posted.take(posted[start : start + PORTION], now_ms)
                problems += refused
                try:
                    events = self._move(steps, now_ms)
                finally:
                    self._publish()
            self._tell(events)
        if problems:
            raise refusal(problems)

    def current(self) -> list[Alert]:
        """Every pending and firing alert, the most urgent first."""
        return list(self._current)

    def latest(self, fingerprints: Collection[str]) -> dict[str, Alert]:
        """The alert of each label set that began to fire last, also if it has resolved."""
        return self._book.latest(fingerprints)

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
            return [group.state() for group in self._roster.groups]

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

    # --- life (the lock is held) ---------------------------------------------------------------------------------

    def _load(self) -> None:
        if self._loaded:
            return
        stored = self._book.open_alerts()
        self._posted.place(alert for alert in stored if alert.source == "api")
        self._orphans = self._roster.place(alert for alert in stored if alert.source != "api")
        self._loaded = True
        self._publish()

    def _follow_clock(self) -> None:
        """Where the clock was set, let what has elapsed be as long as it was."""
        if self._clock_offset_ms is None or self._offset_ms is None:
            return
        step_ms = self._clock_offset_ms() - self._offset_ms
        if abs(step_ms) < _CLOCK_STEP_MS:
            return
        self._offset_ms += step_ms
        self._boot_ms = None if self._boot_ms is None else self._boot_ms + step_ms
        self._roster.shift(step_ms)
        self._posted.shift(step_ms)
        log.warning("clock_was_set", seconds=step_ms / 1000)

    # --- writing (the lock is held) ------------------------------------------------------------------------------

    def _move(self, steps: list[Step], now_ms: int) -> list[AlertEvent]:
        """Write the steps and let memory follow; where they cannot be written, memory goes ahead."""
        if self._flaps is not None:
            steps = self._flaps.counted(steps, self._arrears.ended, now_ms)
        steps = self._arrears.join(steps)
        try:
            events = self._commit(steps)
        except StorageError:
            for step in self._arrears.hold(steps):
                step.follow(step.after)
            raise
        self._arrears.settle(steps)
        return events

    def _commit(self, steps: Sequence[Step]) -> list[AlertEvent]:
        """Write what must be written, in one transaction; only then let memory follow."""
        flush = any(step.is_stale for step in steps)
        changes = {index: step for index, step in enumerate(steps) if step.must_be_written(flush=flush)}
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
            step.follow(written.get(index, step.after))
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

    def _commit_one(self, owner: Owner, labels: Labels, track: Track, event: AlertEvent | None) -> None:
        with self._database.begin() as connection:
            self._book.change(connection, track.alert)
            if event is not None and self._outbox is not None:
                self._outbox.write(connection, event)
        owner.tracks[labels] = replace(track, saved_ms=track.alert.seen_ms)
        self._publish()

    # --- helpers -------------------------------------------------------------------------------------------------

    def _owners(self) -> Iterable[Owner]:
        return chain(self._roster.owners(), [self._posted])

    def _firing(self, alert_id: int) -> tuple[Owner, Labels, Track]:
        for owner in self._owners():
            for labels, track in owner.tracks.items():
                if track.alert.id == alert_id:
                    if alert_id < 0:
                        raise AlertError("conflict", "the alert is not in the database yet, which takes nothing now")
                    if not track.alert.is_firing:
                        raise AlertError("conflict", "the alert is pending and does not fire yet")
                    return owner, labels, track
        if self._book.find(alert_id) is None:
            raise AlertError("not_found", f"there is no alert {alert_id}")
        raise AlertError("conflict", "the alert does not fire any more")

    def _publish(self) -> None:
        alerts = [*self._orphans, *(track.alert for owner in self._owners() for track in owner.tracks.values())]
        alerts.sort(key=lambda alert: (alert.state == "pending", -alert.level, alert.active_ms, alert.id))
        self._current = tuple(alerts)

    def _tell(self, events: Sequence[AlertEvent]) -> None:
        for event in events:
            alert = event.alert
            log.info(f"alert_{event.kind}", alert=alert.rule, id=alert.id, labels=dict(alert.labels), value=alert.value)
