"""The functions and aggregations that the evaluator knows, with their signatures, and those refused by name."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Type: TypeAlias = Literal["scalar", "instant vector", "range vector", "string"]


class Signature(NamedTuple):
    """A function's arguments and result. ``extra``: how often the last argument may be given, from 0 up to as many
    times; 0 for exactly once, -1 for any number of times.
    """

    args: tuple[Type, ...]
    result: Type = "instant vector"
    extra: int = 0


#: Functions from number to number, applied to every value.
MATH = frozenset(
    [
        "abs",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "ceil",
        "cos",
        "cosh",
        "deg",
        "exp",
        "floor",
        "ln",
        "log10",
        "log2",
        "rad",
        "sgn",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
    ]
)
#: Functions from a moment (seconds since 1970) to a number; without an argument, of the evaluation time.
CALENDAR = frozenset(["day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year"])

_OVER_TIME = ["avg", "count", "first", "last", "mad", "max", "min", "present", "stddev", "stdvar", "sum"]
_COURSE = ["changes", "delta", "deriv", "idelta", "increase", "irate", "rate", "resets"]

_RANGE_SIGNATURES: dict[str, Signature] = {
    **{f"{name}_over_time": Signature(("range vector",)) for name in _OVER_TIME},
    **{name: Signature(("range vector",)) for name in _COURSE},
    "double_exponential_smoothing": Signature(("range vector", "scalar", "scalar")),
    "predict_linear": Signature(("range vector", "scalar")),
    "quantile_over_time": Signature(("scalar", "range vector")),
}
#: Functions over a range vector, one value per series and step.
RANGE = frozenset(_RANGE_SIGNATURES)
#: Those that take their operand for a counter, and say so where its name does not.
COUNTER = frozenset(["increase", "rate"])

#: Every function by name.
FUNCTIONS: dict[str, Signature] = {
    **{name: Signature(("instant vector",)) for name in MATH},
    **{name: Signature(("instant vector",), extra=1) for name in CALENDAR},
    **_RANGE_SIGNATURES,
    "absent": Signature(("instant vector",)),
    "absent_over_time": Signature(("range vector",)),
    "clamp": Signature(("instant vector", "scalar", "scalar")),
    "clamp_max": Signature(("instant vector", "scalar")),
    "clamp_min": Signature(("instant vector", "scalar")),
    "histogram_quantile": Signature(("scalar", "instant vector")),
    "label_join": Signature(("instant vector", "string", "string", "string"), extra=-1),
    "label_replace": Signature(("instant vector", "string", "string", "string", "string")),
    "pi": Signature((), "scalar"),
    "round": Signature(("instant vector", "scalar"), extra=1),
    "scalar": Signature(("instant vector",), "scalar"),
    "sort": Signature(("instant vector",)),
    "sort_by_label": Signature(("instant vector", "string"), extra=-1),
    "sort_by_label_desc": Signature(("instant vector", "string"), extra=-1),
    "sort_desc": Signature(("instant vector",)),
    "time": Signature((), "scalar"),
    "timestamp": Signature(("instant vector",)),
    "vector": Signature(("scalar",)),
}

#: Aggregations by name, with the type of the parameter before their operand.
AGGREGATIONS: dict[str, Type | None] = {
    **dict.fromkeys(["avg", "count", "group", "max", "min", "stddev", "stdvar", "sum"]),
    "bottomk": "scalar",
    "count_values": "string",
    "quantile": "scalar",
    "topk": "scalar",
}

_EXPERIMENTAL = "is experimental in Prometheus and not part of Wakeless"
_NATIVE = "works on native histograms, which are not part of Wakeless"

#: Words that PromQL knows and this evaluator does not, with the reason.
REFUSED_FUNCTIONS: dict[str, str] = {
    **dict.fromkeys(
        [
            "end",
            "histogram_quantiles",
            "info",
            "max_of",
            "min_of",
            "range",
            "start",
            "step",
            *(f"ts_of_{name}_over_time" for name in ("first", "last", "max", "min")),
        ],
        _EXPERIMENTAL,
    ),
    **dict.fromkeys(
        [f"histogram_{name}" for name in ("avg", "count", "fraction", "stddev", "stdvar", "sum")],
        _NATIVE,
    ),
    "holt_winters": "was renamed in Prometheus 3; it is called double_exponential_smoothing now",
}
REFUSED_AGGREGATIONS: dict[str, str] = dict.fromkeys(["limitk", "limit_ratio"], _EXPERIMENTAL)
REFUSED_MODIFIERS: dict[str, str] = dict.fromkeys(
    ["anchored", "fill", "fill_left", "fill_right", "smoothed"], _EXPERIMENTAL
)
REFUSED_DURATIONS = f"arithmetic with durations {_EXPERIMENTAL}"
