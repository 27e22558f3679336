"""Calendar functions: from seconds since 1970 to parts of the date and time in UTC."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Values

Seconds = NDArray[np.int64]
_DAY = 86_400
#: Seconds that 64 bits hold; beyond them there is no time.
_LIMIT = 2.0**63


def _days(seconds: Seconds) -> NDArray[np.datetime64]:
    days: NDArray[np.datetime64] = seconds.astype("datetime64[s]").astype("datetime64[D]")
    return days


def _months(seconds: Seconds) -> NDArray[np.datetime64]:
    months: NDArray[np.datetime64] = seconds.astype("datetime64[s]").astype("datetime64[M]")
    return months


def _between(later: NDArray[np.datetime64], earlier: NDArray[np.datetime64]) -> Seconds:
    days: Seconds = (later.astype("datetime64[D]") - earlier.astype("datetime64[D]")).astype(np.int64)
    return days


def _days_in_month(seconds: Seconds) -> Seconds:
    months = _months(seconds)
    return _between(months + np.timedelta64(1, "M"), months)


_PARTS: dict[str, Callable[[Seconds], Seconds]] = {
    "minute": lambda s: s // 60 % 60,
    "hour": lambda s: s // 3600 % 24,
    "day_of_week": lambda s: (s // _DAY + 4) % 7,  # 1970 began on a Thursday
    "day_of_month": lambda s: _between(_days(s), _months(s)) + 1,
    "day_of_year": lambda s: _between(_days(s), _days(s).astype("datetime64[Y]")) + 1,
    "days_in_month": _days_in_month,
    "month": lambda s: _months(s).astype(np.int64) % 12 + 1,
    "year": lambda s: _months(s).astype("datetime64[Y]").astype(np.int64) + 1970,
}


def part(name: str, seconds: Values) -> Values:
    """The part of the date called ``name`` (a function's name); NaN for what is no moment."""
    known = np.abs(seconds) < _LIMIT
    whole = np.where(known, seconds, 0).astype(np.int64)
    return np.where(known, _PARTS[name](whole).astype(np.float64), np.nan)
