"""The rows of a CSV file, made of the series of one window, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, cast

import numpy as np

from collectors.sample import Series, Times
from storage.codec import Index
from storage.text import iso_texts, row_texts, value_texts

#: Lines of a long file made at once: as much as memory gives again and again without asking the system for more.
_LONG_LINES = 20_000
#: Cells of a wide file made at once; most of them may be empty.
_WIDE_CELLS = 200_000
#: Sets of moments are told apart by the bits of a number. Of more than these, columns are looked at one by one.
_MOST_SETS = 62
#: Moments that a set of columns should have in common to be worth a look of its own.
_FEW = 16


def long_rows(window: Sequence[Series], names: Sequence[str]) -> Iterator[bytes]:
    """One line for each sample, by time and then in the order of the series; ``names`` are their fields."""
    times = np.concatenate([series.times for series in window])
    values = np.concatenate([series.values for series in window])
    owner = np.repeat(np.arange(len(window)), [len(series.times) for series in window])
    order = np.argsort(times, kind="stable")
    fields = np.array([f",{name},".encode() for name in names], dtype=object)
    for first in range(0, len(order), _LONG_LINES):
        part = order[first : first + _LONG_LINES]
        distinct, places = np.unique(times[part], return_inverse=True)
        moments = np.array(iso_texts(distinct), dtype=object)[places].tolist()
        numbers = value_texts(values[part])
        lines = zip(moments, fields[owner[part]].tolist(), numbers, [b"\n"] * len(part), strict=True)
        yield b"".join(chain.from_iterable(lines))


def wide_rows(columns: Sequence[Series | None]) -> Iterator[bytes]:
    """One line for each moment of any series; None is a column without samples, but some column has some."""
    joint, patterns = _patterns(columns)
    count = max(1, _WIDE_CELLS // max(len(pattern.columns) for pattern in patterns))
    for first in range(0, len(joint), count):
        times = joint[first : first + count]
        lines = np.array(iso_texts(times), dtype=object)
        for rows, present, whole in patterns:
            mine = rows[slice(*rows.searchsorted((first, first + count)))] - first
            if len(mine):
                texts = (_cells if whole else _sparse_cells)(times[mine], present, columns)
                lines[mine] = [b"%b,%b\n" % line for line in zip(lines[mine].tolist(), texts, strict=True)]
        yield b"".join(lines.tolist())


class _Pattern(NamedTuple):
    """The rows in which these columns have samples: all of them if ``whole``, else some."""

    rows: Index
    columns: list[int]
    whole: bool = True


def _patterns(columns: Sequence[Series | None]) -> tuple[Times, list[_Pattern]]:
    """The moments of all rows, and which columns have samples in which; a single one where most rows would have theirs.

    Series of one source share their array of times, so that there are about as many patterns as sources.
    """
    sets: dict[int, tuple[Times, list[int]]] = {}
    for column, series in enumerate(columns):
        if series is not None:
            sets.setdefault(id(series.times), (series.times, []))[1].append(column)
    groups = list(sets.values())
    joint = np.unique(np.concatenate([times for times, _ in groups]))
    sparse = [_Pattern(np.arange(len(joint)), list(range(len(columns))), whole=False)]
    if len(groups) > _MOST_SETS:
        return joint, sparse
    bits = np.zeros(len(joint), dtype=np.int64)
    for bit, (times, _) in enumerate(groups):
        bits[joint.searchsorted(times)] |= 1 << bit
    numbers = np.unique(bits).tolist()
    if len(numbers) > len(groups) and len(numbers) * _FEW > len(joint):
        return joint, sparse
    patterns = []
    for number in numbers:
        mine = [present for bit, (_, present) in enumerate(groups) if number >> bit & 1]
        patterns.append(_Pattern(np.flatnonzero(bits == number), sorted(chain.from_iterable(mine))))
    return joint, patterns


def _cells(times: Times, present: Sequence[int], columns: Sequence[Series | None]) -> Iterable[bytes]:
    """The cells of some rows, in each of which all columns of ``present`` have a sample, and no other has."""
    values = np.empty((len(times), len(present)))
    places: dict[int, Index] = {}
    for place, column in enumerate(present):
        series = cast("Series", columns[column])
        where = places.get(id(series.times))
        if where is None:
            where = places[id(series.times)] = series.times.searchsorted(times)
        values[:, place] = series.values[where]
    if len(present) == len(columns):
        return row_texts(values)
    texts = value_texts(values.ravel())
    blank = [b""] * len(columns)
    for column in present:
        blank[column] = b"%b"
    line = b",".join(blank)
    count = len(present)
    return (line % row for row in zip(*(texts[place::count] for place in range(count)), strict=True))


def _sparse_cells(times: Times, present: Sequence[int], columns: Sequence[Series | None]) -> Iterable[bytes]:
    """The cells of some rows, in which some columns of ``present`` have a sample."""
    values = np.empty((len(times), len(present)))
    missing = np.ones((len(times), len(present)), dtype=np.bool_)
    for column in present:
        series = columns[column]
        if series is not None:
            begin, end = series.times.searchsorted((times[0], times[-1] + 1)).tolist()
            there = times.searchsorted(series.times[begin:end])
            missing[there, column] = False
            values[there, column] = series.values[begin:end]
    return row_texts(values, missing)
