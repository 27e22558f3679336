"""How one probe of a target stands, for pages, remedies and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from targets.probe.flip import State


@dataclass(frozen=True, slots=True)
class ProbeState:
    """``seen_ms`` is the last look, of push the last sign of life, and 0 before the first.

    ``streak`` results in a row speak against ``state``; ``failures`` counts the failed ones in a row, those before it
    was down and since included. ``reason`` is why it is down or unknown, or why the last look of one that is up failed.
    """

    target: str
    probe: str
    state: State
    since_ms: int
    seen_ms: int
    streak: int
    reason: str
    duration_seconds: float | None
    detail: Mapping[str, Any]
    failures: int = 0
