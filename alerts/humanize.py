"""Numbers as people read them, exactly as Prometheus' template functions write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def general(value: float, digits: int = 4) -> str:
    """``value`` with so many significant digits (Go's ``%.4g``)."""
    return special(value) or f"{value:.{digits}g}"


def special(value: float) -> str | None:
    """How Go writes NaN and the infinities; None for every other number."""
    if math.isnan(value):
        return "NaN"
    return None if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


def shortest(value: float) -> str:
    """The shortest text that reads back as ``value``; an exponent only from 1e21 on and below 1e-4 (Go's ``%v``)."""
    named = special(value)
    if named is not None:
        return named
    magnitude = abs(value)
    if value == int(value) and magnitude < 1e21:
        return f"{value:.0f}"
    text = repr(value)
    if 1e-4 <= magnitude < 1e21:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def humanize(value: float) -> str:
    """With a metric prefix: 1234567 → ``1.235M``."""
    if value == 0 or not math.isfinite(value):
        return general(value)
    prefix = ""
    if abs(value) >= 1:
        for candidate in _LARGE:
            if abs(value) < 1000:
                break
            prefix, value = candidate, value / 1000
    else:
        for candidate in _SMALL:
            if abs(value) >= 1:
                break
            prefix, value = candidate, value * 1000
    return general(value) + prefix


def humanize_1024(value: float) -> str:
    """With a binary prefix: 1048576 → ``1Mi``."""
    prefix = ""
    if abs(value) > 1 and math.isfinite(value):
        for candidate in _BINARY:
            if abs(value) < 1024:
                break
            prefix, value = candidate, value / 1024
    return general(value) + prefix


def humanize_duration(seconds: float) -> str:
    """Seconds as days, hours, minutes and seconds: 3661 → ``1h 1m 1s``."""
    if not math.isfinite(seconds):
        return general(seconds)
    if abs(seconds) < 1:
        return _small_duration(seconds)
    sign = "-" if seconds < 0 else ""
    whole = int(abs(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {rest}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {rest}s"
    if minutes:
        return f"{sign}{minutes}m {rest}s"
    return f"{general(seconds)}s"


def _small_duration(seconds: float) -> str:
    prefix = ""
    for candidate in _SMALL if seconds else ():
        if abs(seconds) >= 1:
            break
        prefix, seconds = candidate, seconds * 1000
    return f"{general(seconds)}{prefix}s"


def humanize_percentage(ratio: float) -> str:
    """A ratio as a percentage: 0.123 → ``12.3%``."""
    return f"{general(ratio * 100)}%"


def humanize_timestamp(seconds: float) -> str:
    """Unix seconds as UTC time: 1435065584.128 → ``2015-06-23 13:19:44.128 +0000 UTC``."""
    if not math.isfinite(seconds):
        return general(seconds)
    try:
        moment = _EPOCH + timedelta(milliseconds=math.floor(seconds * 1000))
    except OverflowError:
        return general(seconds)
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return f"{moment:%Y-%m-%d %H:%M:%S}{'.' + fraction if fraction else ''} +0000 UTC"
