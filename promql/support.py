"""The names that the evaluator knows. What is not here is refused by name when a query is parsed."""

from __future__ import annotations

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
#: Functions over a range vector, one value per series and step.
RANGE = frozenset(
    [
        f"{name}_over_time"
        for name in [
            "avg",
            "count",
            "first",
            "last",
            "mad",
            "max",
            "min",
            "present",
            "quantile",
            "stddev",
            "stdvar",
            "sum",
        ]
    ]
    + [
        "changes",
        "delta",
        "deriv",
        "double_exponential_smoothing",
        "idelta",
        "increase",
        "irate",
        "predict_linear",
        "rate",
        "resets",
    ]
)
#: Everything else.
OTHER = frozenset(
    [
        "absent",
        "absent_over_time",
        "clamp",
        "clamp_max",
        "clamp_min",
        "histogram_quantile",
        "label_join",
        "label_replace",
        "pi",
        "round",
        "scalar",
        "sort",
        "sort_by_label",
        "sort_by_label_desc",
        "sort_desc",
        "time",
        "timestamp",
        "vector",
    ]
)
FUNCTIONS = MATH | CALENDAR | RANGE | OTHER
AGGREGATIONS = frozenset(
    ["avg", "bottomk", "count", "count_values", "group", "max", "min", "quantile", "stddev", "stdvar", "sum", "topk"]
)
