"""All of the history at any moment: what memory answers for, and what the file does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from collectors.sample import stale_mask
from storage.block import Block
from storage.catalogue import Catalogue
from storage.fact import read_number
from storage.head import Section, SectionView
from storage.journal import Row

#: The generation of a list of blocks that has to be read.
UNKNOWN = -1


class View(NamedTuple):
    """The history at one moment. Samples before ``horizon_ms`` have expired."""

    sections: Sequence[SectionView]
    catalogue: Catalogue
    horizon_ms: int

    def series(self) -> set[int]:
        """Every series that has samples."""
        return self.catalogue.series().union(*(section.series() for section in self.sections))

    def series_between(self, start_ms: int, end_ms: int) -> set[int]:
        """The series of all that overlaps the window (inclusive)."""
        start_ms = max(start_ms, self.horizon_ms)
        found: set[int] = set()
        for section in self.sections:
            found |= section.series_between(start_ms, end_ms)
        for series in {block.series for block in self.catalogue.between(start_ms, end_ms)}:
            found |= series
        return found

    def unsealed_ms(self) -> int | None:
        """The time of the oldest tick that is not in the file yet; None where all are."""
        open_sections = (section for section in self.sections if not section.sealed)
        firsts = [views[0].run.first_ms for section in open_sections for views in section.runs.values()]
        return min(firsts, default=None)

    def span(self) -> tuple[int, int] | None:
        """The times of the oldest and the newest sample; None when there is none."""
        bounds = [(block.start_ms, block.end_ms) for block in self.catalogue.blocks]
        bounds += [run.bounds for section in self.sections for runs in section.runs.values() for run in runs]
        shown = [(max(first, self.horizon_ms), last) for first, last in bounds if last >= self.horizon_ms]
        return (min(first for first, _ in shown), max(last for _, last in shown)) if shown else None


class Timeline:
    """Changes under a lock that is held for microseconds; a view is taken under it and then needs none.

    Of its sections, oldest first, the last is being written. Those that are sealed stay for as long as memory is to
    answer for them; only then the catalogue lists their blocks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sections: tuple[Section, ...] = ()
        self._catalogue = Catalogue()
        self._horizon_ms = 0
        self._generation = UNKNOWN
        self._shown: View | None = None  # until something changes: a tick's rules and panels ask hundreds of times
        self._least = 0  # older lists than this one lack blocks that memory has let go, or have what has expired
        self.last_tick_ms: int | None = None  #: the newest tick's time, of earlier processes too

    @property
    def generation(self) -> int:
        """Which of the file's lists of blocks is known."""
        return self._generation

    def view(self) -> View:
        """What there is now."""
        with self._lock:
            if self._shown is None:
                self._shown = View([one.view() for one in self._sections], self._catalogue, self._horizon_ms)
            return self._shown

    def read(self, connection: Connection) -> None:
        """Learn what the file lists, without what memory answers for. What it listed a change ago is no news."""
        generation, horizon_ms = read_number(connection, "generation"), read_number(connection, "horizon_ms")
        last_tick_ms = read_number(connection, "last_tick_ms")
        catalogue = Catalogue.load(connection)
        with self._lock:
            if generation < self._least:
                return
            self._shown = None
            held = {section.number for section in self._sections}
            self._catalogue = catalogue.minus([block.id for block in catalogue.blocks if block.segment in held])
            self._generation = generation
            self._horizon_ms = max(self._horizon_ms, horizon_ms)
            self.last_tick_ms = max(self.last_tick_ms or 0, last_tick_ms) or None

    def begin(self, section: Section) -> None:
        """Write into this section from now on."""
        with self._lock:
            self._shown = None
            self._sections = (*self._sections, section)

    def push(self, rows: Sequence[Row]) -> None:
        """Add the rows of one append: a reader sees all of them or none."""
        with self._lock:
            self._shown = None
            for row in rows:
                self._sections[-1].push(row)
                if not stale_mask(row.values).all():  # mere ends are no tick
                    self.last_tick_ms = max(self.last_tick_ms or 0, row.time_ms)

    def unsealed(self) -> list[Section]:
        """The sections that are in the journal only; the last is being written."""
        return [section for section in self._sections if section.blocks is None]

    def settle(self, sections: Sequence[Section], blocks: Sequence[Block], generation: int, *, known: bool) -> None:
        """Note what some sections have become in the file; ``known``: whether all that it listed before is."""
        joint = Section.join(sections, blocks)
        with self._lock:
            self._shown = None
            others = (section for section in self._sections if section not in sections)
            # In their order: the oldest is the first that memory lets go, however many of them it holds.
            self._sections = tuple(sorted((joint, *others), key=lambda section: section.number))
            self._generation = generation if known else UNKNOWN
            self._least = generation

    def leave(self, section: Section) -> None:
        """Forget a section that is not sealed: memory is short, and the journal has it."""
        with self._lock:
            self._shown = None
            self._sections = tuple(one for one in self._sections if one is not section)

    def trim(self, length_ms: int) -> None:
        """Let the file answer for what is sealed and older than ``length_ms``."""
        with self._lock:
            self._shown = None
            while self._sections and (first := self._sections[0]).blocks is not None:
                if first.last_ms > (self.last_tick_ms or 0) - length_ms:
                    return
                self._catalogue = self._catalogue.plus(first.blocks)
                self._sections = self._sections[1:]

    def expire(self, horizon_ms: int, generation: int) -> None:
        """Show nothing before ``horizon_ms`` any more; the file has not since this ``generation``."""
        with self._lock:
            self._shown = None
            self._least = max(self._least, generation)
            self._horizon_ms = max(self._horizon_ms, horizon_ms)
            self._catalogue = self._catalogue.minus([block.id for block in self._catalogue.ended(self._horizon_ms)])
