"""Durations as Prometheus writes them in rule files."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?:([0-9]{1,18})y)?(?:([0-9]{1,18})w)?(?:([0-9]{1,18})d)?(?:([0-9]{1,18})h)?(?:([0-9]{1,18})m)?(?:([0-9]{1,18})s)?(?:([0-9]{1,18})ms)?"
)
_UNITS = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)
#: Prometheus counts durations in nanoseconds, in 64 bits.
_MOST_SECONDS = 2**63 / 1e9


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``1m30s`` or ``0``. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if text == "0":
        return 0.0
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 1h30m")
    seconds = float(sum(int(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part))
    if seconds >= _MOST_SECONDS:
        raise ValueError(f"{text!r} is longer than 292 years")
    return seconds
