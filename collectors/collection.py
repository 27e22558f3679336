"""Runs the collectors of one tick side by side and hands on what arrived in time.

Every collector lives on a thread of its own. One that raises is left out and shows as ``collector_up 0``. One that is
late shows so as well in the ticks that it misses, and what it brings comes with the next tick: a source that is merely
slow delivers. One that hangs is not asked again until it returns, no later tick waits for it, and its series end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

import structlog

from collectors.alias import with_aliases
from collectors.sample import Collector, Labels, Sample, Tick, make_labels
from config import AliasSettings

_log = structlog.get_logger(__name__)

#: The source under which the collection reports on its collectors.
SOURCE = "collectors"
#: A run may take as long as its collector's interval, or so many seconds if that is longer. After that, what it brings
#: is too old to be told as the present, and its series end.
PATIENCE_SECONDS = 5.0


class CollectorState(NamedTuple):
    """How a collector's last run went. ``absent`` says why a working collector has nothing to read here."""

    up: bool
    error: str | None
    duration_seconds: float | None
    hung: bool
    absent: str | None = None


class _Run(NamedTuple):
    """The end of one run, which was begun at ``started_ms``."""

    worker: _Worker
    started_ms: int
    samples: tuple[Sample, ...]
    error: Exception | None
    duration_seconds: float


class _Worker:
    """One collector, its thread, and what is known of its last run."""

    def __init__(self, collector: Collector, outbox: SimpleQueue[_Run]) -> None:
        self.collector = collector
        self.labels: Labels = make_labels(collector=collector.name)
        self.busy = False  # from the beginning of a run until the collection has heard of its end
        self.started_ms: int | None = None
        self.state: CollectorState | None = None
        #: Whether the store holds open series of this source.
        self.open = False
        self._inbox: SimpleQueue[int | None] = SimpleQueue()
        self._outbox = outbox
        self._thread: threading.Thread | None = None

    def is_due(self, now_ms: int, base_ms: float) -> bool:
        """Whether a run is due. ``base_ms`` is the tick: half of it is allowed for, since ticks are never exact."""
        if self.started_ms is None or now_ms < self.started_ms:
            return True
        interval_ms = self.collector.interval_seconds * 1000
        return interval_ms <= base_ms or now_ms - self.started_ms >= interval_ms - base_ms / 2

    def is_too_old(self, started_ms: int, now_ms: int) -> bool:
        """Whether a run that was begun then has taken too long to be told as the present."""
        return now_ms - started_ms > max(self.collector.interval_seconds, PATIENCE_SECONDS) * 1000

    def trigger(self, now_ms: int) -> None:
        """Begin a run; its end goes to the outbox."""
        if self._thread is None:
            name = f"collector-{self.collector.name}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        self.busy = True
        self.started_ms = now_ms
        self._inbox.put(now_ms)

    def stop(self) -> None:
        self._inbox.put(None)

    def _work(self) -> None:
        while (started_ms := self._inbox.get()) is not None:
            started = time.monotonic()
            samples: tuple[Sample, ...] = ()
            error: Exception | None = None
            try:
                samples = tuple(self.collector.collect())
            except Exception as problem:  # noqa: BLE001 - the edge of this thread; the collection logs it
                error = problem
            self._outbox.put(_Run(self, started_ms, samples, error, time.monotonic() - started))


