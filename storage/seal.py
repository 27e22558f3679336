"""From memory into the file: the ticks of some segments become one block for each source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from collectors.sample import Times
from storage.block import BLOCK_SAMPLES, Block, BlockWriter, Column
from storage.codec import Index
from storage.head import RunView, SectionView

#: A source that is faster than the others may have this many times the samples of a block in one.
_LARGEST = 2 * BLOCK_SAMPLES


def seal(writer: BlockWriter, views: Sequence[SectionView]) -> list[Block]:
    """Write all ticks of these sections, oldest first, as blocks, still unpublished."""
    by_source: dict[str, list[RunView]] = {}
    for view in views:
        for source, runs in view.runs.items():
            by_source.setdefault(source, []).extend(run for run in runs if run.filled)
    number = views[-1].number
    return [
        writer.write(source, times, columns, segment=number)
        for source, runs in by_source.items()
        for times, columns in _portions(runs)
    ]


def _portions(runs: Sequence[RunView]) -> Iterator[tuple[Times, list[Column]]]:
    """A source's runs as the content of one block, or of several where it has very many ticks."""
    portion: list[RunView] = []
    count = 0
    for run in runs:
        if portion and count + run.filled > _LARGEST:
            yield _transpose(portion)
            portion, count = [], 0
        portion.append(run)
        count += run.filled
    if portion:
        yield _transpose(portion)


def _transpose(runs: Sequence[RunView]) -> tuple[Times, list[Column]]:
    """The joint moments, and each series' values with the moments at which it has any."""
    times = np.concatenate([run.times for run in runs])
    places: dict[int, list[tuple[int, RunView]]] = {}
    first = 0
    for run in runs:
        for series in run.run.layout.series:
            places.setdefault(series, []).append((first, run))
        first += run.filled
    return times, [_column(series, found, len(times)) for series, found in places.items()]


def _column(series: int, places: Sequence[tuple[int, RunView]], count: int) -> Column:
    values = np.concatenate([run.run.values[run.run.columns[series], : run.filled] for _, run in places])
    if len(values) == count:
        return Column(series, values)
    present: Index = np.concatenate([np.arange(first, first + run.filled) for first, run in places])
    return Column(series, values, present)
