"""Turns the alerts that stand into notices: groups them, waits, repeats, escalates, and never tells twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from heapq import nsmallest

import structlog
from sqlalchemy import Engine as Database

from alerts.book import AlertBook
from alerts.delivery.message import Action
from alerts.routing.adoption import adopt
from alerts.routing.book import GroupBook, StoredGroup
from alerts.routing.explain import Explanation, explain
from alerts.routing.flush import Outcome, Telling, acknowledge, escalate, flush, report
from alerts.routing.group import Group, group_key
from alerts.routing.inhibition import Inhibition
from alerts.routing.scene import Muted, Scene
from alerts.routing.tree import Routing
from alerts.routing.writer import Enqueue, Writer
from alerts.state import Alert

log = structlog.get_logger(__name__)

#: How often groups that have become empty are forgotten, as in Alertmanager: an alert that fires again before joins the
#: rhythm of its group.
CLEANUP_MS = 30_000
#: Groups that are written in one transaction, and that one step tells of.
_CHUNK = 200


class Dispatcher:
    """Owns the groups. All methods may be called from any thread.

    Level-triggered: :meth:`step` looks at the alerts that stand, whatever happened before, so that neither a crash nor
    a missed tick loses anything. Notices, what was told, and the groups are written in one transaction; memory follows
    it. ``muted`` names the silences and maintenance windows that cover a label set; ``actions`` are what was done about
    an alert.
    """

    def __init__(
        self,
        database: Database,
        routing: Routing,
        outbox: Enqueue,
        *,
        muted: Muted = lambda labels, now_ms: [],
        actions: Callable[[Alert], Sequence[Action]] = lambda alert: (),
        latest: Callable[[Collection[str]], Mapping[str, Alert]] | None = None,
        cleanup_ms: int = CLEANUP_MS,
    ) -> None:
        self._database = database
        self._routing = routing
        self._muted = muted
        self._latest = latest or AlertBook(database).latest
        self._cleanup_ms = cleanup_ms
        self._book = GroupBook(database)
        self._writer = Writer(database, self._book, outbox, actions)
        self._lock = threading.Lock()
        self._groups: dict[str, Group] = {}
        self._homes: dict[str, set[str]] = {}  # the groups that an alert is in, by its fingerprint
        self._firing: Mapping[str, Alert] = {}
        self._placed: Set[str] = frozenset()  # those that fired at the last step and are in their groups
        self._acked: dict[str, int | None] = {}
        self._reports: set[str] = set()
        self._loaded = False
        self._due_ms: int | None = None
        self._swept_ms: int | None = None
        self._last_ms = 0

    @property
    def routing(self) -> Routing:
        """What is in force."""
        return self._routing

    def step(self, alerts: Sequence[Alert], now_ms: int) -> int:
        """Enqueue what is due, given every alert that stands; returns how many notices.

        Reads and writes nothing when nothing is due. Raises :class:`storage.error.StorageError` while the database
        takes nothing; the next step does what this one could not.
        """
        with self._lock:
            if not self._loaded:
                self._adopt(self._book.load(), now_ms)
                self._loaded = True
            firing = {alert.fingerprint: alert for alert in reversed(alerts) if alert.is_firing}
            scene = Scene(self._routing, now_ms, firing, self._muted)
            self._mend_clock(now_ms)
            changes: dict[str, Group] = {}
            for fingerprint in firing.keys() - self._placed:
                self._place(firing[fingerprint], now_ms, changes)
            acked = {alert.fingerprint: alert.ack_ms for alert in firing.values() if alert.state == "acknowledged"}
            outcomes = self._acknowledgements(acked, scene, changes) if acked != self._acked else []
            outcomes += self._reported(scene, changes)
            outcomes += self._due(scene, changes)
            count = self._commit(outcomes, changes, now_ms)
            self._firing, self._placed, self._acked = firing, firing.keys(), acked
            self._reports.clear()
            self._sweep(now_ms)
        return count

    def replace(self, routing: Routing, now_ms: int) -> None:
        """Go by another routing from now on. What was told of groups that it still has is not told again."""
        with self._lock:
            stored = self._book.load()
            self._routing = routing
            self._placed, self._acked = frozenset(), {}
            self._adopt(stored, now_ms)
            self._loaded = True
        log.info("routing_replaced", file=routing.file, receivers=len(routing.receivers), time_ms=now_ms)

    def report(self, alert: Alert) -> None:
        """Something was done about an alert: the next step tells those who know of it. Its end is told anyway."""
        with self._lock:
            self._reports.add(alert.fingerprint)

    def causes(self) -> dict[str, Alert]:
        """The fingerprints of alerts that others keep back now, each with that other alert."""
        with self._lock:
            inhibition = Inhibition(self._routing.inhibit_rules, self._firing.values())
            found = {name: inhibition.find(alert.labels) for name, alert in self._firing.items()}
        return {name: one.source for name, one in found.items() if one is not None}

    def groups(self) -> list[Group]:
        """Every group that has alerts, in the order of their keys."""
        with self._lock:
            return [group for _, group in sorted(self._groups.items()) if group.members]

    def explain(self, labels: Mapping[str, str], now_ms: int) -> list[Explanation]:
        """Who hears of an alert with these labels, by which route, and what keeps it back now."""
        with self._lock:
            scene = Scene(self._routing, now_ms, self._firing, self._muted)
            return explain(labels, scene, self._groups)

    # --- what is to be done (the lock is held) -------------------------------------------------------------------

    def _place(self, alert: Alert, now_ms: int, changes: dict[str, Group]) -> None:
        """Put an alert that has begun to fire into its groups."""
        for route in self._routing.root.find(alert.labels):
            key, labels = group_key(route, alert.labels)
            group = changes.get(key) or self._groups.get(key)
            if group is None:
                group = Group(key, route, labels, created_ms=now_ms, next_ms=now_ms + route.group_wait_ms)
            elif not group.members and group.next_ms < now_ms:
                missed = -(-(now_ms - group.next_ms) // route.group_interval_ms)
                group = replace(group, next_ms=group.next_ms + missed * route.group_interval_ms)
            if alert.fingerprint in group.members and key in self._groups:
                continue
            if group.flushed_ms is None and _began_ms(alert) + route.group_wait_ms < now_ms:
                group = replace(group, next_ms=now_ms)  # it has waited for long enough
            changes[key] = replace(group, members={**group.members, alert.fingerprint: alert})

    def _acknowledgements(
        self, acked: Mapping[str, int | None], scene: Scene, changes: dict[str, Group]
    ) -> list[Outcome]:
        """What is told of acknowledgements that are new; those that were taken back are forgotten."""
        touched: dict[str, list[Alert]] = {}
        for fingerprint in acked.keys() | self._acked.keys():
            if acked.get(fingerprint, -1) == self._acked.get(fingerprint, -1):
                continue
            for key in self._homes.get(fingerprint, ()):
                group = self._groups[key]
                if fingerprint not in acked:
                    if fingerprint in group.acks and fingerprint in scene.firing:
                        acks = {name: time_ms for name, time_ms in group.acks.items() if name != fingerprint}
                        changes[key] = replace(changes.get(key, group), acks=acks)
                elif group.acks.get(fingerprint) != (acked[fingerprint] or 0):
                    touched.setdefault(key, []).append(scene.firing[fingerprint])
        outcomes = []
        for key in sorted(touched):
            group = changes.get(key) or self._groups[key]
            outcome = acknowledge(group, touched[key], scene)
            changes[key] = outcome.group
            outcomes.append(outcome)
        return outcomes

    def _reported(self, scene: Scene, changes: dict[str, Group]) -> list[Outcome]:
        """What is told of things that were done about alerts that still fire."""
        outcomes = []
        for fingerprint in sorted(self._reports & scene.firing.keys()):
            for key in sorted(self._homes.get(fingerprint, ())):
                outcome = report(changes.get(key) or self._groups[key], scene.firing[fingerprint], scene)
                if outcome.tellings:
                    changes[key] = outcome.group
                    outcomes.append(outcome)
        return outcomes

    def _due(self, scene: Scene, changes: dict[str, Group]) -> list[Outcome]:
        """What groups whose time has come have to tell."""
        now_ms = scene.now_ms
        keys = {key for key, group in changes.items() if group.due_ms is not None and group.due_ms <= now_ms}
        if self._due_ms is not None and self._due_ms <= now_ms:
            groups = ((key, changes.get(key, group)) for key, group in self._groups.items())
            keys |= {key for key, group in groups if group.due_ms is not None and group.due_ms <= now_ms}
        if not keys:
            return []
        due = self._longest_due({key: changes.get(key) or self._groups[key] for key in keys})
        gone = {name for group in due.values() for name in group.members if name not in scene.firing}
        scene.rows = self._latest(gone) if gone else {}
        outcomes = []
        for key, group in due.items():
            outcome = flush(group, scene) if group.next_ms <= now_ms else Outcome(group, ())
            escalates_ms = outcome.group.escalates_ms
            if outcome.group.members and escalates_ms is not None and escalates_ms <= now_ms:
                step = escalate(outcome.group, scene)
                outcome = Outcome(step.group, (*outcome.tellings, *step.tellings))
            changes[key] = outcome.group
            outcomes.append(outcome)
        return outcomes

    @staticmethod
    def _longest_due(groups: Mapping[str, Group]) -> dict[str, Group]:
        """Those that a step has time for, the ones that have waited the longest; the next step takes others.

        A flood of thousands must not keep the tick, and with it all that watches, from going on.
        """
        chosen = nsmallest(_CHUNK, groups.items(), key=lambda item: (item[1].due_ms or 0, item[0]))
        return dict(sorted(chosen))

    def _commit(self, outcomes: Iterable[Outcome], changes: dict[str, Group], now_ms: int) -> int:
        """Write notices with their groups, some groups at a time; memory follows each transaction."""
        tellings: dict[str, list[Telling]] = {}
        for outcome in outcomes:
            tellings.setdefault(outcome.group.key, []).extend(outcome.tellings)
        keys = sorted(changes)
        for start in range(0, len(keys), _CHUNK):
            chunk = [changes[key] for key in keys[start : start + _CHUNK]]
            for group in self._writer.write(self._groups, chunk, tellings, now_ms):
                self._follow(group)
        if keys:
            self._plan()
        return sum(len(told) for told in tellings.values())

    def _follow(self, group: Group) -> None:
        before = self._groups.get(group.key)
        for name in (before.members.keys() if before else set()) - group.members.keys():
            homes = self._homes.get(name, set())
            homes.discard(group.key)
            if not homes:
                self._homes.pop(name, None)
        for name in group.members:
            self._homes.setdefault(name, set()).add(group.key)
        self._groups[group.key] = group

    def _plan(self) -> None:
        dues = (group.due_ms for group in self._groups.values())
        self._due_ms = min((due_ms for due_ms in dues if due_ms is not None), default=None)

    # --- from time to time (the lock is held) --------------------------------------------------------------------

    def _sweep(self, now_ms: int) -> None:
        """Forget groups that are empty."""
        if self._swept_ms is None or now_ms < self._swept_ms:
            self._swept_ms = now_ms
        if now_ms - self._swept_ms < self._cleanup_ms:
            return
        self._swept_ms = now_ms - (now_ms - self._swept_ms) % self._cleanup_ms
        empty = [key for key, group in self._groups.items() if not group.members]
        if empty:
            with self._database.begin() as connection:
                self._book.remove(connection, empty)
            for key in empty:
                del self._groups[key]

    def _mend_clock(self, now_ms: int) -> None:
        """A clock that is set back must not make anybody wait for longer than the routes say."""
        back_ms = self._last_ms - now_ms
        self._last_ms = now_ms
        if back_ms <= 0:
            return
        for key, group in self._groups.items():
            since_ms = None if group.since_ms is None else group.since_ms - back_ms
            told = {name: replace(known, time_ms=known.time_ms - back_ms) for name, known in group.told.items()}
            self._groups[key] = replace(group, next_ms=group.next_ms - back_ms, since_ms=since_ms, told=told)
        self._plan()

    def _adopt(self, stored: Sequence[StoredGroup], now_ms: int) -> None:
        """Take groups up as far as the routing still has them; what has no place any more is deleted."""
        known = self._latest({name for row in stored for name in row.members}) if stored else {}
        groups = adopt(stored, self._routing, known, now_ms)
        gone = {row.key for row in stored} - {group.key for group in groups}
        if gone:
            with self._database.begin() as connection:
                self._book.remove(connection, gone)
        self._groups, self._homes = {}, {}
        for group in groups:
            self._follow(group)
        self._last_ms = now_ms
        self._plan()


def _began_ms(alert: Alert) -> int:
    """When an alert began to fire; for one that another server sent, when that server says."""
    return alert.active_ms if alert.source == "api" else alert.firing_ms or alert.active_ms
