"""A reader of one file, driven by hand: what it gave out and committed, and what a kill leaves of it."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any, Literal

from targets.logfile.entry import Entry
from targets.logfile.file import FileSource
from targets.logfile.framing import Framer
from targets.logfile.multiline import rule
from targets.logfile.source import Count


class Reader:
    """Reads ``path`` as LogWatch does, without its thread and its database. Time goes on by ``seconds`` a round."""

    def __init__(
        self,
        path: Path,
        *,
        begin: Literal["end", "start"] = "start",
        multiline: str | None = None,
        most_bytes: int = 65_536,
        interesting: bytes | None = None,
    ) -> None:
        self.path = path
        self.now_ms = 1_000_000
        self.entries: list[Entry] = []  #: committed
        self.stored: dict[str, Any] | None = None
        self.count = Count()
        self._fresh: list[Entry] = []
        self._begin: Literal["end", "start"] = begin
        self._make = partial(
            Framer,
            goes_on=rule(multiline),
            may_match=lambda block: interesting is None or interesting in block,
            most_bytes=most_bytes,
        )
        self.source = self._open()

    def _open(self) -> FileSource:
        count = Count(self.count.lines, self.count.bytes, self.count.gaps)
        return FileSource(str(self.path), self._make, begin=self._begin, stored=self.stored, count=count)

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]

    @property
    def lines(self) -> list[str]:
        return [line for text in self.texts for line in text.split("\n")]

    def read(self, *, seconds: float = 1.0, most: int = 1 << 20) -> None:
        """Look and read, without committing."""
        self.now_ms += round(seconds * 1000)
        self.source.look(self.now_ms)
        more = True
        while more:
            entries, more = self.source.read(self.now_ms, most)
            self._fresh += entries

    def commit(self) -> None:
        self.stored = copy.deepcopy(self.source.position())
        count = self.source.count
        self.count = Count(count.lines, count.bytes, count.gaps)
        self.source.settled()
        self.entries += self._fresh
        self._fresh = []

    def fail(self) -> None:
        """The transaction comes to nothing."""
        self.source.undo()
        self._fresh = []

    def round(self, rounds: int = 1, *, seconds: float = 1.0) -> None:
        for _ in range(rounds):
            self.read(seconds=seconds)
            self.commit()

    def kill(self) -> None:
        """End at once; the next one knows what was committed."""
        self.source.close()
        self._fresh = []
        self.source = self._open()

    def finish(self) -> None:
        """Wait until everything was given out that ever will be."""
        self.round(3)
        self.round(8, seconds=11.0)
