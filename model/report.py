"""What one engine says about itself: where it stands, and the facts that its health is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.common import Common
from model.health import BreakerFacts, Facts
from model.source import short_name
from model.state import wall_ms
from model.status import ModelStatus, Replica

if TYPE_CHECKING:
    from model.engine import Engine


class Report:
    """Reads; costs microseconds and touches neither the model nor the device. Any thread may call."""

    def __init__(self, engine: Engine, common: Common) -> None:
        self._engine = engine
        self._common = common
        self._shown: tuple[str, str, str | None, str | None] = (short_name(common.settings.path), "", None, None)

    def identity(self) -> tuple[str, str, str | None, str | None]:
        """Name, version, device and dtype of what serves, or of what served last."""
        instance = self._engine.instance
        if instance is not None:
            self._shown = (instance.name, instance.version, instance.device.label, instance.dtype)
        return self._shown

    def breaker(self) -> BreakerFacts | None:
        """What health has to know: nothing while the breaker is closed."""
        instance, breaker = self._engine.instance, self._engine.breaker
        if instance is None or breaker is None or (reason := breaker.reason) is None:
            return None
        return BreakerFacts(reason, breaker.state == "open", bool(instance.golden))

    def facts(self) -> Facts:
        """Everything that a verdict on its health may rest on, at this moment."""
        engine = self._engine
        return Facts(
            now_ms=wall_ms(),
            standing=engine.cell.now,
            serving=engine.instance is not None,
            on_gpu=engine.on_gpu,
            examination=engine.examination,
            age_seconds=engine.progress.age(engine.queue.oldest()),
            breaker=self.breaker(),
        )

    def status(self) -> ModelStatus:
        """Where it stands at this moment."""
        engine, cache = self._engine, self._common.cache
        standing, queue, breaker = engine.cell.now, engine.queue, engine.breaker
        model, version, device, dtype = self.identity()
        warmed = None if (instance := engine.instance) is None else instance.warmed
        return ModelStatus(
            state=standing.state,
            reason=standing.reason,
            suggestion=standing.suggestion,
            model=model,
            version=version,
            device=device,
            dtype=dtype,
            since_ms=standing.since_ms,
            load_seconds=engine.loading_seconds(),
            last_load_seconds=standing.last_load_seconds,
            progress=standing.progress,
            queue_depth=len(queue),
            queue_size=queue.size,
            in_flight=engine.progress.in_flight,
            progress_age_seconds=engine.progress.age(queue.oldest()),
            streams_open=queue.streams,
            breaker="closed" if breaker is None else breaker.state,
            breaker_reason=None if breaker is None else breaker.reason,
            brownout_level=self._common.brownout.level(),
            latency_drift_ratio=engine.medic.drift.ratio(),
            cache=cache.figures() if cache.enabled else None,
            batch_limit=None if warmed is None else warmed.limit,
            warmed=() if warmed is None else warmed.sizes,
            warm_up_cut_short=None if warmed is None else warmed.cut_short,
        )

    def replica(self) -> Replica:
        """What is shown of it where there are several."""
        engine = self._engine
        standing, instance, breaker = engine.cell.now, engine.instance, engine.breaker
        return Replica(
            device=engine.label,
            state=standing.state,
            serving=engine.serving,
            reason=standing.reason,
            suggestion=standing.suggestion,
            progress=standing.progress,
            version=None if instance is None else instance.version,
            queue_depth=len(engine.queue),
            in_flight=engine.progress.in_flight,
            breaker="closed" if breaker is None else breaker.state,
            batch_limit=None if instance is None else instance.batch_limit,
            warmed=() if instance is None else instance.warmed.sizes,
        )
