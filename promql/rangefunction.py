"""The functions over range vectors by name, each as a computation over windows."""

from __future__ import annotations

from functools import partial

from collectors.sample import Times, Values
from promql import overtime, rate, trend
from promql.error import QueryError
from promql.window import WindowFunction

#: Keep the metric's name: their value is one of the metric's own.
KEEPS_NAME = frozenset({"first_over_time", "last_over_time"})

_PLAIN: dict[str, WindowFunction] = {
    "avg_over_time": overtime.average,
    "changes": rate.changes,
    "count_over_time": overtime.count,
    "delta": partial(rate.extrapolated, counter=False, per_second=False),
    "deriv": trend.derivative,
    "first_over_time": overtime.first,
    "idelta": partial(rate.instantaneous, counter=False),
    "increase": partial(rate.extrapolated, counter=True, per_second=False),
    "irate": partial(rate.instantaneous, counter=True),
    "last_over_time": overtime.last,
    "mad_over_time": overtime.median_deviation,
    "max_over_time": overtime.maximum,
    "min_over_time": overtime.minimum,
    "present_over_time": overtime.present,
    "rate": partial(rate.extrapolated, counter=True, per_second=True),
    "resets": rate.resets,
    "stddev_over_time": overtime.deviation,
    "stdvar_over_time": overtime.variance,
    "sum_over_time": overtime.sum_,
}


def window_function(name: str, scalars: list[Values], now: Times) -> WindowFunction:
    """The computation behind ``name`` with its scalar arguments, each (steps,), at the times ``now`` (ms)."""
    match name:
        case "quantile_over_time":
            return partial(overtime.quantile, q=scalars[0])
        case "predict_linear":
            return partial(trend.predict_linear, now=now, seconds=scalars[0])
        case "double_exponential_smoothing":
            smoothing, factor = scalars
            _check_factor(smoothing, "smoothing")
            _check_factor(factor, "trend")
            return partial(trend.double_exponential_smoothing, smoothing=smoothing, trend=factor)
    return _PLAIN[name]


def _check_factor(factor: Values, what: str) -> None:
    wrong = ~((factor > 0) & (factor < 1))
    if wrong.any():
        raise QueryError(f"invalid {what} factor. Expected: 0 < factor < 1, got: {factor[wrong][0]:g}", "execution")
