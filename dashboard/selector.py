"""The matchers of a series selector that a caller wrote."""

from __future__ import annotations

from collectors.sample import METRIC_NAME, Matcher
from promql import QueryError, parse
from promql.node import Selector

#: Matches all series: what is meant where no selector is given.
EVERY_SERIES = (Matcher(METRIC_NAME, "!=", ""),)


def selector_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of ``text``, e.g. ``gpu_power_watts{gpu="0"}``. Raises :class:`QueryError` for anything else."""
    if "".join(text.split()) == "{}":
        raise QueryError("match[] must contain at least one non-empty matcher")
    expr = parse(text).expr
    if not isinstance(expr, Selector) or expr.offset_ms or expr.at is not None:
        raise QueryError(f"{text!r} is not a series selector")
    return expr.matchers
