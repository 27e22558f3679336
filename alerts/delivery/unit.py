"""The unit of an expression's values, read from the names of its metrics, and how values in it are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from alerts.humanize import general, humanize, humanize_duration, humanize_percentage
from collectors.sample import METRIC_NAME
from promql.node import Aggregate, Binary, Call, Negation, Node, Number, RangeSelector, Selector, Subquery, children

#: How a unit is written for people.
SHOWN: Mapping[str, Callable[[float], str]] = {
    "ratio": humanize_percentage,
    "bytes": lambda value: f"{humanize(value)}B",
    "seconds": humanize_duration,
    "celsius": lambda value: f"{general(value)} °C",
    "watts": lambda value: f"{general(value)} W",
    "hertz": lambda value: f"{humanize(value)}Hz",
    "": general,
}

#: Functions that give what they take in the same unit, beside all that end in ``_over_time``.
_KEEPING = frozenset(
    {"histogram_quantile", "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "delta", "idelta"}
    | {"increase", "predict_linear", "sort", "sort_desc", "label_replace", "label_join", "scalar"}
)
_COUNTING = frozenset({"count_over_time", "present_over_time", "stdvar_over_time", "count", "count_values", "group"})


def unit_of(node: Node) -> str:
    """The unit of an expression's values, as the names of its metrics tell; empty where they do not."""
    if isinstance(node, Selector):
        return _suffix(next((matcher.value for matcher in node.matchers if matcher.name == METRIC_NAME), ""))
    if isinstance(node, RangeSelector):
        return unit_of(node.selector)
    if isinstance(node, Aggregate):
        return "" if node.op in _COUNTING else unit_of(node.expr)
    if isinstance(node, Subquery | Negation):
        return unit_of(node.expr)
    if isinstance(node, Binary):
        return _joint(node)
    if isinstance(node, Call):
        return _called(node)
    return ""


def _suffix(name: str) -> str:
    base = name.removesuffix("_bucket").removesuffix("_sum")
    return next((unit for unit in SHOWN if unit and base.endswith(f"_{unit}")), "")


def _joint(node: Binary) -> str:
    left, right = unit_of(node.lhs), unit_of(node.rhs)
    if node.op == "/":
        return "ratio" if _is_rate(node.lhs) == _is_rate(node.rhs) and _kind(node.lhs) == _kind(node.rhs) else ""
    if node.op in ("+", "-"):
        return left or right if isinstance(node.lhs, Number) or isinstance(node.rhs, Number) or left == right else ""
    return left if node.op in ("and", "or", "unless") else ""


def _kind(node: Node) -> object:
    """The unit, or for what has none the metric itself: two of a kind make a ratio, and only then."""
    names = {
        matcher.value for selector in _selectors(node) for matcher in selector.matchers if matcher.name == METRIC_NAME
    }
    return unit_of(node) or (names.pop() if len(names) == 1 else object())


def _selectors(node: Node) -> list[Selector]:
    if isinstance(node, Selector):
        return [node]
    return [selector for child in children(node) for selector in _selectors(child)]


def _is_rate(node: Node) -> bool:
    if isinstance(node, Call) and node.name in ("rate", "irate"):
        return True
    return any(_is_rate(child) for child in children(node))


def _called(node: Call) -> str:
    keeps = (node.name.endswith("_over_time") or node.name in _KEEPING) and node.name not in _COUNTING
    if not keeps or not node.args:
        return ""
    return unit_of(node.args[-1] if node.name in ("histogram_quantile", "quantile_over_time") else node.args[0])
