"""Maintenance: windows that recur, in which what matches sends no notices."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy import Row, delete, insert, select, update

from alerts.routing.calendar import CalendarError, TimeInterval, contains_any, parse_intervals
from alerts.silencing.index import Index
from alerts.silencing.matching import LabelMatcher, MatcherError
from alerts.silencing.occurrence import DAY_MS, Occurrence, next_occurrence
from alerts.silencing.silence import MAX_AUTHOR, MAX_COMMENT, SilenceError, check_matchers
from storage.tables import MaintenanceRow

log = structlog.get_logger(__name__)

MAX_WINDOWS = 200
MAX_NAME = 100
#: Time intervals of one window, and ranges of one of them.
MAX_INTERVALS = 20
MAX_RANGES = 50
_COLUMNS = MaintenanceRow.__table__.c


@dataclass(frozen=True, slots=True)
class Window:
    """One recurring window. No matchers at all: every alert. ``id`` is 0 until it is in the database.

    ``intervals`` are Alertmanager's ``time_intervals``, as they were given.
    """

    id: int
    name: str
    matchers: tuple[LabelMatcher, ...]
    intervals: tuple[Mapping[str, Any], ...]
    created_by: str
    created_ms: int
    comment: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """A window and when it is open."""

    window: Window
    times: tuple[TimeInterval, ...]


class Maintenance:
    """All windows. Writing goes to the database first; asking reads memory only. Any thread may call any method.

    Changes raise :class:`alerts.silencing.silence.SilenceError`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._plans: dict[int, _Plan] = {}
        self._index: Index[_Plan] = Index()
        self._next: dict[int, tuple[int, Occurrence | None]] = {}  # id → when it was reckoned, and what came out

    def load(self) -> None:
        """Take up what the database has."""
        with self._lock, self._database.connect() as connection:
            rows = connection.execute(select(MaintenanceRow.__table__))
            self._plans = {plan.window.id: plan for plan in _readable(rows)}
            self._publish()

    def mutes(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        """The names of the open windows that an alert with these labels matches."""
        return sorted({plan.window.name for plan in self._index.of(labels) if contains_any(plan.times, now_ms)})

    def all(self) -> list[Window]:
        """Every window by name, disabled ones among them."""
        return sorted((plan.window for plan in tuple(self._plans.values())), key=lambda window: window.name)

    def next(self, window_id: int, now_ms: int) -> Occurrence | None:
        """When a window is open next: the stretch that lies now, or the first to come; None if it is disabled."""
        plan = self._plans.get(window_id)
        if plan is None or plan.window.disabled:
            return None
        reckoned_ms, found = self._next.get(window_id, (now_ms + 1, None))
        until_ms = reckoned_ms + DAY_MS if found is None or found.end_ms is None else found.end_ms
        if not reckoned_ms <= now_ms < until_ms:
            found = next_occurrence(plan.times, now_ms)
            self._next[window_id] = now_ms, found
        return found

    def add(self, window: Window) -> Window:
        """Make a window; returns it with its id."""
        with self._lock:
            times = self._check(window)
            if len(self._plans) >= MAX_WINDOWS:
                raise SilenceError("full", f"there are {MAX_WINDOWS} maintenance windows already")
            with self._database.begin() as connection:
                key: Any = connection.execute(insert(MaintenanceRow).values(**_values(window))).inserted_primary_key
            return self._keep(replace(window, id=int(key[0])), times)

    def change(self, window: Window) -> Window:
        """Change the window with its id, not who made it and when; returns it as it is now."""
        with self._lock:
            plan = self._plans.get(window.id)
            if plan is None:
                raise SilenceError("not_found", f"there is no maintenance window {window.id}")
            window = replace(window, created_by=plan.window.created_by, created_ms=plan.window.created_ms)
            times = self._check(window)
            with self._database.begin() as connection:
                connection.execute(update(MaintenanceRow).where(_COLUMNS.id == window.id).values(**_values(window)))
            return self._keep(window, times)

    def remove(self, window_id: int) -> Window:
        """Delete a window; returns what it was."""
        with self._lock:
            plan = self._plans.get(window_id)
            if plan is None:
                raise SilenceError("not_found", f"there is no maintenance window {window_id}")
            with self._database.begin() as connection:
                connection.execute(delete(MaintenanceRow).where(_COLUMNS.id == window_id))
            self._plans = {id: one for id, one in self._plans.items() if id != window_id}
            self._publish()
            return plan.window

    # --- how (the lock is held) ----------------------------------------------------------------------------------

    def _check(self, window: Window) -> tuple[TimeInterval, ...]:
        if not window.name or len(window.name) > MAX_NAME:
            raise SilenceError("invalid", f"name: must have 1 to {MAX_NAME} characters")
        if any(plan.window.name == window.name and plan.window.id != window.id for plan in self._plans.values()):
            raise SilenceError("invalid", f"name: there is a maintenance window {window.name!r} already")
        if len(window.comment) > MAX_COMMENT or len(window.created_by) > MAX_AUTHOR:
            raise SilenceError("invalid", f"comment: must have at most {MAX_COMMENT} characters")
        if window.matchers:
            check_matchers(window.matchers)
        return _times(window)

    def _keep(self, window: Window, times: tuple[TimeInterval, ...]) -> Window:
        self._plans = self._plans | {window.id: _Plan(window, times)}
        self._publish()
        return window

    def _publish(self) -> None:
        self._next = {}
        self._index = Index((plan.window.matchers, plan) for plan in self._plans.values() if not plan.window.disabled)


def _times(window: Window) -> tuple[TimeInterval, ...]:
    if not 1 <= len(window.intervals) <= MAX_INTERVALS:
        raise SilenceError("invalid", f"intervals: must have 1 to {MAX_INTERVALS} entries")
    if any(isinstance(found, list) and len(found) > MAX_RANGES for one in window.intervals for found in one.values()):
        raise SilenceError("invalid", f"intervals: a field must have at most {MAX_RANGES} ranges")
    try:
        return parse_intervals(window.intervals)
    except CalendarError as error:
        raise SilenceError("invalid", f"intervals: {error}") from error


def _values(window: Window) -> dict[str, Any]:
    values = {name: getattr(window, name) for name in Window.__slots__ if name != "id"}
    matchers = [matcher.as_dict() for matcher in window.matchers]
    return values | {"matchers": matchers, "intervals": [dict(one) for one in window.intervals]}


def _readable(rows: Iterable[Row[Any]]) -> Sequence[_Plan]:
    """The windows of rows. One that cannot be read hides nothing, and hides no other."""
    found = []
    for row in rows:
        values = {name: row._mapping[name] for name in Window.__slots__}
        try:
            values["matchers"] = tuple(LabelMatcher.from_dict(matcher) for matcher in values["matchers"])
            values["intervals"] = tuple(values["intervals"])
            window = Window(**values)
            found.append(_Plan(window, _times(window)))
        except (MatcherError, SilenceError, KeyError, TypeError, AttributeError) as error:
            log.error("maintenance_unreadable", id=values["id"], error=str(error))
    return found
