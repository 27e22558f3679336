"""Loads replica by replica: one load at a time in the process, so that the others serve meanwhile."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from model.fault import LoadFailure
from model.plan import Plan
from model.release import Releases, Target

if TYPE_CHECKING:
    from model.engine import Engine

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Round:
    """One plan on its way through the replicas: whose turn is still to come, and why the first one failed, if so."""

    plan: Plan
    line: deque[Engine]
    pioneer: Engine
    current: Engine
    failure: LoadFailure | None = None


class Rollout:
    """Begins loads and goes on to the next replica when one has ended. Any thread may call."""

    def __init__(self, engines: Sequence[Engine], releases: Releases) -> None:
        self._engines = engines
        self._releases = releases
        self._lock = threading.Lock()
        self._round: _Round | None = None
        self._targets: Sequence[Target] | None = None
        self._waiting: deque[Engine] = deque()
        self._loading: Engine | None = None

    # --- the first loads -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Have the replicas load for the first time, one after the other; returns at once."""
        with self._lock:
            self._waiting.extend(self._engines)
        self._next()

    def first_targets(self) -> Sequence[Target]:
        """What a replica loads first: what serves elsewhere already, else all that may be tried, in that order."""
        if any(engine.serving for engine in self._engines):
            return self._releases.again()[:1]
        if self._targets is None:
            self._targets = self._releases.at_start()  # once: it counts the starts of processes
        return self._targets

    def first_done(self, engine: Engine) -> None:
        """The first load of a replica has ended, well or not, or has been given up; may be said twice."""
        if self._loading is engine:
            self._next()

    def _next(self) -> None:
        with self._lock:
            while self._waiting and self._waiting[0].cell.now.state != "loading":  # it is told to stop already
                self._waiting.popleft()
            self._loading = engine = self._waiting.popleft() if self._waiting else None
        if engine is not None:
            engine.start()

    # --- later ones ----------------------------------------------------------------------------------------------

    def reload(self, reason: str, only: Engine | None = None) -> bool:
        """Begin to load what serves anew, in all replicas or in one; ``False`` as with :meth:`start`."""
        return self._start(lambda: Plan(reason, self._releases.again()), only)

    def start(self, plan: Plan, only: Engine | None = None) -> bool:
        """Begin to carry out ``plan``, in all replicas or in one; ``False`` while a load is under way or none possible.

        One that serves goes first. If that fails the plan has failed, and the others are left as they are. The end is
        told when the last one is through.
        """
        return self._start(lambda: plan, only)

    def _start(self, make: Callable[[], Plan], only: Engine | None) -> bool:
        with self._lock:
            engines = [engine for engine in self._engines if engine.loadable and only in (None, engine)]
            if not engines or self._busy:
                return False
            plan = make()
            wanted = plan.targets[0] if plan.targets else None
            # First where it is loaded already, then where it would be missed.
            line = deque(sorted(engines, key=lambda engine: (not _is_on(engine, wanted), not engine.serving)))
            found = self._round = _Round(plan, line, pioneer=line[0], current=line[0])
            begun = self._go_on(found)
            found.pioneer = found.current
            return begun

    def _go_on(self, found: _Round) -> bool:
        """Begin with the next that can be loaded; ``False`` when nobody is left."""
        while found.line:
            found.current = found.line.popleft()
            if self._load(found, found.current):
                log.info("replica_is_loaded_anew", device=found.current.label, reason=found.plan.reason)
                return True
        return False

    def _load(self, found: _Round, engine: Engine) -> bool:
        # Where others serve, a replica follows them or stays away. Only the first to try something new may go back.
        others = any(other.serving for other in self._engines if other is not engine)
        alike = others and (engine is not found.pioneer or found.plan.reason != "version")
        targets = [_on(engine, target) for target in (found.plan.targets[:1] if alike else found.plan.targets)]
        return engine.load(replace(found.plan, targets=targets, done=partial(self._done, found, engine)))

    def _done(self, found: _Round, engine: Engine, failure: LoadFailure | None) -> None:
        """On the thread that loaded: one replica is through."""
        with self._lock:
            if failure is not None and engine is found.pioneer:
                found.failure = failure
                skipped = list(found.line)
                found.line.clear()
            else:
                skipped = []
                if failure is not None and self._differs(engine, found.pioneer):
                    log.error("replica_left_behind", device=engine.label, reason=failure.reason)
                    engine.retire(failure)
            if self._go_on(found):
                return
            if self._round is found:
                self._round = None
        for other in skipped:
            other.medic.reloaded(found.plan.reason, None if failure is None else failure.reason)
        found.plan.done(found.failure)

    @staticmethod
    def _differs(engine: Engine, pioneer: Engine) -> bool:
        """Whether a replica that could not follow still serves another version than the one that went first."""
        mine, other = engine.instance, pioneer.instance
        return mine is not None and other is not None and mine.path != other.path

    @property
    def _busy(self) -> bool:
        """Whether some replica loads or will; as soon as the last one can be loaded again, all can."""
        first, found = self._loading, self._round
        if self._waiting or (first is not None and not first.loadable):
            return True
        return found is not None and (bool(found.line) or not found.current.loadable)


def _is_on(engine: Engine, target: Target | None) -> bool:
    """Whether it is loaded already, and there."""
    return target is not None and target.loaded is not None and target.loaded.device.label == engine.label


def _on(engine: Engine, target: Target) -> Target:
    """What is loaded already is so on one device only."""
    return target if _is_on(engine, target) else replace(target, loaded=None)
