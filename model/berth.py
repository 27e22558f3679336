"""The canary's place: on the device of one replica, in its queue, and under its eyes."""

from __future__ import annotations

from collections.abc import Callable

from model.breaker import Breaker
from model.cache import ResultCache
from model.canary import Canary
from model.examiner import Examiner
from model.fleet import Fleet
from model.loader import Instance
from model.plan import Plan
from model.state import wall_ms


class Berth:
    """What the canary asks of the engine that it lives on, one that serves; a :class:`model.home.Home`."""

    def __init__(
        self,
        fleet: Fleet,
        canary: Canary,
        cache: ResultCache,
        clock: Callable[[], float],
        interval_seconds: float,
    ) -> None:
        self._fleet = fleet
        self._canary = canary
        self._cache = cache
        self._clock = clock
        self._interval = interval_seconds
        self._settle()

    @property
    def instance(self) -> Instance | None:
        """What serves there."""
        return self.engine.instance

    @property
    def serving(self) -> bool:
        """Whether requests are taken there now."""
        return self.engine.serving

    def begin(self, plan: Plan) -> bool:
        """Begin a load; ``False`` while there is another."""
        self._settle()
        return self._fleet.load(plan, self.engine)

    def breaker(self, instance: Instance) -> Breaker:
        """The breaker of its version."""
        return self.engine.medic.guard.breaker(instance)

    def welcome(self, instance: Instance) -> None:
        """On the model thread: nothing of an earlier load of its version is held against it, or used."""
        guard = self.engine.medic.guard
        self._cache.renew(instance.name, instance.version)
        guard.absolve(guard.breaker(instance))
        self._examiner.passed(wall_ms(), instance)
        self.engine.medic.neighbour()

    def dismiss(self, instance: Instance, why: str | None) -> None:
        """It gets no more requests; its memory is given back when the last of its requests has its answer."""
        engine, device = self.engine, instance.device
        engine.medic.neighbour()
        engine.queue.submit(device.release, urgent=False)
        serving = engine.instance
        if why is not None and serving is not None:
            engine.healer.note_canary(why, f"version {serving.version} answers alone")

    def check(self, now_ms: int) -> None:
        """At every deep check of the engine: have its golden input run as well, and look at what is known."""
        if self._canary.instance is None:
            return
        standing = self.engine.cell.now
        if standing.state == "failed":
            self._canary.stranded(standing.reason or standing.state)
        elif self.serving:
            self._examiner.ask(now_ms, 0.0)
            self._canary.look(self._examiner.last)

    def _settle(self) -> None:
        """Choose the engine that the next canary lives on."""
        engine, canary = self._fleet.first, self._canary
        self.engine = engine
        self._examiner = Examiner(engine.queue, engine.progress, lambda: canary.instance, self._clock, self._interval)
