"""Sources that give lines with marks to go on from: a journal's cursors, a container's timestamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from targets.logfile.entry import Entry
from targets.logfile.part import MakeFramer
from targets.logfile.source import Count

#: What stands for a newline within one message, so that the message stays one line until it is given out.
_WITHIN = "\x1e"
Mark = dict[str, Any]


class Marked:
    """Makes entries of marked lines, and knows the mark of the last line that was given out."""

    def __init__(self, make: MakeFramer, mark: Mark | None, count: Count) -> None:
        self.mark = mark
        self.count = count
        self._make = make
        self._framer = make(0, b"")
        self._marks: deque[tuple[int, Mark]] = deque()
        self._taken = 0
        self._committed = (mark, replace(count))

    def begin(self, mark: Mark) -> None:
        """Nothing was given out yet: begin behind this mark, also after an undo."""
        self.mark = mark
        self._committed = (mark, self._committed[1])

    def feed(self, lines: Iterable[tuple[bytes, Mark]], now_ms: int) -> int:
        """Go on with these; returns how many there were."""
        block = bytearray()
        fed = 0
        for line, mark in lines:
            block += line.rstrip(b"\n").replace(b"\n", _WITHIN.encode()) + b"\n"
            self._marks.append((self._framer.read_to + len(block), mark))
            fed += 1
        if block:
            self._framer.feed(bytes(block), now_ms)
        else:
            self._framer.flush(now_ms)
        return fed

    def take(self) -> list[Entry]:
        """The entries since the last call; the mark moves behind them."""
        entries, lines = self._framer.take()
        offset = self._framer.offset
        while self._marks and self._marks[0][0] <= offset:
            self.mark = self._marks.popleft()[1]
        self.count.lines += lines
        self.count.bytes += offset - self._taken
        self._taken = offset
        return [
            replace(entry, text=entry.text.replace(_WITHIN, "\n")) if _WITHIN in entry.text else entry
            for entry in entries
        ]

    def position(self) -> dict[str, Any]:
        """The mark, as a position."""
        return {"parts": [], "done": [], "mark": self.mark}

    def settled(self) -> None:
        """What was taken is committed."""
        self._committed = (self.mark, replace(self.count))

    def undo(self) -> None:
        """It is not: begin anew behind the mark that is."""
        self.mark, count = self._committed
        self.count = replace(count)
        self._framer = self._make(0, b"")
        self._marks.clear()
        self._taken = 0


def stored_mark(stored: Mapping[str, Any] | None) -> Mark | None:
    """The mark in a position; None where nothing was given out yet."""
    return None if stored is None else stored.get("mark")
