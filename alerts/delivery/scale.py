"""Round numbers for the axis of a picture. Imports nothing of ours."""

from __future__ import annotations

import math

#: About how many steps an axis has.
_TICKS = 4
#: Values that differ by less are the same.
_LEAST_SPAN = 1e-30


def ticks(low: float, high: float) -> list[float]:
    """Round numbers around ``low`` and ``high``, evenly spaced: at least two, about four."""
    if high - low <= max(abs(low), abs(high)) * 1e-9 or high - low < _LEAST_SPAN:
        pad = max(abs(high) * 0.1, _LEAST_SPAN) if abs(high) > _LEAST_SPAN else 1.0
        low, high = low - pad, high + pad
        if low < 0 <= low + pad:
            low = 0.0
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, max(last, first + 1) + 1)]
