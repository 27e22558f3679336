"""Wakeless' own log, read from its end backwards in blocks: the newest that match, however large the files are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

FILE_NAME = "wakeless.log"
LEVELS = ("debug", "info", "warning", "error", "critical")
#: Bytes read at once; of a longer line so much is kept, from its beginning.
BLOCK = 128 * 1024
MAX_LINE = 64 * 1024
#: After so many seconds, or bytes, a search says how far it has come.
SECONDS = 0.7
MAX_BYTES = 256 * 1024 * 1024
_MOST_FILES = 101
_TOLD = frozenset({"timestamp", "level", "event", "request_id"})


class Place(NamedTuple):
    """Where a line begins: in which file (a rotation keeps that number), and at which byte."""

    inode: int
    offset: int

    def __str__(self) -> str:
        return f"{self.inode}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """What ``str`` gave. Raises ValueError."""
        inode, _, offset = text.partition("-")
        if not all(part.isascii() and part.isdigit() and len(part) <= 20 for part in (inode, offset)):
            raise ValueError("must be the cursor of a line")
        return cls(int(inode), int(offset))


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``time_ms`` and ``level`` are None where it does not say; ``text`` is what a person reads of it."""

    place: Place
    time_ms: int | None
    level: str | None
    event: str | None
    text: str
    request_id: str | None
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """Lines in the order in which they were written. ``more``: there are older ones to look through, from ``next``."""

    lines: list[Line]
    more: bool
    next: Place | None


class OwnLog:
    """The log files of a data folder. Any thread may ask; a rotation meanwhile does no harm."""

    def __init__(self, data_dir: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = data_dir / FILE_NAME
        self._clock = clock

    def newest(
        self,
        limit: int,
        matches: Callable[[Line], bool] = lambda line: True,
        *,
        holds: str | None = None,
        before: Place | None = None,
        after: Place | None = None,
        seconds: float = SECONDS,
    ) -> Found:
        """The newest ``limit`` lines that match, between two others.

        ``holds`` is text that they must have, in any case: lines without it are passed over unread.
        """
        needle = holds.encode().lower() if holds else None
        until, read = self._clock() + seconds, 0
        found: list[Line] = []
        for place, raw in self._backwards(before):
            if after is not None and place == after:
                return _found(found, more=False)
            read += len(raw)
            if needle is None or needle in raw.lower():
                line = parse(place, raw)
                if matches(line):
                    found.append(line)
                    if len(found) >= limit:
                        return _found(found, more=True, next=place)
            if read > MAX_BYTES or self._clock() > until:
                return _found(found, more=True, next=place)
        return _found(found, more=False)

    def _backwards(self, before: Place | None) -> Iterator[tuple[Place, bytes]]:
        """Lines of all files, the newest first; those that end at ``before`` or earlier."""
        waiting = before is not None
        for number in range(_MOST_FILES):
            path = self._path if number == 0 else self._path.with_name(f"{FILE_NAME}.{number}")
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                if number == 0:
                    continue
                return
            try:
                status = os.fstat(descriptor)
                end = status.st_size
                if waiting and before is not None:
                    if status.st_ino != before.inode:
                        continue
                    end, waiting = min(end, before.offset), False
                for offset, raw in backwards(descriptor, end):
                    yield Place(status.st_ino, offset), raw
            finally:
                os.close(descriptor)


def backwards(descriptor: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Lines before byte ``end`` of a file, last first, each with its place. Long ones are cut; empty ones left out.

    What comes after the last line feed is still being written, and is left for later.
    """
    tail: bytes | None = None  # the beginning, as far as it was read, of the line that the next block ends with
    position = end
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position)
        if len(block) < size:  # somebody has cut the file meanwhile
            tail = None
        *pieces, last = block.split(b"\n")
        offset = position + len(block) - len(last)
        if tail is not None:
            last = (last + tail)[:MAX_LINE]
            if not pieces:
                tail = last
                continue
            if last:
                yield offset, last
        for piece in reversed(pieces[1:]):
            offset -= len(piece) + 1
            if piece:
                yield offset, piece[:MAX_LINE]
        if pieces:
            tail = pieces[0][:MAX_LINE]
    if tail:
        yield 0, tail


def parse(place: Place, raw: bytes) -> Line:
    """What a line says; one that is no JSON is its own text."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        return Line(place, None, None, None, raw.decode("utf-8", "replace"), None, {})
    event, level = fields.get("event"), fields.get("level")
    request_id = fields.get("request_id")
    return Line(
        place,
        _moment(fields.get("timestamp")),
        level if isinstance(level, str) else None,
        str(event) if event is not None else None,
        str(event) if event is not None else "",
        str(request_id) if request_id is not None else None,
        {name: value for name, value in fields.items() if name not in _TOLD},
    )


def at_least(level: str) -> frozenset[str]:
    """This level and those above it."""
    return frozenset(LEVELS[LEVELS.index(level) :])


def _moment(text: object) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _found(newest_first: list[Line], *, more: bool, next: Place | None = None) -> Found:
    return Found(newest_first[::-1], more, next)
