"""A piece of history: some series over the same moments. Answers are put together from pieces of memory and of file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Labels, Series, Times, Values, stale_mask


class Piece(NamedTuple):
    """``times`` has length n and ascends strictly, ``values`` is (series, n), ``columns`` maps series id → row."""

    times: Times
    values: NDArray[np.float64]
    columns: Mapping[int, int]


def assemble(ids: Iterable[int], pieces: Sequence[Piece], labels_of: Callable[[int], Labels | None]) -> list[Series]:
    """Join the pieces into one :class:`Series` for each id that has samples, in the order of ``ids``.

    Pieces come in order of time for each source. Series with the same moments share one array of times.
    """
    shared: dict[tuple[int, ...], Times] = {}
    result = []
    for id in ids:
        parts = [(number, piece.columns[id]) for number, piece in enumerate(pieces) if id in piece.columns]
        labels = labels_of(id)
        if not parts or labels is None:
            continue
        if len(parts) == 1:
            number, column = parts[0]
            times, values = pieces[number].times, pieces[number].values[column]
        else:
            times, values = _join(pieces, parts, shared)
        times.flags.writeable = False
        values.flags.writeable = False
        result.append(Series(labels, times, values))
    return result


def _join(
    pieces: Sequence[Piece], parts: Sequence[tuple[int, int]], shared: dict[tuple[int, ...], Times]
) -> tuple[Times, Values]:
    moments = tuple(number for number, _ in parts)
    times = shared.get(moments)
    if times is None:
        times = np.concatenate([pieces[number].times for number in moments])
        shared[moments] = times
    values = np.concatenate([pieces[number].values[column] for number, column in parts])
    if bool((times[1:] > times[:-1]).all()):
        return times, values
    return _put_in_order(times, values)


def _put_in_order(times: Times, values: Values) -> tuple[Times, Values]:
    """Sort by time. Happens when a source flaps between layouts or a series moves from one source to another.

    Of two samples at the same moment, a value counts before the end that the other source wrote, then the later one.
    """
    order = np.lexsort((~stale_mask(values), times))
    times, values = times[order], values[order]
    last = np.append(times[1:] > times[:-1], True)
    return times[last], values[last]
