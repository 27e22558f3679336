"""Runs jobs at their times on a few threads: a job never overlaps itself, and jobs are spread over their intervals.

:class:`Timetable` decides what is due, :class:`Rounds` has threads do it. There are only as many threads as have been
busy at once, and one of those that wait does so for the next job's time, the others until they are called.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

_log = structlog.get_logger(__name__)

Job = Callable[[], None]

#: The first run of a job comes within this time, however long its interval.
FIRST_WITHIN_SECONDS = 5.0
#: Multiples of the golden ratio, without their whole part, lie evenly between 0 and 1, however many there are.
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(slots=True)
class _Entry:
    key: str
    interval: float
    job: Job
    due: float  # on the grid: the first time plus multiples of the interval
    sooner: float = 0.0  # how much earlier than the grid says its next run begins
    gone: bool = False
    running: bool = False
    error: str | None = None  # what it failed with the last time


@dataclass(order=True, slots=True)
class _Slot:
    at: float
    number: int
    entry: _Entry = field(compare=False)


class Timetable:
    """When which job is due, in seconds of any clock that never goes back. Not safe for threads."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[_Slot] = []
        self._added = 0
        self._pushed = 0

    def every(self, key: str, interval_seconds: float, job: Job, now: float) -> None:
        """Add or replace a job. One that keeps its interval keeps its times."""
        if not interval_seconds > 0:
            raise ValueError(f"the interval of {key} must be positive, not {interval_seconds}")
        known = self._entries.get(key)
        if known is not None and (known.interval == interval_seconds or known.running):
            known.job, known.interval = job, interval_seconds
            return
        self.drop(key)
        self._added += 1
        delay = (self._added * _GOLDEN) % 1 * min(interval_seconds, FIRST_WITHIN_SECONDS)
        entry = self._entries[key] = _Entry(key, interval_seconds, job, now + delay)
        self._push(entry, entry.due)

    def drop(self, key: str) -> None:
        """Forget a job; one that runs goes on to its end."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            entry.gone = True

    def sooner(self, key: str, seconds: float) -> None:
        """Begin the next run of a job that runs now so much earlier than its interval says; only that one."""
        entry = self._entries.get(key)
        if entry is not None and entry.running:
            entry.sooner = max(0.0, min(seconds, entry.interval))

    def next_at(self) -> float | None:
        """When the next job is due; None if there is none."""
        while self._heap and self._heap[0].entry.gone:
            heapq.heappop(self._heap)
        return self._heap[0].at if self._heap else None

    def take(self, now: float) -> tuple[_Entry, float] | None:
        """A job that is due, which runs from now on until :meth:`done`, and by how many seconds it is late."""
        at = self.next_at()
        if at is None or at > now:
            return None
        entry = heapq.heappop(self._heap).entry
        entry.running = True
        return entry, now - at

    def done(self, entry: _Entry, now: float) -> None:
        """Note that a job has ended. One that took longer than its interval runs again at once, but only once."""
        entry.running = False
        if entry.gone:
            return
        entry.due += entry.interval
        if now > entry.due:
            entry.due += (now - entry.due) // entry.interval * entry.interval
        at, entry.sooner = entry.due - entry.sooner, 0.0
        self._push(entry, at)

    def _push(self, entry: _Entry, at: float) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, _Slot(at, self._pushed, entry))


class Rounds:
    """Jobs on at most ``workers`` threads named after ``name``. Its methods may be called from any thread."""

    def __init__(self, workers: int, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._name = name
        self._clock = clock
        self._table = Timetable()
        self._lock = threading.Lock()
        self._called = threading.Condition(self._lock)
        self._waiting = 0
        self._sentry_at: float | None = None  # one of those that wait wakes then, if nobody calls it
        self._threads = 0
        self._running = False
        self._stopped = False
        self._late = 0.0
        self._is_short = False

    @property
    def late_seconds(self) -> float:
        """How late the job that began last was: more than a moment where all threads are busy."""
        return self._late

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._threads

    def every(self, key: str, interval_seconds: float, job: Job) -> None:
        """Run ``job`` every so many seconds, first within 5 s, or replace the one of that name.

        Raises ``ValueError`` for an interval that is not positive.
        """
        with self._lock:
            self._table.every(key, interval_seconds, job, self._clock())
            if self._threads:
                self._called.notify()  # who waits may wait for a later one
            else:  # the machine had none to spare before
                self._grow()

    def drop(self, key: str) -> None:
        """Run it no more. A run that is under way goes on to its end."""
        with self._lock:
            self._table.drop(key)

    def sooner(self, key: str, seconds: float) -> None:
        """Called by a job: begin its next run so much earlier than its interval says."""
        with self._lock:
            self._table.sooner(key, seconds)

    def start(self) -> None:
        """Begin."""
        with self._lock:
            self._running = True
            self._grow()

    def stop(self) -> None:
        """Begin no more jobs; does not wait for one that runs."""
        with self._lock:
            self._stopped = True
            self._called.notify_all()

    def _grow(self) -> None:
        """Have one more thread where all are busy. A machine that has none to spare must not cost those there are."""
        if not self._running or self._stopped or self._waiting or self._threads >= self._workers:
            return
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._is_short:
                _log.warning("rounds_without_a_thread", name=self._name, threads=self._threads, error=str(error))
            self._is_short = True
        else:
            self._threads += 1
            self._is_short = False

    def _work(self) -> None:
        while (entry := self._next()) is not None:
            self._run(entry)
            with self._lock:
                self._table.done(entry, self._clock())

    def _next(self) -> _Entry | None:
        """Wait for a job; None once there are to be no more."""
        with self._lock:
            while not self._stopped:
                found = self._table.take(self._clock())
                if found is not None:
                    self._late = found[1]
                    if self._waiting:
                        self._called.notify()  # another one waits for the job after this
                    self._grow()
                    return found[0]
                self._wait()
            return None

    def _wait(self) -> None:
        """Wait to be called; for the next job's time too, unless another one does so or wakes before it."""
        at = self._table.next_at()
        seconds = None
        if at is not None and (self._sentry_at is None or at < self._sentry_at):
            self._sentry_at = at
            seconds = max(0.0, at - self._clock())
        self._waiting += 1
        self._called.wait(seconds)
        self._waiting -= 1
        if seconds is not None and self._sentry_at == at:
            self._sentry_at = None

    def _run(self, entry: _Entry) -> None:
        try:
            entry.job()
        except Exception as error:  # noqa: BLE001 - the edge of a job: it runs again next time
            reason = f"{type(error).__name__}: {error}"
            if reason != entry.error:  # one that fails each time is told once
                _log.error("job_failed", job=entry.key, exc_info=error)
            entry.error = reason
        else:
            entry.error = None
