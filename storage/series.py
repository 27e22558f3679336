"""The time-series store: what collectors wrote goes to a journal first, then into blocks of the file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from sqlalchemy import Engine

from collectors.sample import Hints, Labels, Matcher, Series, Tick
from storage.aside import journal_folder
from storage.backlog import Backlog
from storage.block import BLOCK_SAMPLES, Block, BlockWriter
from storage.cache import DecodedCache
from storage.catalogue import Catalogue
from storage.cost import SourceCost, disk_bytes, folder_bytes, source_costs
from storage.engine import hurried
from storage.error import StorageError, storage_errors
from storage.fact import identity, note_fact, read_fact, read_number
from storage.head import Section, SectionView
from storage.history import History
from storage.index import SeriesIndex
from storage.journal import Record, State, read_segments
from storage.piece import Assembler, Part
from storage.problem import Problems
from storage.registrar import Limits, Registrar
from storage.retention import Room, delete_blocks, delete_series, oldest, released, shrink, withdraw
from storage.seal import seal
from storage.shelf import Shelf
from storage.timeline import UNKNOWN, Timeline, View
from storage.writer import Batch, TickWriter, alive

logger = structlog.get_logger(__name__)

MINUTE_MS = 60_000
#: Decoded chunks that are kept in memory.
CACHE_BYTES = 32 * 1024 * 1024
#: Seconds between two looks for what other processes have added to the file.
_LOOK_SECONDS = 1.0
#: A look that a lock holds up is left out.
_LOOK_WAIT_SECONDS = 0.1


class SeriesStore:
    """One writer appends ticks; any thread selects.

    Rules of time: a tick that is not newer than its source's last one is dropped, counted and logged once for each
    run of them (a clock that stepped back, or a collector that came twice), so that times ascend strictly. While
    a clock is far behind what was recorded, ``wakeless_ticks_dropped_total`` is written all the same.
    A tick that cannot be written (a label that is not UTF-8) is dropped in the same way, without harm to the others.
    Rules of absence: a series that its source no longer writes gets a stale marker at the moment of the first tick
    without it; an empty tick ends all series of its source; after a restart :meth:`load` ends all that were open.
    """

    def __init__(
        self,
        engine: Engine,
        head_minutes: float = 60.0,
        *,
        sync_always: bool = False,
        problems: Problems | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.problems = problems or Problems()  #: what is wrong now
        self._engine = engine
        self._path = Path(engine.url.database or "")
        self._head_ms = int(head_minutes * MINUTE_MS)
        self._sync_always = sync_always
        self._journal = Backlog(journal_folder(self._path), self.problems)
        self._shelf = Shelf(self._journal)
        self._index = SeriesIndex()
        self._registrar = Registrar(engine, self._index, limits, self._live, self.problems)
        self._writer = TickWriter(self._index, self._registrar)
        self._blocks = BlockWriter(engine)
        self._history = History(engine, DecodedCache(CACHE_BYTES))
        self._timeline = Timeline()
        self._identity = ""
        self._looked = 0.0
        self._append_lock = threading.Lock()
        self._seal_lock = threading.Lock()

    # --- life ----------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Take up the history where the last process left it, and end every series that was open then.

        The ends are written one millisecond after the newest tick of all: until then that process was there, and a
        source that had stopped before has its own end. A load that failed halfway may be tried again.
        """
        with self._seal_lock, self._append_lock, storage_errors(self._path):
            with self._engine.connect() as connection:
                self._identity = read_fact(connection, "identity") or ""
                sealed = read_number(connection, "sealed")
            if not self._identity:  # reading is enough after the first start, so that no lock of others holds it up
                with self._engine.begin() as connection:
                    self._identity = identity(connection)
            self._journal.drop(sealed)
            left = list(read_segments(self._journal.folder, self._identity))
            self._take_up(left)
            self._begin_section(max([sealed, *(number for number, _ in left)]) + 1)
            self._end_all()

    def attach(self) -> None:
        """See the history as it is now, beside a process that writes it. For readers only."""
        with storage_errors(self._path):
            with self._engine.connect() as connection:
                self._identity = read_fact(connection, "identity") or ""
            # The journal before the file: what is sealed in between is in both then, and left out here.
            found = list(read_segments(self._journal.folder, self._identity))
            with self._engine.connect() as connection:
                sealed = read_number(connection, "sealed")
            self._take_up([(number, records) for number, records in found if number > sealed])

    def close(self) -> None:
        """End every series and seal what is left, so that the one file holds all of the history."""
        if not self._journal.number:
            return
        with self._append_lock:
            self._end_all()
        try:
            self.seal(everything=True)
        finally:
            self._journal.close()

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, ticks: Sequence[Tick]) -> None:
        """Write the ticks, all or none: they outlive this process when it returns, and readers see them at once.

        A power cut may take what came after the last :meth:`sync`. What the disk refuses is kept in memory, in order,
        until there is room; ``problems`` tells meanwhile.
        """
        with self._append_lock:
            self._write(self._writer.prepare(ticks))

    def sync(self) -> None:
        """Make all that was appended outlive a power cut; nobody waits but the caller."""
        self._journal.sync()

    def seal(self, *, everything: bool = False) -> int:
        """Move ticks from the journal into blocks once there are enough of them; returns the samples that were moved.

        Nobody waits for it: ticks are appended meanwhile, and each of its transactions takes some milliseconds.
        """
        with self._seal_lock, storage_errors(self._path):
            try:
                count = sum(self._seal([section]) for section in self._shelf.sections(self._identity))
                count += self._seal(self._due(everything))
            except StorageError:
                self._writer.dropped += self._shelf.relieve(self._timeline)
                raise
            self._timeline.trim(self._head_ms)
        return count

    def begin_anew(self) -> None:
        """Go on in a new segment of the journal: the old one has been deleted, and memory has all that it held."""
        with self._append_lock:
            self._begin_section(self._journal.number + 1)

    def journal_lost(self) -> bool:
        """Whether the journal has been deleted, moved or replaced by someone else."""
        return self._journal.lost()

    def expire(self, before_ms: int) -> int:
        """Delete blocks that end before ``before_ms``, then series that nothing refers to; returns the ticks deleted.

        What is older in other blocks is not shown any more. Works in transactions of a few milliseconds, and gives room
        back to the disk.
        """
        with self._seal_lock, storage_errors(self._path):
            with self._engine.begin() as connection:
                before_ms = max(before_ms, read_number(connection, "horizon_ms"))
                note_fact(connection, "horizon_ms", before_ms)
                old = self._timeline.view().catalogue.ended(before_ms)
                withdraw(connection, old)
            self._timeline.expire(before_ms)
            delete_blocks(self._engine, old)
            self._forget(old)
            given = shrink(self._engine)
        ticks = sum(block.count for block in old)
        if old:
            logger.info("history_expired", ticks=ticks, before_ms=before_ms, bytes_given_back=given)
        return ticks

    def limit(self, most_bytes: int) -> int:
        """Let the oldest history expire until file and journal take no more room; returns the ticks deleted.

        The write-ahead log comes on top; it is small, but for the time of a long backup.
        """
        ticks = 0
        with storage_errors(self._path):
            # What blocks take in the file is known but roughly: some rounds come close enough.
            while (used := self._used()) > most_bytes:
                before_ms = oldest(self._timeline.view().catalogue.blocks, 1 - most_bytes / used)
                if before_ms is None:
                    logger.warning("history_limit_not_kept", bytes=used, limit_bytes=most_bytes)
                    break
                ticks += self.expire(before_ms)
            with self._seal_lock:
                shrink(self._engine, most_bytes - folder_bytes(self._journal.folder))
        return ticks

    # --- reading -------------------------------------------------------------------------------------------------

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
    def dropped(self) -> int:
        """Ticks that were dropped since this process started: not newer than their source's last, or unwritable."""
        return self._writer.dropped

    @property
    def waiting(self) -> int:
        """Ticks, one for each source, that are in memory only: the disk takes nothing."""
        return self._journal.waiting

    @property
    def unreadable(self) -> int:
        """Chunks that could not be decoded since this process started: holes in the history."""
        return self._history.unreadable

    def refusals(self) -> Mapping[Labels, float]:
        """Samples left out because their metric, or all metrics together, have too many series; by metric and label."""
        return self._registrar.refusals()

    def costs(self) -> list[SourceCost]:
        """What each source takes, the dearest first."""
        with self._engine.connect() as connection:
            blocks = Catalogue.load(connection).blocks
        return source_costs(blocks, [section.view() for section in self._timeline.unsealed()])

    def size(self) -> int:
        """Bytes that all files together take on the disk."""
        return disk_bytes(self._path, self._journal.folder)

    # --- within --------------------------------------------------------------------------------------------------

    def _live(self) -> set[int]:
        """The series that are written now, or were so lately that memory has them."""
        return self._writer.open_series().union(*(section.series() for section in self._timeline.view().sections))

    def _used(self) -> int:
        with self._engine.connect() as connection:
            return Room.of(connection).used + folder_bytes(self._journal.folder)

    def _take_up(self, left: Sequence[tuple[int, Sequence[Record]]]) -> None:
        """Learn what the file has, lay the journal's segments beside it, and note where their sources stood."""
        self._writer = TickWriter(self._index, self._registrar)
        self._timeline = Timeline()
        for number, records in left:
            self._timeline.begin(Section(number))
            for record in records:
                if isinstance(record, State):
                    self._writer.take_up(record)
                else:
                    self._timeline.push(record)
                    for row in record:
                        self._writer.take_up(State(row.layout.source, row.time_ms, alive(row)))
        self._learn()
        for source, last_ms in self._timeline.view().catalogue.last_times().items():
            self._writer.take_up(State(source, last_ms, None))  # where the journal has been lost

    def _learn(self) -> None:
        with self._engine.connect() as connection:
            self._index.load(connection)
            self._timeline.read(connection)

    def _begin_section(self, number: int) -> None:
        self._journal.begin(number, self._identity, self._writer.states())
        self._timeline.begin(Section(number))

    def _write(self, batch: Batch) -> None:
        """Write the rows; then let readers see them."""
        if batch.rows:
            self._journal.append(batch.rows)
            if self._sync_always:
                with suppress(StorageError):  # it is among the problems now
                    self._journal.sync()
        self._writer.commit(batch)
        self._timeline.push(batch.rows)

    def _end_all(self) -> None:
        """End every open series."""
        self._write(self._writer.end_all(self._timeline.last_tick_ms or 0))

    def _due(self, everything: bool) -> list[Section]:
        """The sections that are to be sealed now, none of them written any more."""
        with self._append_lock:
            *ended, current = self._timeline.unsealed()
            waiting = sum(section.longest for section in ended) >= BLOCK_SAMPLES  # an earlier attempt failed
            if waiting and not everything and current.longest < BLOCK_SAMPLES:
                return ended
            if sum(section.longest for section in (*ended, current)) < (1 if everything else BLOCK_SAMPLES):
                return []
            if not current.runs:
                return ended
            self._begin_section(current.number + 1)
            return [*ended, current]

    def _seal(self, sections: Sequence[Section]) -> int:
        """Write sections that follow one another as blocks; returns their samples."""
        if sections:
            self._blocks.clear(imported=False)  # of an attempt that failed
            blocks = seal(self._blocks, [section.view() for section in sections])
            self._publish(sections, blocks)
            self._journal.drop(sections[-1].number)
        return sum(section.samples for section in sections)

    def _publish(self, sections: Sequence[Section], blocks: Sequence[Block]) -> None:
        """Make the blocks count, and the journal's segments count no more, in one transaction."""
        with self._engine.begin() as connection:
            known = read_number(connection, "generation") == self._timeline.generation
            self._blocks.publish(connection, blocks)
            note_fact(connection, "sealed", sections[-1].number)
            note_fact(connection, "last_tick_ms", self._timeline.last_tick_ms or 0)
            generation = read_number(connection, "generation")
        self._timeline.settle(sections, blocks, generation if known else UNKNOWN)

    def _forget(self, deleted: Sequence[Block]) -> None:
        """Delete the series that only these blocks held."""
        with self._append_lock:
            gone = released(deleted, self._view().series() | self._writer.open_series())
            if gone:
                with self._engine.begin() as connection:
                    delete_series(connection, gone)
                self._index.remove(gone)
                self._writer.forget()

    def _view(self) -> View:
        """What there is now, with what another process has added to the file or taken from it a second ago."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                with hurried(_LOOK_WAIT_SECONDS), self._engine.connect() as connection:
                    known = read_number(connection, "generation") == self._timeline.generation
                if not known:
                    self._learn()
            except StorageError as error:
                logger.warning("history_not_looked_at", error=str(error))
        return self._timeline.view()

    def _read(
        self, view: View, ids: Sequence[int], start_ms: int, end_ms: int, blocks: Sequence[Block]
    ) -> Iterator[Series]:
        """The series one by one, each joined from what file and memory have of it."""
        start_ms = max(start_ms, view.horizon_ms)
        if not ids or start_ms > end_ms:
            return
        assembler = Assembler(start_ms, end_ms)
        head = _head_parts(view.sections, set(ids), start_ms, end_ms)
        files = self._history.read(ids, blocks) if blocks else iter([{id: list[Part]() for id in ids}])
        for group in files:
            for id, parts in group.items():
                parts += head.get(id, ())
                labels = self._index.labels_of(id)
                if not parts or labels is None:
                    continue
                times, values = assembler.join(parts)
                if len(times):
                    yield Series(labels, times, values)


def _head_parts(sections: Sequence[SectionView], ids: set[int], start_ms: int, end_ms: int) -> dict[int, list[Part]]:
    """What memory has of the series, in order of time for each source."""
    parts: dict[int, list[Part]] = {}
    for section in sections:
        for number, piece in enumerate(section.pieces(ids, start_ms, end_ms)):
            for series in ids.intersection(piece.columns):
                part = Part((section.number, number), piece.times, piece.values[piece.columns[series]])
                parts.setdefault(series, []).append(part)
    return parts
