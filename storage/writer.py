"""From ticks to rows: which layout a tick has, which series ended with it, and whether it comes in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from collectors.sample import STALE_BITS, Labels, Sample, Tick, Values, stale_mask
from storage.index import Key, SeriesIndex
from storage.journal import Row, State
from storage.layout import Layout, LayoutRegistry, gather_order

logger = structlog.get_logger(__name__)

#: Counts the ticks that were dropped.
DROPPED = "wakeless_ticks_dropped_total"
#: Ticks that are so much older than what their source wrote before mean that the clock was set back.
SET_BACK_MS = 10_000
#: The times that are taken: from 1970 to the year 2248.
MAX_TIME_MS = (1 << 43) - 1


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
    """What one append writes, and what the writer has to remember once it is on the disk."""

    rows: list[Row] = field(default_factory=list)
    late: list[Tick] = field(default_factory=list)
    set_back: bool = False
    broken: list[tuple[Tick, Exception]] = field(default_factory=list)
    doubled: dict[str, int] = field(default_factory=dict)  # source → samples that came twice
    sources: dict[str, _Source] = field(default_factory=dict)
    witness: str | None = None


class Registrar(Protocol):
    """Gives new series their ids, in the database."""

    def register(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The ids of these series; those that are not taken are missing."""
        ...


class TickWriter:
    """Turns ticks into rows. Used by one thread at a time: ``prepare``, and ``commit`` once the rows are written."""

    def __init__(self, index: SeriesIndex, registrar: Registrar) -> None:
        self._index = index
        self._registrar = registrar
        self._layouts = LayoutRegistry()
        self._sources: dict[str, _Source] = {}
        self._late_sources: set[str] = set()
        self._broken_sources: set[str] = set()
        self._doubled_sources: set[str] = set()
        self._witness: str | None = None
        self.dropped = 0  #: ticks that came too late, or could not be written

    def prepare(self, ticks: Sequence[Tick]) -> Batch:
        """The rows of these ticks. Nothing of the writer's own state changes before :meth:`commit`.

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
                batch.sources[tick.source] = self._step(batch, tick, source)
            except (TypeError, ValueError) as error:  # a value that is no number, a label that is no UTF-8
                batch.broken.append((tick, error))
        self._bear_witness(batch, ticks)
        return batch

    def take_up(self, state: State) -> None:
        """Go on where a source stands, as the latest of journal and file knows; a mere layout says nothing."""
        if state.last_ms <= self._sources.get(state.source, _NEW_SOURCE).last_ms:
            return
        shape = None
        if state.layout is not None:
            layout = self._layouts.find(state.source, state.layout.series)
            shape = _Shape((), (), layout, None)  # it fits no tick: the first one finds its series anew
        self._sources[state.source] = _Source(state.last_ms, shape)

    def states(self) -> list[State]:
        """Where every source stands."""
        return [
            State(name, source.last_ms, source.shape.layout if source.shape else None)
            for name, source in self._sources.items()
        ]

    def end_all(self, last_ms: int) -> Batch:
        """The end of every open series, one millisecond after ``last_ms``, the time of the newest tick of all."""
        batch = Batch()
        for name, source in self._sources.items():
            if source.shape is not None:
                layout, end_ms = source.shape.layout, max(last_ms, source.last_ms) + 1
                batch.rows.append(Row(end_ms, layout, _stale_row(len(layout.series))))
                batch.sources[name] = _Source(end_ms)
        return batch

    def commit(self, batch: Batch) -> None:
        """Remember what has been written."""
        self._sources.update(batch.sources)
        self._witness = batch.witness
        self._report_late(batch.late)
        self._report_broken(batch.broken)
        self._late_sources.difference_update(batch.sources)
        self._broken_sources.difference_update(batch.sources)
        self._report_doubled(batch.doubled)

    def open_series(self) -> set[int]:
        """The series that sources are writing."""
        return {id for source in self._sources.values() if source.shape for id in source.shape.layout.series}

    def forget(self) -> None:
        """Remember no more lists of series than are being written: some series have just left the file."""
        self._layouts.forget()

    def _bear_witness(self, batch: Batch, ticks: Sequence[Tick]) -> None:
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
        batch.sources[batch.witness] = self._step(batch, tick, source)

    def _step(self, batch: Batch, tick: Tick, source: _Source) -> _Source:
        shape = source.shape
        if not tick.samples:
            if shape is None:
                return source
            batch.rows.append(Row(tick.time_ms, shape.layout, _stale_row(len(shape.layout.series))))
            return _Source(tick.time_ms)
        names, labels, numbers = zip(*tick.samples, strict=True)
        values = np.array(numbers, dtype=np.float64)
        if shape is None or names != shape.names or labels != shape.labels:
            return self._change_shape(batch, tick, source, (names, labels, values))
        batch.rows.append(Row(tick.time_ms, shape.layout, values if shape.gather is None else values[shape.gather]))
        return _Source(tick.time_ms, shape)

    def _change_shape(
        self,
        batch: Batch,
        tick: Tick,
        source: _Source,
        columns: tuple[tuple[str, ...], tuple[Labels, ...], Values],
    ) -> _Source:
        """The tick's series are not those of the source's last one: find the layout, end what is gone."""
        names, labels, values = columns
        keys = list(zip(names, labels, strict=True))
        known = self._ids(keys)
        taken = [position for position, key in enumerate(keys) if key in known]
        if len(taken) < len(keys):
            # Those that were refused are asked for again with the next tick: this shape fits none.
            keys, values, names, labels = [keys[position] for position in taken], values[taken], (), ()
        ids = [known[key] for key in keys]
        series, gather = gather_order(ids)
        if len(series) < len(ids):
            batch.doubled[tick.source] = batch.doubled.get(tick.source, 0) + len(ids) - len(series)
        row = values if gather is None else values[gather]
        previous = source.shape.layout.series if source.shape else ()
        gone = set(previous).difference(series)
        layout = self._layouts.find(tick.source, series)
        if gone:
            batch.rows.append(self._last_row(tick, gone, series, row))
        elif series:
            batch.rows.append(Row(tick.time_ms, layout, row))
        return _Source(tick.time_ms, _Shape(names, labels, layout, gather) if series else None)

    def _last_row(self, tick: Tick, gone: set[int], series: tuple[int, ...], row: Values) -> Row:
        """The one row in which the series that are gone hold their stale marker, beside the values of the others."""
        both = tuple(sorted(gone.union(series)))
        values = _stale_row(len(both))
        values[np.searchsorted(both, series)] = row
        return Row(tick.time_ms, self._layouts.find(tick.source, both), values)

    def _ids(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        """The ids of the series, as far as they are taken."""
        known = {key: id for key in keys if (id := self._index.id_of(key)) is not None}
        fresh = [key for key in dict.fromkeys(keys) if key not in known]
        return {**known, **self._registrar.register(fresh)} if fresh else known

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


def alive(row: Row) -> Layout | None:
    """The series that are still open after a row: those whose value is no end."""
    ended = stale_mask(row.values)
    if not ended.any():
        return row.layout
    series = tuple(id for id, end in zip(row.layout.series, ended.tolist(), strict=True) if not end)
    return Layout(0, row.layout.source, series) if series else None


def _stale_row(width: int) -> Values:
    """Stale markers, set as bits: arithmetic may turn this NaN into another one."""
    return np.full(width, STALE_BITS, dtype=np.uint64).view(np.float64)
