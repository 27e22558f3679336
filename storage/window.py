"""Samples that came series by series, laid out as blocks: stretches of time with the series that share moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from collectors.sample import Labels, Times, Values
from storage.block import BLOCK_SAMPLES
from storage.codec import Index
from storage.openmetrics import Column

#: The length of a window for series that have too few samples to tell how often they come: as for one every 5 s.
_USUAL_STEP_MS = 5000
#: Samples of a window that has only bursts are at least so many times fewer than those of a block should be.
_BURST = 8
#: What a piece of a series takes beside its samples, and the size from which on pieces are not joined while they wait.
_PIECE_BYTES = 400
_SMALL = 1024
#: Series with fewer moments are looked for in this many blocks of their window, the largest of them.
_MOST_TRIED = 8


class Stretch(NamedTuple):
    """The content of one block. ``present`` are the positions of a series' moments in ``times``, None for all."""

    times: Times
    columns: list[tuple[Labels, Values, Index | None]]


class Moments:
    """Keeps one array for equal times: series of one source cost the times of one, and are found by identity."""

    def __init__(self) -> None:
        self._known: dict[bytes, Times] = {}

    def share(self, times: Times) -> Times:
        """The array to use in place of this one; it must not be changed."""
        return self._known.setdefault(blake2b(times.tobytes(), digest_size=16).digest(), times)


class Buffer:
    """What has been read and not been written, by series."""

    def __init__(self) -> None:
        self._pieces: dict[Labels, list[Column]] = {}
        self.bytes = 0
        self.doubled = 0  #: samples that came twice in what was drained; the later one counted

    def add(self, columns: Iterable[Column]) -> None:
        """Take samples in any order."""
        for column in columns:
            pieces = self._pieces.setdefault(column.labels, [])
            pieces.append(column)
            self.bytes += column.times.nbytes + column.values.nbytes + _PIECE_BYTES
            while len(pieces) > 1 and len(pieces[-2].times) <= len(pieces[-1].times) < _SMALL:
                pieces[-2:] = [_joined(pieces[-2:])]
                self.bytes -= _PIECE_BYTES

    def drain(self, moments: Moments) -> Iterator[list[Column]]:
        """Empty it: one window after the other, in each of them each series at most once, its times ascending strictly.

        Windows begin at the same moments for all series that come equally often, so that they share blocks even where
        one began later or has a gap.
        """
        windows: dict[tuple[int, int, int], list[Column]] = {}
        while self._pieces:
            labels, pieces = self._pieces.popitem()
            times, values = self._in_order(pieces)
            length = _window_ms(times)
            numbers = times // length
            for first, last in _runs(numbers):
                for part, begin in enumerate(range(first, last, 2 * BLOCK_SAMPLES)):
                    end = min(begin + 2 * BLOCK_SAMPLES, last)
                    key = (int(numbers[begin]) * length, length, part)
                    column = Column(labels, moments.share(times[begin:end]), values[begin:end])
                    windows.setdefault(key, []).append(column)
        self.bytes = 0
        for key in sorted(windows):
            yield windows.pop(key)

    def _in_order(self, pieces: Sequence[Column]) -> tuple[Times, Values]:
        _, times, values = _joined(pieces)
        if (times[1:] > times[:-1]).all():
            return times, values
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(times[1:] > times[:-1], True)
        self.doubled += len(times) - int(last.sum())
        return times[last], values[last]


def _joined(pieces: Sequence[Column]) -> Column:
    times = np.concatenate([piece.times for piece in pieces])
    return Column(pieces[0].labels, times, np.concatenate([piece.values for piece in pieces]))


def stretches(columns: Iterable[Column]) -> list[Stretch]:
    """The columns of one window as the content of blocks. Equal times must be the same array.

    A series whose moments are all among those of another block joins it.
    """
    groups: dict[int, Stretch] = {}
    for labels, times, values in columns:
        if len(times):
            groups.setdefault(id(times), Stretch(times, [])).columns.append((labels, values, None))
    found: list[Stretch] = []
    for group in sorted(groups.values(), key=lambda group: len(group.times), reverse=True):
        for stretch in found[:_MOST_TRIED]:
            present = _positions(group.times, stretch.times)
            if present is not None:
                stretch.columns.extend((labels, values, present) for labels, values, _ in group.columns)
                break
        else:
            found.append(group)
    return found


def _positions(times: Times, among: Times) -> Index | None:
    """Where each of the times is; None unless all are there."""
    positions: Index = among.searchsorted(times)
    if positions[-1] < len(among) and (among[positions] == times).all():
        return positions
    return None


def _window_ms(times: Times) -> int:
    """A power of two in which the series has about as many samples as a block should have.

    The median tells how often they come, whatever the gaps; but not many times oftener than on average.
    """
    if len(times) < 2:
        step = _USUAL_STEP_MS
    else:
        step = max(1, int(np.median(np.diff(times))), int(times[-1] - times[0]) // (_BURST * len(times)))
    length: int = 1 << (BLOCK_SAMPLES * step).bit_length() - 1
    return length


def _runs(numbers: Times) -> Iterator[tuple[int, int]]:
    """Where equal numbers begin and end."""
    breaks = (np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist()
    return zip([0, *breaks], [*breaks, len(numbers)], strict=True)
