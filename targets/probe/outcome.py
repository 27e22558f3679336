"""What one look at a target has brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """``success`` is None where nothing can be told, as without systemd or without permission to ping.

    ``reason`` says why it is no success, in words that are the same each time: it becomes a label. ``detail`` is what
    people may want to see beside it (JSON); ``phases`` are seconds by name, of HTTP.
    """

    success: bool | None
    reason: str = ""
    duration_seconds: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    status: int | None = None
    certificate_ends_ms: int | None = None
