"""The value types that every room shares: a leaf that imports nothing of ours and does no I/O.

Times are UTC milliseconds (``int``), values are ``float64`` in Prometheus base units.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

#: Sorted ``(name, value)`` pairs. Hashable, so that a label set is its own key.
Labels = tuple[tuple[str, str], ...]
Times = NDArray[np.int64]
Values = NDArray[np.float64]
MatchOp = Literal["=", "!=", "=~", "!~"]

METRIC_NAME = "__name__"

#: Prometheus' stale marker: the NaN with this bit pattern says "the series ended here"; any other NaN is a value.
STALE_BITS = 0x7FF0000000000002
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


class Sample(NamedTuple):
    """One value of one series at the moment of a collector's run; ``labels`` holds no ``__name__``."""

    name: str
    labels: Labels
    value: float


class Tick(NamedTuple):
    """What one source (one collector run) wrote at one moment."""

    source: str
    time_ms: int
    samples: tuple[Sample, ...]


class Series(NamedTuple):
    """One series over a window: ``labels`` includes ``__name__``; ``times`` ascend strictly; both arrays have length n.

    ``values`` may hold stale markers (see :func:`stale_mask`): they are ends, not values.
    """

    labels: Labels
    times: Times
    values: Values


class Buckets(NamedTuple):
    """What the samples of one series amount to in stretches of time ``(end - length, end]``; none without samples.

    ``ends`` (n,) ascend strictly, all arrays have length n. ``counts`` are positive; ``lows`` and ``highs`` are NaN
    only where all samples are; ``sums`` hold a stale marker where adding so large values may fail. ``read`` tells how
    many numbers have been read to answer.
    """

    labels: Labels
    ends: Times
    counts: Values
    sums: Values
    lows: Values
    highs: Values
    read: int


class Matcher(NamedTuple):
    """One label matcher. Regular expressions are anchored at both ends and follow RE2, as in Prometheus."""

    name: str
    op: MatchOp
    value: str


class Hints(NamedTuple):
    """What a query will look at: the windows ``(t - range_ms, t]`` for t = start_ms, start_ms + step_ms … end_ms.

    With a step of 0 there is only the window that ends at ``end_ms``. ``function`` names the range function that the
    samples are for, where there is one. A source may skip samples that no window holds.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    range_ms: int
    function: str | None = None


class Collector(Protocol):
    """One source of samples. A collector knows nothing of storage, alerts or pages."""

    @property
    def name(self) -> str:
        """The source's name, e.g. ``nvml``; the value of the label ``collector`` in ``collector_up``."""
        ...

    @property
    def interval_seconds(self) -> float:
        """Seconds between two runs."""
        ...

    def collect(self) -> Iterable[Sample]:
        """Read the source once: leave out what cannot be read, yield nothing if it is absent, raise if it is broken."""
        ...


def make_labels(**labels: object) -> Labels:
    """Build a sorted label set; values become strings. One trailing underscore is dropped (``class_`` → ``class``)."""
    return tuple(sorted((_plain_name(name), str(value)) for name, value in labels.items()))


def _plain_name(name: str) -> str:
    return name if name.endswith("__") else name.removesuffix("_")


def stale_mask(values: Values) -> NDArray[np.bool_]:
    """Boolean mask of the stale markers in ``values``, same shape."""
    mask: NDArray[np.bool_] = values.view(np.uint64) == STALE_BITS
    return mask
