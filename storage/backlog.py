"""A journal that takes every tick: what the disk refuses waits in memory, in order, until there is room again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from storage.error import StorageError
from storage.journal import Journal, Row, State
from storage.problem import Problems

#: Rows that are written in one frame when there is room again.
_ROWS = 512
#: Frames that one append writes beside its own: a tick may take some milliseconds longer, not seconds.
_FRAMES = 4


class _Opening(NamedTuple):
    """A segment that could not be begun, with where every source stood then."""

    number: int
    identity: str
    states: Sequence[State]


class _Rows(NamedTuple):
    """What one append could not write; it belongs into the segment of this number."""

    number: int
    rows: Sequence[Row]


class Backlog:
    """The journal as the store sees it. Safe to use from any thread.

    Ticks never wait for the disk and are never refused by it. Those that wait here are lost if the process dies before
    there is room, or before they are sealed into the database: whoever reads :class:`Problems` knows.
    """

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.number = 0  #: of the segment that ticks belong to now; 0 before :meth:`begin`
        self._journal = Journal(folder)
        self._problems = problems
        self._waiting: deque[_Opening | _Rows] = deque()
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the journal's segments lie."""
        return self._journal.folder

    @property
    def waiting(self) -> int:
        """Rows that are in memory only."""
        with self._lock:
            return sum(len(entry.rows) for entry in self._waiting if isinstance(entry, _Rows))

    def begin(self, number: int, identity: str, states: Iterable[State]) -> None:
        """Let ticks belong to a new segment from now on."""
        with self._lock:
            self.number = number
            self._waiting.append(_Opening(number, identity, list(states)))
            self._settle(_FRAMES)

    def append(self, rows: Sequence[Row]) -> None:
        """Write the rows of one append, after those that wait."""
        with self._lock:
            self._waiting.append(_Rows(self.number, rows))
            self._settle(_FRAMES)

    def settle(self) -> bool:
        """Try to write all that waits; whether nothing waits any more."""
        with self._lock:
            self._settle(None)
            return not self._waiting

    def sync(self) -> None:
        """Make what has been written survive a power cut. Raises :class:`StorageError`."""
        try:
            self._journal.sync()
        except StorageError as error:
            self._problems.blame(error, "journal")
            raise

    def drop(self, number: int) -> None:
        """Delete the segments up to ``number``, those that wait among them: all that they held is in the database."""
        with self._lock:
            self._forget(number)
            self._journal.drop(number)

    def forget(self, number: int) -> int:
        """Write no more of what waits of the segments up to ``number``; returns the rows that are lost with it."""
        with self._lock:
            return self._forget(number)

    def lost(self) -> bool:
        """Whether the segment that is being written has been deleted, moved or replaced by someone else."""
        return self._journal.lost()

    def close(self) -> None:
        """Write what waits, if the disk takes it, and close the files; they stay."""
        self.settle()
        self._journal.close()

    # --- with the lock held --------------------------------------------------------------------------------------

    def _settle(self, frames: int | None) -> None:
        """Write what waits, oldest first, and at most so many frames, until the disk refuses."""
        try:
            while self._waiting and frames != 0:
                self._write_first()
                self._problems.worked("journal")
                frames = None if frames is None else frames - 1
        except StorageError as error:
            self._problems.blame(error, "journal")

    def _write_first(self) -> None:
        """Begin the segment that waits first, or write the first rows of one."""
        first = self._waiting[0]
        if isinstance(first, _Opening):
            self._journal.begin(*first)
            self._waiting.popleft()
            return
        frame: list[Row] = []
        count = 0
        for entry in self._waiting:
            if not isinstance(entry, _Rows) or entry.number != first.number:
                break
            if count and len(frame) + len(entry.rows) > _ROWS:
                break
            frame.extend(entry.rows)
            count += 1
        self._journal.append(frame)
        for _ in range(count):
            self._waiting.popleft()

    def _forget(self, number: int) -> int:
        """All of these segments but the opening of the one that ticks belong to now."""
        kept: deque[_Opening | _Rows] = deque()
        rows = 0
        for entry in self._waiting:
            if entry.number > number or (isinstance(entry, _Opening) and entry.number == self.number):
                kept.append(entry)
            elif isinstance(entry, _Rows):
                rows += len(entry.rows)
        self._waiting = kept
        return rows
