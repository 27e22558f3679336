"""Moments and lengths of time in words, for all that tells people of an outage. A leaf that imports nothing of ours."""

from __future__ import annotations

from datetime import datetime, tzinfo

#: Words for day, hour, minute and second.
Units = tuple[str, str, str, str]
ENGLISH: Units = ("d", "h", "min", "s")
CHINESE: Units = ("天", "小时", "分钟", "秒")


def span(seconds: float, units: Units = ENGLISH) -> str:
    """How long, in the two largest units that count: ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        whole -= whole % 60
    parts = [whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60]
    first = next((place for place, part in enumerate(parts) if part), 3)
    shown = zip(parts[first : first + 2], units[first : first + 2], strict=True)
    return " ".join(f"{part} {unit}" for part, unit in shown if part or first == 3)


def local_moment(time_ms: int, zone: tzinfo | None) -> str:
    """UTC milliseconds as a clock on the wall shows them, with the offset; ``None`` is the machine's own zone."""
    return datetime.fromtimestamp(time_ms / 1000, zone).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
