"""The time-series store: what collectors wrote goes to a journal first, then into blocks of the file."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import Engine

from collectors.sample import Labels, Tick
from storage.aside import journal_folder
from storage.backlog import Backlog
from storage.block import BLOCK_SAMPLES, Block, BlockWriter
from storage.bucket import DAY_MS, day_of
from storage.cost import folder_bytes
from storage.engine import hurried, unsynced
from storage.error import StorageError, storage_errors
from storage.fact import identity, note_fact, read_fact, read_number
from storage.head import Section
from storage.journal import Record, State, read_segments
from storage.problem import Problems
from storage.reader import SeriesReader
from storage.registrar import Limits, Registrar
from storage.retention import (
    Room,
    delete_blocks,
    delete_series,
    hold_buckets,
    oldest,
    released,
    shrink,
    total_bytes,
    withdraw,
)
from storage.seal import seal
from storage.shelf import Shelf
from storage.timeline import Timeline
from storage.writer import Batch, TickWriter, alive

logger = structlog.get_logger(__name__)

MINUTE_MS = 60_000
#: Ticks wait so long for the lock with which expired series are deleted.
_FORGET_SECONDS = 0.1


class SeriesStore(SeriesReader):
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
        super().__init__(engine)
        self.problems = problems or Problems()  #: what is wrong now
        self._head_ms = int(head_minutes * MINUTE_MS)
        self._sync_always = sync_always
        self._journal = Backlog(journal_folder(self._path), self.problems)
        self._shelf = Shelf(self._journal)
        self._registrar = Registrar(engine, self._index, limits, self._live, self.problems)
        self._writer = TickWriter(self._index, self._registrar)
        self._blocks = BlockWriter(engine)
        self._identity = ""
        self._loose: set[int] = set()  # series that perhaps nothing holds any more
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
            self._loose = set(self._index.match(()))  # a process that died may have left some
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
        Before :meth:`load` there is nothing to move.
        """
        if not self._journal.number:
            return 0
        with self._seal_lock, storage_errors(self._path):
            try:
                due = self._due(everything)  # first: sections end whether or not they can be sealed
                count = sum(self._seal([section]) for section in self._shelf.sections(self._identity))
                count += self._seal(due)
            except StorageError:
                with self._append_lock:  # it looks at the section that is being written, too
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
                hold_buckets(connection, before_ms)
                old = self._timeline.view().catalogue.ended(before_ms)
                withdraw(connection, old)
                generation = read_number(connection, "generation")
            self._timeline.expire(before_ms, generation)
            given = self._delete(old)
        ticks = sum(block.count for block in old)
        if old:
            logger.info("history_expired", ticks=ticks, before_ms=before_ms, bytes_given_back=given)
        return ticks

    def expire_buckets(self, before_ms: int) -> None:
        """The same for buckets, which may be kept for longer than the samples that they were made of.

        Those of a day go together: while some of them are there, samples of that day are not looked at.
        """
        before_ms = day_of(before_ms) * DAY_MS + 1
        with self._seal_lock, storage_errors(self._path):
            old = self._timeline.view().catalogue.ended_buckets(before_ms)
            if old:
                with self._engine.begin() as connection:
                    withdraw(connection, old)
                self._learn()
                given = self._delete(old)
                logger.info("buckets_expired", blocks=len(old), before_ms=before_ms, bytes_given_back=given)

    def limit(self, most_bytes: int) -> int:
        """Let the oldest history expire until file and journal take no more room; returns the ticks deleted.

        The write-ahead log comes on top; it is small, but for the time of a long backup.
        """
        ticks = 0
        with storage_errors(self._path):
            # What blocks take in the file is known but roughly: some rounds come close enough.
            while (used := self._used()) > most_bytes:
                kept = self._timeline.view().catalogue
                buckets = total_bytes(kept.tier) > total_bytes(kept.blocks)  # what takes more makes room
                before_ms = oldest(kept.tier if buckets else kept.blocks, 1 - most_bytes / used)
                if before_ms is None:
                    logger.warning("history_limit_not_kept", bytes=used, limit_bytes=most_bytes)
                    break
                if buckets:
                    self.expire_buckets(day_of(before_ms - 1) * DAY_MS + DAY_MS + 1)
                else:
                    ticks += self.expire(before_ms)
            with self._seal_lock:
                shrink(self._engine, most_bytes - folder_bytes(self._journal.folder))
        return ticks

    # --- what there is to tell -----------------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Ticks that were dropped since this process started: not newer than their source's last, or unwritable."""
        return self._writer.dropped

    @property
    def waiting(self) -> int:
        """Ticks, one for each source, that are in memory only: the disk takes nothing."""
        return self._journal.waiting

    def refusals(self) -> Mapping[Labels, float]:
        """Samples left out because their metric, or all metrics together, have too many series; by metric and label."""
        return self._registrar.refusals()

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
            buckets_withdrawn = self._blocks.publish(connection, blocks)
            note_fact(connection, "sealed", sections[-1].number)
            note_fact(connection, "last_tick_ms", self._timeline.last_tick_ms or 0)
            generation = read_number(connection, "generation")
        self._timeline.settle(sections, blocks, generation, known=known)
        if buckets_withdrawn:
            self._learn()

    def _delete(self, old: Sequence[Block]) -> int:
        """Delete blocks that do not count any more; returns the bytes given back to the disk."""
        delete_blocks(self._engine, old)
        self._forget(old)
        return shrink(self._engine)

    def _forget(self, deleted: Sequence[Block]) -> None:
        """Delete the series that only these blocks held, or such as could not be deleted before.

        Ticks wait meanwhile, but not for the disk, and not long for a lock: then the next time will do.
        """
        self._loose |= released(deleted)
        self.look()
        with self._append_lock:
            gone = self._loose - self._timeline.view().series() - self._writer.open_series()
            if not gone or len(self._shelf):  # what lies there refers to series that are not counted here
                return
            try:
                with hurried(_FORGET_SECONDS), unsynced(), self._engine.begin() as connection:
                    if read_number(connection, "generation") != self._timeline.generation:
                        return  # an import has just come to hold some of them
                    delete_series(connection, gone)
            except StorageError as error:
                logger.warning("series_not_forgotten", count=len(gone), error=str(error))
                return
            self._loose.clear()
            self._index.remove(gone)
            self._writer.forget()
