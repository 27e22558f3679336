"""Durations as Prometheus writes them in rule files."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?:(\d{1,9})y)?(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?"
)
_UNITS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``1m30s`` or ``0``. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if text == "0":
        return 0.0
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m")
    return float(sum(int(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part))
