"""The replicas of a model, one on each device, and which of them a request goes to: the least loaded first."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from model import joint
from model.common import Common
from model.engine import Engine
from model.fault import LoadFailure
from model.health import judge
from model.loader import Instance
from model.plan import Plan
from model.progress import Recorder
from model.recorder import SharedRecorder
from model.release import Target
from model.remedy import Remedy
from model.rollout import Rollout
from model.state import Standing, StateCell
from model.status import Health, ModelStatus
from model.watchdog import Limit

#: A request that was let in: the replica, and what serves there.
Guest = tuple[Engine, Instance]


class Fleet:
    """One engine for each of ``common.settings.devices``, or one where ``device`` says. Any thread may call.

    All begin in the state ``standing``; ``on_change`` is called after every change of any. The other callbacks are
    those of an engine.
    """

    def __init__(
        self,
        common: Common,
        standing: Standing,
        *,
        on_change: Callable[[], None],
        on_installed: Callable[[Instance, LoadFailure | None], None],
        on_fatal: Callable[[str], None],
        roll_back: Callable[[str], bool],
    ) -> None:
        self._common = common
        self._on_fatal = on_fatal
        self._changed = threading.Condition()
        self._fatal = False
        self._turn = 0
        ids = itertools.count(1)
        places: list[str | None] = [*common.settings.devices] or [None]
        self.engines = tuple(
            Engine(
                common,
                StateCell(standing, on_change),
                self,
                device=device,
                remedy_ids=ids,
                on_installed=on_installed,
                on_fatal=self._lost,
                roll_back=roll_back,
            )
            for device in places
        )
        self._guests = dict.fromkeys(self.engines, 0)
        self._rollout = Rollout(self.engines, common.releases)

    # --- what the host asks of it --------------------------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """Whether requests are taken now."""
        return any(engine.serving for engine in self.engines)

    @property
    def first(self) -> Engine:
        """One that serves, or else the first: whom to ask what all have in common."""
        return next((engine for engine in self.engines if engine.serving), self.engines[0])

    @property
    def limits(self) -> Sequence[Limit]:
        """What a watchdog has to look at."""
        first, *others = self.engines
        # Calls on the threads of requests are told to one place by all.
        return [*first.limits, *(limit for engine in others for limit in engine.limits if limit.what != "call")]

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._rollout.begin()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model; before :meth:`start`."""
        if len(self.engines) == 1:
            self.engines[0].record_to(recorder)
            return
        shared = SharedRecorder(recorder)
        for engine in self.engines:
            engine.record_to(shared.part())

    @contextmanager
    def guest(self) -> Iterator[Guest | None]:
        """Let a request in; a drain waits for it. ``None`` while none serves."""
        with self._changed:
            engine = self._choose()
            instance = None if engine is None else engine.instance
            if engine is not None and instance is not None:
                self._guests[engine] += 1
        if engine is None or instance is None:
            yield None
            return
        try:
            yield engine, instance
        finally:
            with self._changed:
                self._guests[engine] -= 1
                if self._guests[engine] == 0:
                    self._changed.notify_all()

    def load(self, plan: Plan, only: Engine | None = None) -> bool:
        """Carry out ``plan``, replica by replica or in one; ``False`` while a load is under way or none is possible."""
        return self._rollout.start(plan, only)

    def reload_all(self, reason: str) -> bool:
        """Load what serves anew, replica by replica; ``False`` as with :meth:`load`."""
        return self._rollout.reload(reason)

    def check(self, now_ms: int, wait_seconds: float) -> None:
        """The scheduled deep check of all; waits at most ``wait_seconds`` for it."""
        for engine in self.engines:
            engine.check(now_ms, wait_seconds / len(self.engines))

    def drain(self, seconds: float) -> bool:
        """Take no more requests, and wait for those that are here; ``False`` when the time was over before."""
        for engine in self.engines:
            engine.cell.move("draining", reason="draining")
        return self._wait(self.engines, seconds)

    def close(self, *, drained: bool) -> int:
        """Let nothing more into the queues; returns how many waiting requests were lost."""
        return sum([engine.close(drained=drained) for engine in self.engines])

    def join(self, until: float) -> None:
        """Wait for the ends of the model threads until a moment of the clock, and be stopped."""
        for engine in self.engines:
            engine.join(max(0.1, until - self._common.clock()))

    def stopped(self) -> None:
        """It is over."""
        for engine in self.engines:
            engine.cell.move("stopped", reason="stopped")

    @property
    def fill(self) -> float:
        """How much of the places of those that serve is taken, from 0 to 1; new requests find the emptiest."""
        return min((engine.fill for engine in self.engines if engine.serving), default=self.engines[0].fill)

    def standing(self) -> Standing:
        """The state that the host is in."""
        return joint.standing_of([each.cell.now for each in self.engines], [each.serving for each in self.engines])

    def status(self) -> ModelStatus:
        """Where the host stands at this moment."""
        found = [engine.report.status() for engine in self.engines]
        if len(found) == 1:
            return found[0]
        return joint.status_of(found, [engine.report.replica() for engine in self.engines], self.standing())

    def health(self) -> Health:
        """The verdicts at this moment."""
        model, health = self._common.settings, self._common.health
        verdicts = [judge(engine.report.facts(), model, health) for engine in self.engines]
        return joint.health_of(verdicts, [engine.label for engine in self.engines])

    def remedies(self) -> list[Remedy]:
        """What was done about the model, newest first."""
        found = [remedy for engine in self.engines for remedy in engine.healer.remedies()]
        return sorted(found, key=lambda remedy: remedy.id, reverse=True)

    def note_rollback(self, why: str, *, outcome: str) -> None:
        """A version was taken back while the process started, and that helped."""
        self.first.healer.note_rollback(why, helped=True, outcome=outcome)

    # --- what an engine asks of it -------------------------------------------------------------------------------

    def others_serve(self, engine: Engine) -> bool:
        """Whether requests can be answered without this one."""
        return any(other.serving for other in self.engines if other is not engine)

    def vacate(self, engine: Engine) -> None:
        """Let no more requests go to this one, if others serve, and wait until it has answered those that it has."""
        if self.others_serve(engine):
            with self._changed:
                engine.resting = True
            self._wait((engine,), self._common.settings.deadline_seconds)

    def first_targets(self) -> Sequence[Target]:
        """What to load first."""
        return self._rollout.first_targets()

    def first_done(self, engine: Engine) -> None:
        """The first load has ended, well or not, or has been given up."""
        self._rollout.first_done(engine)

    def reload(self, engine: Engine, cause: str) -> bool:
        """Load this one anew, and leave the others alone; ``False`` as with :meth:`load`."""
        return self._rollout.reload(cause, engine)

    # --- details -------------------------------------------------------------------------------------------------

    def _choose(self) -> Engine | None:
        """The least loaded of those that are well, else of those that serve at all; equals take turns."""
        if len(self.engines) == 1:
            return self.engines[0] if self.engines[0].serving else None
        self._turn = (self._turn + 1) % len(self.engines)
        in_turn = (*self.engines[self._turn :], *self.engines[: self._turn])
        return min((each for each in in_turn if each.serving), key=self._load, default=None)

    def _load(self, engine: Engine) -> tuple[bool, int]:
        """Whether it should rather be left alone, and how much it has to do; less is better."""
        guests = self._guests[engine]  # also those that decode, and are in no queue yet
        return not engine.well(guests), max(guests, len(engine.queue) + engine.progress.in_flight)

    def _wait(self, engines: Sequence[Engine], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not any(self._guests[each] for each in engines), timeout=seconds)

    def _lost(self, reason: str) -> None:
        """One of them is lost for good, and with it the process: what waits elsewhere has to go, too."""
        with self._changed:
            first, self._fatal = not self._fatal, True
        if not first:
            return
        for engine in self.engines:
            engine.worker.doom(reason, "Another replica failed in a way that only a new process mends.")
        self._on_fatal(reason)