class Collection:
    """All collectors of this process. ``collect`` is called by one thread; the rest may be called by any."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        deadline_seconds: float,
        *,
        aliases: Mapping[str, AliasSettings] | None = None,
    ) -> None:
        names = [collector.name for collector in collectors]
        twice = sorted({name for name in names if names.count(name) > 1 or name == SOURCE})
        if twice:
            raise ValueError(f"collector names must be unique and not {SOURCE!r}: {', '.join(twice)}")
        self._outbox: SimpleQueue[_Run] = SimpleQueue()
        self._workers = [_Worker(collector, self._outbox) for collector in collectors]
        self._deadline_seconds = deadline_seconds
        self._base_ms = min((collector.interval_seconds for collector in collectors), default=1.0) * 1000
        self._aliases = aliases or {}
        self._latest: dict[str, tuple[Sample, ...]] = {}

    def collect(self, now_ms: int) -> list[Tick]:
        """Run the collectors that are due and wait for them until the deadline.

        The ticks come in the order of the collectors; the last one, ``collectors``, tells how they are. An empty tick
        ends all series of its source.
        """
        runs: dict[_Worker, _Run] = {}
        while self._hear(runs, now_ms, 0.0):
            pass  # what came too late for earlier ticks
        due = [worker for worker in self._workers if not worker.busy and worker.is_due(now_ms, self._base_ms)]
        for worker in due:
            worker.trigger(now_ms)
        self._await({worker for worker in due if not self._is_slow(runs.get(worker))}, runs, now_ms)
        ticks = []
        for worker in self._workers:
            tick = None
            if worker in runs:
                tick = self._ended(worker, runs[worker], now_ms)
            elif worker.busy:
                tick = self._late(worker, now_ms)
            if tick is not None:
                ticks.append(tick)
        ticks.append(Tick(SOURCE, now_ms, tuple(self._report())))
        ticks = with_aliases(ticks, self._aliases)
        self._remember(ticks)
        return ticks

    def latest(self) -> list[Sample]:
        """The newest samples of all sources that are up."""
        return [sample for samples in self._latest.values() for sample in samples]

    def states(self) -> dict[str, CollectorState]:
        """How each collector's last run went; one that has not run yet is left out."""
        return {worker.collector.name: worker.state for worker in self._workers if worker.state is not None}

    def close(self) -> None:
        """End the threads. One that hangs ends with the process."""
        for worker in self._workers:
            worker.stop()

    def _await(self, workers: set[_Worker], runs: dict[_Worker, _Run], now_ms: int) -> None:
        """Gather runs until all of these workers' have ended, or until the deadline."""
        until = time.monotonic() + self._deadline_seconds
        while any(worker.busy for worker in workers):
            if not self._hear(runs, now_ms, max(until - time.monotonic(), 0.0)):
                break

    def _hear(self, runs: dict[_Worker, _Run], now_ms: int, timeout_seconds: float) -> bool:
        """Wait for the next end of a run and put it into ``runs``, if it is not too old; False when none came."""
        try:
            run = self._outbox.get(timeout=timeout_seconds)
        except Empty:
            return False
        run.worker.busy = False
        if not run.worker.is_too_old(run.started_ms, now_ms):
            runs[run.worker] = run
        return True

    def _is_slow(self, run: _Run | None) -> bool:
        """Whether a tick that has this run need not wait for the next one: it would most likely be late again."""
        return run is not None and run.duration_seconds > self._deadline_seconds

    def _ended(self, worker: _Worker, run: _Run, now_ms: int) -> Tick | None:
        """Note how a run went; the tick to write, if any."""
        name = worker.collector.name
        if run.error is not None:
            reason = f"{type(run.error).__name__}: {run.error}"
            if worker.state is None or worker.state.error != reason:
                _log.error("collector_failed", collector=name, exc_info=run.error)
            worker.state = CollectorState(False, reason, run.duration_seconds, hung=False)
            return _closing(worker, now_ms)
        if worker.state is not None and not worker.state.up:
            _log.info("collector_recovered", collector=name)
        absent = getattr(worker.collector, "absent_reason", None)
        worker.state = CollectorState(True, None, run.duration_seconds, hung=False, absent=absent)
        if not run.samples:
            return _closing(worker, now_ms)
        worker.open = True
        return Tick(name, now_ms, run.samples)

    def _late(self, worker: _Worker, now_ms: int) -> Tick | None:
        """Note that a run has not ended in time; the tick to write, if any: a source that hangs ends its series."""
        if worker.state is None or not worker.state.hung:
            _log.warning("collector_late", collector=worker.collector.name, deadline_seconds=self._deadline_seconds)
        reason = f"no answer within {self._deadline_seconds:g} s"
        worker.state = CollectorState(False, reason, None, hung=True)
        has_hung = worker.started_ms is not None and worker.is_too_old(worker.started_ms, now_ms)
        return _closing(worker, now_ms) if has_hung else None

    def _report(self) -> list[Sample]:
        report = []
        for worker in self._workers:
            if worker.state is None:
                continue
            report.append(Sample("collector_up", worker.labels, float(worker.state.up)))
            if worker.state.duration_seconds is not None:
                report.append(Sample("collector_duration_seconds", worker.labels, worker.state.duration_seconds))
        return report

    def _remember(self, ticks: list[Tick]) -> None:
        latest = dict(self._latest)
        for tick in ticks:
            if tick.samples:
                latest[tick.source] = tick.samples
            else:
                latest.pop(tick.source, None)
        self._latest = latest


def _closing(worker: _Worker, now_ms: int) -> Tick | None:
    """The empty tick that ends a source's series, if it has any."""
    if not worker.open:
        return None
    worker.open = False
    return Tick(worker.collector.name, now_ms, ())
