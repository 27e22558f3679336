"""What the host reports to whoever keeps the numbers. Implemented by the collectors' instruments."""

from __future__ import annotations

from typing import Protocol


class InferenceMeter(Protocol):
    """The instruments of inference. Called from request threads and the model thread; must be thread-safe and fast."""

    def announce(self, model: str, version: str) -> None:
        """Begin this version's series at 0, so that a rate sees its first failure."""
        ...

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
        """Count one request that ended; seconds it never spent are ``None``."""
        ...

    def batch(self, size: int) -> None:
        """Count one forward pass that succeeded."""
        ...

    def reloaded(self, reason: str, result: str) -> None:
        """Count one reload that ended; ``result`` is ``ok`` or ``failed``."""
        ...

    def rejected(self, priority: str, reason: str) -> None:
        """Count one request that was not let in: ``reason``: ``queue_full``, ``shed``, ``overload``, ``deadline``."""
        ...

    def streamed(self, steps: int) -> None:
        """Count the steps of one stream that ended."""
        ...
