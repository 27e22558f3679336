"""Which moments an expression looks at, given the steps that a query is evaluated at."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from collectors.sample import Hints, Times
from promql.error import QueryError
from promql.node import At, Subquery

#: Steps that one subquery may be evaluated at.
MAX_SUBQUERY_STEPS = 1_000_000


def window_ends(times: Times, at: At, offset_ms: int, bounds: Mapping[str, int]) -> Times:
    """The ends of the windows that are looked at (ms): one per step, or a single one where ``@`` pins it.

    ``bounds`` says what ``start`` and ``end`` mean.
    """
    if at is None:
        return times - offset_ms if offset_ms else times
    moment = bounds[at] if isinstance(at, str) else at
    return np.array([moment - offset_ms], dtype=np.int64)


def hints(ends: Times, range_ms: int, function: str | None) -> Hints:
    """What a source is told about windows of ``range_ms`` with these ends, and the range function they are for."""
    step_ms = int(ends[1] - ends[0]) if len(ends) > 1 else 0
    return Hints(int(ends[0]), int(ends[-1]), step_ms, range_ms, function)


def subquery_steps(node: Subquery, ends: Times, default_step_ms: int) -> Times:
    """The steps (ms) inside the windows with these ends: multiples of the step since 1970, whatever the query's own."""
    step = node.step_ms or default_step_ms
    first = ((int(ends[0]) - node.range_ms) // step + 1) * step
    count = (int(ends[-1]) - first) // step + 1
    if count > MAX_SUBQUERY_STEPS:
        raise QueryError(f"a subquery needs {count} steps; at most {MAX_SUBQUERY_STEPS} are allowed", "execution")
    return first + step * np.arange(max(count, 0), dtype=np.int64)
