"""Make entries of bytes: lines, and the lines that belong to them, while it is known which bytes are accounted for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from targets.logfile.entry import Entry
from targets.logfile.multiline import Rule
from targets.logfile.piece import TAIL_BYTES

#: An entry ends when nothing has continued it for so long,
QUIET_MS = 1_000
#: and at the latest so long after it began, or with so many lines.
AGE_MS = 5_000
MOST_LINES = 1_000


@dataclass(slots=True)
class _Open:
    """The entry that may go on; ``kept`` are its lines as far as they are kept."""

    start: int
    first_ms: int
    last_ms: int
    kept: list[bytes] = field(default_factory=list)
    kept_bytes: int = 0
    lines: int = 0
    wanted: bool = False
    truncated: bool = False
    previous: bytes = b""


class Framer:
    """Turns the bytes of one file, from ``offset`` on, into entries.

    Everything before ``offset`` has been given out. What is after it, up to ``read_to``, is held back: an unfinished
    line, and the entry that may still go on. It is forgotten with this object, and read again from ``offset``.

    Args:
        offset: where to begin; the beginning of a line.
        recent: the bytes before it, ``TAIL_BYTES`` of them where there are as many.
        goes_on: which lines continue an entry.
        may_match: whether any line of a block matters; entries without such are only counted.
        most_bytes: of a line that are kept, and of an entry.
    """

    def __init__(
        self, offset: int, recent: bytes, goes_on: Rule, may_match: Callable[[bytes], bool], most_bytes: int
    ) -> None:
        self.offset = self.read_to = self._line_start = offset
        self.recent = self._line_recent = self.window = recent
        self._goes_on = goes_on
        self._may_match = may_match
        self._most = most_bytes
        self._open: _Open | None = None
        self._partial = b""
        self._closed: list[Entry] = []
        self._lines = 0

    @property
    def holds(self) -> bool:
        """Whether anything is held back."""
        return self.read_to > self.offset

    def take(self) -> tuple[list[Entry], int]:
        """The entries that matter since the last call, and the number of all lines that were given out."""
        entries, lines = self._closed, self._lines
        self._closed, self._lines = [], 0
        return entries, lines

    def feed(self, block: bytes, now_ms: int) -> None:
        """Go on with the bytes from ``read_to`` on."""
        start, window = self.read_to, self.window
        self.read_to += len(block)
        self.window = (window + block[-TAIL_BYTES:])[-TAIL_BYTES:]
        first_end = block.find(b"\n")
        if first_end < 0:
            self._keep_partial(block)
            return
        end = block.rfind(b"\n") + 1
        whole = self._partial + block[:end] if self._partial else block[:end]
        lines = block[first_end + 1 : end].split(b"\n")
        lines[-1] = self._partial + block[:first_end] if self._partial else block[:first_end]
        lines.insert(0, lines.pop())
        first_length = start + first_end + 1 - self._line_start
        before = self.offset
        if self._may_match(whole):
            self._group(lines, first_length, now_ms, wanted=True)
        else:
            self._pass_over(lines, first_length, now_ms)
        if self.offset != before:
            self.recent = self._line_recent if self.offset < start else _before(self.offset - start, window, block)
        self._line_start = start + end
        self._line_recent = _before(end, window, block)
        self._partial = b""
        self._keep_partial(block[end:])

    def _keep_partial(self, rest: bytes) -> None:
        if not self._partial:
            rest = rest.lstrip(b"\0")  # the hole that a writer leaves whose file was truncated under it
        self._partial += rest[: self._most + 1 - len(self._partial)]

    def _group(self, lines: list[bytes], first_length: int, now_ms: int, *, wanted: bool) -> None:
        """Put whole lines together; ``first_length`` is what the first takes in the file."""
        goes_on, current, at = self._goes_on, self._open, self._line_start
        length = first_length
        for line in lines:
            if current is None or current.lines >= MOST_LINES or not goes_on(line, current.previous):
                self._close(at)
                current = self._open = _Open(at, now_ms, now_ms)
            self._add(current, line)
            current.wanted = current.wanted or wanted
            current.last_ms = now_ms
            at += length or len(line) + 1
            length = 0

    def _pass_over(self, lines: list[bytes], first_length: int, now_ms: int) -> None:
        """Only count lines none of which matters, but for those of the last entry: it may go on with one that does."""
        last = len(lines) - 1
        begins = last
        while begins > 0 and last - begins < MOST_LINES and self._goes_on(lines[begins], lines[begins - 1]):
            begins -= 1
        if begins <= 1 or (self._open is not None and self._open.wanted):
            self._group(lines, first_length, now_ms, wanted=False)
            return
        self._close(self._line_start)
        self._lines += begins
        self._line_start += first_length + sum(map(len, lines[1:begins])) + begins - 1
        self.offset = self._line_start
        self._group(lines[begins:], 0, now_ms, wanted=False)

    def _add(self, current: _Open, line: bytes) -> None:
        current.lines += 1
        if line[:1] == b"\0":
            line = line.lstrip(b"\0")
        current.previous = line[:TAIL_BYTES]
        room = self._most - current.kept_bytes
        if len(line) > room:
            current.truncated = True
            line = line[: max(room, 0)]
        if line or room > 0:
            current.kept.append(line)
            current.kept_bytes += len(line) + 1

    def _close(self, end: int) -> None:
        """Give out the open entry, which ends at ``end``."""
        current, self._open = self._open, None
        if current is not None:
            self._lines += current.lines
            if current.wanted:
                self._closed.append(_entry(current, end - current.start))
        self.offset = end

    def flush(self, now_ms: int) -> None:
        """Give out an entry that nothing has continued for a while, or that has been going on for too long."""
        current = self._open
        if current is None:
            return
        fresh = 0 <= now_ms - current.last_ms < QUIET_MS and 0 <= now_ms - current.first_ms < AGE_MS
        if not fresh:  # which it is not either when the clock was put back
            self._end_entry()

    def _end_entry(self) -> None:
        self._close(self._line_start)
        self.recent = self._line_recent

    def finish(self, now_ms: int) -> None:
        """Nothing will follow: give out all that is held back; an unfinished line is a line."""
        if self._line_start < self.read_to:
            length = self.read_to - self._line_start
            self._group([self._partial], length, now_ms, wanted=self._may_match(self._partial))
            self._line_start, self._line_recent, self._partial = self.read_to, self.window, b""
        self._end_entry()


def _before(at: int, window: bytes, block: bytes) -> bytes:
    """The bytes before the one at ``at`` in ``block``, which comes after ``window``."""
    return block[at - TAIL_BYTES : at] if at >= TAIL_BYTES else (window + block[:at])[-TAIL_BYTES:]


def _entry(current: _Open, size: int) -> Entry:
    data = b"\n".join(current.kept)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    text = data.decode("utf-8", "replace")
    return Entry(text, current.first_ms, current.lines, size, current.truncated)
