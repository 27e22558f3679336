"""Reading history: one answer from what memory and the file have, while both change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy import Engine

from collectors.sample import Buckets, Hints, Labels, Matcher, Series, Times, Values
from storage.aside import journal_folder
from storage.block import Block
from storage.bucket import HOUR_MS
from storage.cache import DecodedCache
from storage.catalogue import Catalogue
from storage.coarse import Coarse, usable
from storage.cost import SourceCost, disk_bytes, source_costs
from storage.engine import hurried
from storage.error import StorageError
from storage.fact import read_number
from storage.head import head_parts
from storage.history import History
from storage.index import SeriesIndex
from storage.piece import Assembler, Part
from storage.timeline import Timeline, View

logger = structlog.get_logger(__name__)

#: Decoded chunks that are kept in memory.
CACHE_BYTES = 32 * 1024 * 1024
#: Seconds between two looks for what other processes have added to the file.
_LOOK_SECONDS = 1.0
#: A look that a lock holds up is left out.
_LOOK_WAIT_SECONDS = 0.1


class SeriesReader:
    """Answers from any thread; whoever writes (see :class:`storage.series.SeriesStore`) keeps the timeline."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._path = Path(engine.url.database or "")
        self._index = SeriesIndex()
        self._history = History(engine, DecodedCache(CACHE_BYTES))
        self._timeline = Timeline()
        self._looked = 0.0

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Series]:
        """The samples of all series that the matchers mean, within the window (inclusive), stale markers among them.

        Series without samples there are left out. The arrays are read-only. Windows that lie in memory touch no file.
        """
        view = self._view()
        blocks = view.catalogue.between(max(start_ms, view.horizon_ms), end_ms)
        return list(self._read(view, self._index.match(matchers), start_ms, end_ms, blocks))

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        """The same for a query, one series after the other: a month of fifty series never lies in memory at once.

        Blocks that none of the query's windows touch are not read.
        """
        view = self._view()
        blocks = view.catalogue.touched(hints)
        start_ms = hints.start_ms - hints.range_ms + 1
        return self._read(view, self._index.match(matchers), start_ms, hints.end_ms, blocks)

    def buckets(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Buckets] | None:
        """The same in buckets, for windows that hold whole ones; None where the file has none that are of use.

        Where samples have expired, buckets go on answering.
        """
        view = self._view()
        tier = usable(view, hints)
        if not tier:
            return None
        return Coarse(self._history, self._index, view, hints, tier).read(self._index.match(matchers))

    def remarks(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[str]:
        """What a query should know that looks at samples where only buckets are left."""
        view = self._view()
        if hints.start_ms - hints.range_ms >= view.horizon_ms - 1:
            return
        ids = set(self._index.match(matchers))
        left = {
            block.resolution_ms
            for block in view.catalogue.touched_buckets(hints)
            if block.start_ms < view.horizon_ms and not ids.isdisjoint(block.series)
        }
        if left:
            unit, window = ("hour", "1h") if max(left) == HOUR_MS else ("minute", "1m")
            until = datetime.fromtimestamp(view.horizon_ms / 1000, UTC).isoformat(timespec="seconds")
            yield (
                f"history before {until.replace('+00:00', 'Z')} is kept per {unit} only: ask for"
                f" avg_over_time(…[{window}]), or min, max, sum or count, at whole {unit}s"
            )

    def labels(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> list[Labels]:
        """The label sets of matching series that were being written in the window (inclusive).

        Judged by the blocks that hold them, without reading samples: across a gap this may name a few too many.
        """
        alive = self._view().series_between(start_ms, end_ms)
        found = (self._index.labels_of(id) for id in self._index.match(matchers) if id in alive)
        return [labels for labels in found if labels is not None]

    def last_tick_ms(self) -> int | None:
        """The time of the newest tick, earlier processes' among them once :meth:`load` has run; None without any."""
        return self._timeline.last_tick_ms

    def span(self) -> tuple[int, int] | None:
        """The times of the oldest and the newest sample, ends of series among them; None when there is none."""
        return self._view().span()

    @property
    def unreadable(self) -> int:
        """Chunks that could not be decoded since this process started: holes in the history."""
        return self._history.unreadable

    def costs(self) -> list[SourceCost]:
        """What each source takes, the dearest first."""
        with self._engine.connect() as connection:
            known = Catalogue.load(connection)
        unsealed = [section for section in self._timeline.view().sections if not section.sealed]
        return source_costs([*known.blocks, *known.tier], unsealed)

    def size(self) -> int:
        """Bytes that all files together take on the disk."""
        return disk_bytes(self._path, journal_folder(self._path))

    # --- within --------------------------------------------------------------------------------------------------

    def _learn(self) -> None:
        with self._engine.connect() as connection:
            self._index.load(connection)
            self._timeline.read(connection)

    def _view(self) -> View:
        """What there is now, with what another process has added to the file or taken from it a second ago."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                with hurried(_LOOK_WAIT_SECONDS):
                    self.look()
            except StorageError as error:
                logger.warning("history_not_looked_at", error=str(error))
        return self._timeline.view()

    def look(self) -> View:
        """What there is at this very moment. Raises :class:`StorageError`."""
        with self._engine.connect() as connection:
            known = read_number(connection, "generation") == self._timeline.generation
        if not known:
            self._learn()
        return self._timeline.view()

    def samples(self, view: View, start_ms: int, end_ms: int) -> Iterator[tuple[int, Times, Values]]:
        """Every series' id and samples in the window (inclusive)."""
        ids = self._index.match(())
        return self._parts(view, ids, start_ms, end_ms, view.catalogue.between(start_ms, end_ms))

    def _read(
        self, view: View, ids: Sequence[int], start_ms: int, end_ms: int, blocks: Sequence[Block]
    ) -> Iterator[Series]:
        """The series one by one."""
        for id, times, values in self._parts(view, ids, start_ms, end_ms, blocks):
            labels = self._index.labels_of(id)
            if labels is not None:
                yield Series(labels, times, values)

    def _parts(
        self, view: View, ids: Sequence[int], start_ms: int, end_ms: int, blocks: Sequence[Block]
    ) -> Iterator[tuple[int, Times, Values]]:
        """The samples of one series after the other, joined from what file and memory have; those without left out."""
        start_ms = max(start_ms, view.horizon_ms)
        if not ids or start_ms > end_ms:
            return
        assembler = Assembler(start_ms, end_ms)
        head = head_parts(view.sections, set(ids), start_ms, end_ms)
        files = self._history.read(ids, blocks) if blocks else iter([{id: list[Part]() for id in ids}])
        for group in files:
            for id, parts in group.items():
                parts += head.get(id, ())
                if not parts:
                    continue
                times, values = assembler.join(parts)
                if len(times):
                    yield id, times, values
