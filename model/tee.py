"""A meter that also tells the canary how requests end, so that both sides are measured by what really ran."""

from __future__ import annotations

from model.canary import Canary
from model.meter import InferenceMeter


class Tee:
    """Hands everything on to ``meter``; an :class:`InferenceMeter` itself."""

    def __init__(self, meter: InferenceMeter, canary: Canary) -> None:
        self._meter = meter
        self._canary = canary
        self.announce = meter.announce
        self.batch = meter.batch
        self.reloaded = meter.reloaded
        self.rejected = meter.rejected
        self.streamed = meter.streamed

    def finished(
        self,
        outcome: str,
        *,
        model: str,
        version: str,
        total_seconds: float,
        queue_seconds: float | None,
        compute_seconds: float | None,
        result_class: str | None,
    ) -> None:
        """Count one request that ended."""
        self._meter.finished(
            outcome,
            model=model,
            version=version,
            total_seconds=total_seconds,
            queue_seconds=queue_seconds,
            compute_seconds=compute_seconds,
            result_class=result_class,
        )
        self._canary.finished(version, outcome, total_seconds, result_class)
