"""Buckets: what a series' samples amount to in each minute or hour, so that wide windows need not read them all.

A bucket is a stretch of time ``(end - resolution, end]``, with its end a multiple of the resolution: the window of a
range function that begins and ends at such multiples holds whole buckets. The buckets of a series are a matrix (4, n)
with the rows :data:`COUNT`, :data:`SUM`, :data:`LOW` and :data:`HIGH`; stretches without a sample have none.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from collectors.sample import STALE, Times, Values, stale_mask
from storage.codec import Index, decode_times, decode_values, encode_times, encode_values
from storage.error import StorageError

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
COUNT, SUM, LOW, HIGH = range(4)

#: Sums of larger values might overflow, depending on the order: their buckets know no sum. Of what is smaller,
#: as many may be added as anybody will ever have.
_LARGEST = 2.0**960
_SIZES = struct.Struct("<4I")


class Grid(NamedTuple):
    """How samples fall into buckets: the ends (n,) of those that have any, and the first sample (n,) of each."""

    ends: Times
    first: Index


def day_of(time_ms: int) -> int:
    """The day of a sample or of a bucket's end, counted from 1970: midnight belongs to the day that it ends."""
    return (time_ms - 1) // DAY_MS


def whole_from(horizon_ms: int) -> int:
    """The first day that has all of its samples, when those before ``horizon_ms`` have expired."""
    return -((1 - horizon_ms) // DAY_MS)  # a day's first sample may come a millisecond after midnight


def grid(times: Times, resolution_ms: int) -> Grid:
    """The buckets of some moments, at least one, that ascend."""
    ends = -(-times // resolution_ms) * resolution_ms
    first = np.append(0, np.flatnonzero(ends[1:] != ends[:-1]) + 1)
    return Grid(ends[first], first)


def fill(found: Grid, values: Values) -> Values:
    """The buckets (4, n) of the values (m,) at the moments that ``found`` is of, no stale marker among them."""
    rows = np.empty((4, len(found.first)))
    rows[COUNT] = np.diff(np.append(found.first, len(values)))
    with np.errstate(all="ignore"):  # infinities, and NaN, which minimum and maximum leave out
        np.add.reduceat(values, found.first, out=rows[SUM])
        np.fmin.reduceat(values, found.first, out=rows[LOW])
        np.fmax.reduceat(values, found.first, out=rows[HIGH])
        large = np.abs(values) > _LARGEST
    if large.any():
        large &= np.isfinite(values)
        rows[SUM, np.logical_or.reduceat(large, found.first)] = STALE
    return rows


def into_buckets(times: Times, values: Values, resolution_ms: int) -> tuple[Times, Values]:
    """The ends (n,) and the buckets (4, n) of a series' samples, whose stale markers do not count."""
    stale = stale_mask(values)
    if stale.any():
        times, values = times[~stale], values[~stale]
    if not len(times):
        return times, np.empty((4, 0))
    found = grid(times, resolution_ms)
    return found.ends, fill(found, values)


def encode_buckets(rows: Values) -> bytes:
    """Buckets (4, n) as they lie in a chunk: the sizes of four parts, and the parts."""
    parts = [encode_times(rows[COUNT].astype(np.int64)), *(encode_values(row) for row in rows[COUNT + 1 :])]
    return _SIZES.pack(*map(len, parts)) + b"".join(parts)


def decode_buckets(packed: bytes, count: int) -> Values:
    """The inverse; raises :class:`StorageError` unless there are exactly ``count``."""
    if len(packed) < _SIZES.size or len(packed) != _SIZES.size + sum(_SIZES.unpack_from(packed)):
        raise StorageError("a chunk of buckets is cut short", permanent=True)
    rows = np.empty((4, count))
    first = _SIZES.size
    for row, size in zip(rows, _SIZES.unpack_from(packed), strict=True):
        part = packed[first : first + size]
        if first == _SIZES.size:
            row[:] = decode_times(part, count)
        else:
            decode_values(part, row)
        first += size
    return rows
