"""Moments in UTC milliseconds: the one of now, and how they are written."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def iso(time_ms: int) -> str:
    """``2026-11-21T09:22:45.798Z``."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
