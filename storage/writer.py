"""From ticks to rows: which layout a tick has, which series ended with it, and whether it comes in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection

from collectors.sample import STALE_BITS, Labels, Sample, Tick, Values
from storage.head import Row
from storage.index import Key, SeriesIndex, insert_series
from storage.layout import MAX_TIME_MS, PACKED, Layout, LayoutCatalogue, gather_order, tick_key

logger = structlog.get_logger(__name__)

#: Counts the ticks that were dropped.
DROPPED = "wakeless_ticks_dropped_total"
#: Ticks that are so much older than what their source wrote before mean that the clock was set back.
SET_BACK_MS = 10_000


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a source's samples looked like, so that the next tick of the same shape needs only a comparison.

    ``gather`` takes the samples' values into the layout's order; None when they come in that order.
    """

    names: tuple[str, ...]
    labels: tuple[Labels, ...]
    layout: Layout
    gather: NDArray[np.intp] | None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a source stands: the time of its last tick, and its shape while it has open series."""

    last_ms: int
    shape: _Shape | None = None


_NEW_SOURCE = _Source(last_ms=-1)


@dataclass(slots=True)
class Batch:
    """What one transaction writes, and what the writer has to remember once it is committed."""

    rows: list[Row] = field(default_factory=list)
    late: list[Tick] = field(default_factory=list)
    set_back: bool = False
    broken: list[tuple[Tick, Exception]] = field(default_factory=list)
    doubled: dict[str, int] = field(default_factory=dict)  # source → samples that came twice
    sources: dict[str, _Source] = field(default_factory=dict)
    fresh: dict[Key, int] = field(default_factory=dict)
    layouts: list[Layout] = field(default_factory=list)
    witness: str | None = None


class TickWriter:
    """Turns ticks into rows. Used by one thread at a time: ``prepare`` inside the transaction, ``commit`` after it."""

    def __init__(self, index: SeriesIndex, layouts: LayoutCatalogue) -> None:
        self._index = index
        self._layouts = layouts
        self._sources: dict[str, _Source] = {}
        self._late_sources: set[str] = set()
        self._broken_sources: set[str] = set()
        self._doubled_sources: set[str] = set()
        self._witness: str | None = None
        self.dropped = 0  #: ticks that came too late, or could not be written

    def prepare(self, connection: Connection, ticks: Sequence[Tick]) -> Batch:
        """Write the rows of these ticks. Nothing of the writer's own state changes before :meth:`commit`.

        A tick that cannot be written is left out, so that one bad source does not take the others' history with it.
        """
        batch = Batch()
        for tick in ticks:
            source = batch.sources.get(tick.source) or self._sources.get(tick.source, _NEW_SOURCE)
            if not source.last_ms < tick.time_ms <= MAX_TIME_MS:
                batch.late.append(tick)
                batch.set_back |= tick.time_ms < source.last_ms - SET_BACK_MS
                continue
            try:
                batch.sources[tick.source] = self._step(connection, batch, tick, source)
            except (TypeError, ValueError) as error:  # a value that is no number, a label that is no UTF-8
                batch.broken.append((tick, error))
        self._bear_witness(connection, batch, ticks)
        _insert(connection, batch.rows)
        return batch

    def end_all(self, connection: Connection, last_ms: int | None) -> Batch:
        """Write the end of every series that the file says is open, as an earlier process left it.

        They end one millisecond after ``last_ms``, the time of the newest tick. Without any tick (all have expired)
        there is nothing to end, and the layouts go.
        """
        batch = Batch()
        if last_ms is None:
            connection.exec_driver_sql("DELETE FROM layouts")
            return batch
        end_ms = last_ms + 1
        for source, ended_ms in self._layouts.last_ends(connection):
            batch.sources[source] = _Source(ended_ms)
        for layout in self._layouts.open_layouts(connection):
            batch.rows.append(Row(end_ms, layout, _stale_row(len(layout.series))))
            batch.sources[layout.source] = _Source(end_ms)
            self._layouts.end(connection, layout, end_ms)
        _insert(connection, batch.rows)
        return batch

    def commit(self, batch: Batch) -> None:
        """Remember what the transaction wrote."""
        if batch.fresh:
            self._index.add(batch.fresh)
        for layout in batch.layouts:
            self._layouts.remember(layout)
        self._sources.update(batch.sources)
        self._witness = batch.witness
        self._report_late(batch.late)
        self._report_broken(batch.broken)
        self._late_sources.difference_update(batch.sources)
        self._broken_sources.difference_update(batch.sources)
        self._report_doubled(batch.doubled)

    def _bear_witness(self, connection: Connection, batch: Batch, ticks: Sequence[Tick]) -> None:
        """While the clock is behind what was recorded, write how many ticks are dropped, under a source of its own.

        After a clock was set back by an hour every source is late for an hour, the one that reports it among them:
        without this, the rules could not see why they see nothing. The source is a new one after each such step.
        """
        batch.witness = self._witness
        now_ms = max((tick.time_ms for tick in ticks), default=0)
        source = self._sources.get(batch.witness or "", _NEW_SOURCE)
        if batch.set_back and now_ms >= 0 and (batch.witness is None or now_ms < source.last_ms):
            batch.witness, source = f"dropped@{now_ms}", _NEW_SOURCE
        if batch.witness is None or not source.last_ms < now_ms <= MAX_TIME_MS:
            return
        count = float(self.dropped + len(batch.late) + len(batch.broken))
        tick = Tick(batch.witness, now_ms, (Sample(DROPPED, (), count),) if batch.set_back else ())
        batch.sources[batch.witness] = self._step(connection, batch, tick, source)

    def _step(self, connection: Connection, batch: Batch, tick: Tick, source: _Source) -> _Source:
        shape = source.shape
        if not tick.samples:
            if shape is None:
                return source
            batch.rows.append(Row(tick.time_ms, shape.layout, _stale_row(len(shape.layout.series))))
            self._layouts.end(connection, shape.layout, tick.time_ms)
            return _Source(tick.time_ms)
        names, labels, numbers = zip(*tick.samples, strict=True)
        values = np.array(numbers, dtype=np.float64)
        if shape is None or names != shape.names or labels != shape.labels:
            return self._change_shape(connection, batch, tick, source, (names, labels, values))
        batch.rows.append(Row(tick.time_ms, shape.layout, values if shape.gather is None else values[shape.gather]))
        return _Source(tick.time_ms, shape)

    def _change_shape(
        self,
        connection: Connection,
        batch: Batch,
        tick: Tick,
        source: _Source,
        columns: tuple[tuple[str, ...], tuple[Labels, ...], Values],
    ) -> _Source:
        """The tick's series are not those of the source's last one: find the layout, end what is gone."""
        names, labels, values = columns
        ids = [self._id_of(connection, batch, key) for key in zip(names, labels, strict=True)]
        series, gather = gather_order(ids)
        if len(series) < len(ids):
            batch.doubled[tick.source] = batch.doubled.get(tick.source, 0) + len(ids) - len(series)
        row = values if gather is None else values[gather]
        previous = source.shape.layout if source.shape else None
        if previous is not None and previous.series == series:  # the same series in another order
            layout = previous
            batch.rows.append(Row(tick.time_ms, layout, row))
        else:
            if previous is not None:
                self._layouts.end(connection, previous, source.last_ms)
            layout = self._begin(connection, batch, tick.source, series, tick.time_ms)
            gone = set(previous.series).difference(series) if previous else None
            last = self._last_row(connection, batch, tick, gone, series, row) if gone else None
            batch.rows.append(last or Row(tick.time_ms, layout, row))
        return _Source(tick.time_ms, _Shape(names, labels, layout, gather))

    def _last_row(
        self, connection: Connection, batch: Batch, tick: Tick, gone: set[int], series: tuple[int, ...], row: Values
    ) -> Row:
        """The one row in which the series that are gone hold their stale marker, beside the values of the others."""
        both = tuple(sorted(gone.union(series)))
        layout = self._begin(connection, batch, tick.source, both, tick.time_ms)
        self._layouts.end(connection, layout, tick.time_ms)
        values = _stale_row(len(both))
        values[np.searchsorted(both, series)] = row
        return Row(tick.time_ms, layout, values)

    def _begin(
        self, connection: Connection, batch: Batch, source: str, series: tuple[int, ...], time_ms: int
    ) -> Layout:
        layout = self._layouts.begin(connection, source, series, time_ms)
        batch.layouts.append(layout)
        return layout

    def _id_of(self, connection: Connection, batch: Batch, key: Key) -> int:
        id = self._index.id_of(key) or batch.fresh.get(key)
        if id is None:
            id = batch.fresh[key] = insert_series(connection, key)
        return id

    def _report_late(self, late: Iterable[Tick]) -> None:
        for tick in late:
            self.dropped += 1
            if tick.source not in self._late_sources:
                self._late_sources.add(tick.source)
                last_ms = self._sources.get(tick.source, _NEW_SOURCE).last_ms
                logger.warning("tick_dropped", source=tick.source, time_ms=tick.time_ms, last_ms=last_ms)

    def _report_broken(self, broken: Iterable[tuple[Tick, Exception]]) -> None:
        for tick, error in broken:
            self.dropped += 1
            if tick.source not in self._broken_sources:
                self._broken_sources.add(tick.source)
                logger.error("tick_unusable", source=tick.source, time_ms=tick.time_ms, error=str(error))

    def _report_doubled(self, doubled: Mapping[str, int]) -> None:
        for source, count in doubled.items():
            if source not in self._doubled_sources:
                self._doubled_sources.add(source)
                logger.warning("samples_duplicated", source=source, count=count)


def _stale_row(width: int) -> Values:
    """Stale markers, set as bits: arithmetic may turn this NaN into another one."""
    return np.full(width, STALE_BITS, dtype=np.uint64).view(np.float64)


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    packed = [(tick_key(row.time_ms, row.layout.id), row.values.astype(PACKED, copy=False).tobytes()) for row in rows]
    if packed:
        connection.exec_driver_sql('INSERT INTO ticks (id, "values") VALUES (?, ?)', packed)
