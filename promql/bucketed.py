"""Range functions over buckets: what samples amount to in whole minutes or hours stands for the samples themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collectors.sample import Buckets, Series, Times, stale_mask
from promql import overtime
from promql.budget import Budget
from promql.value import Block, RangeData
from promql.window import WindowFunction, over_windows

#: The functions, each with what it makes of one number of every bucket. A mean takes sums and counts.
BUCKETED: dict[str, WindowFunction] = {
    "avg_over_time": overtime.sum_,
    "count_over_time": overtime.sum_,
    "max_over_time": overtime.maximum,
    "min_over_time": overtime.minimum,
    "sum_over_time": overtime.sum_,
}


class _UnknownSumError(Exception):
    """A bucket does not know its sum, since its values are too large."""


def over_buckets(name: str, buckets: Iterable[Buckets], refs: Times, range_ms: int, budget: Budget) -> Block | None:
    """The function ``name`` over windows ``(ref - range_ms, ref]`` that hold whole buckets.

    None where it needs a sum that its bucket does not know: then all has to be read.
    """
    data = RangeData(_numbers(name, buckets, budget), refs, range_ms)
    try:
        block = over_windows(data, BUCKETED[name], budget)
    except _UnknownSumError:
        return None
    if name != "avg_over_time":
        return block
    return Block(block.labels[::2], block.values[::2] / block.values[1::2], block.present[::2])


def _numbers(name: str, buckets: Iterable[Buckets], budget: Budget) -> Iterator[Series]:
    """What the function is computed from, as if it were samples; for a mean, a series of sums and one of counts."""
    for one in buckets:
        budget.read(one.read)
        if name in ("avg_over_time", "sum_over_time"):
            if stale_mask(one.sums).any():
                raise _UnknownSumError
            yield Series(one.labels, one.ends, one.sums)
        if name in ("avg_over_time", "count_over_time"):
            yield Series(one.labels, one.ends, one.counts)
        if name == "min_over_time":
            yield Series(one.labels, one.ends, one.lows)
        if name == "max_over_time":
            yield Series(one.labels, one.ends, one.highs)
