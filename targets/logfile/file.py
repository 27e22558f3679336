"""Follow one path, whatever rotation does with the files that it leads to, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import structlog

from targets.logfile.chain import Chain
from targets.logfile.entry import Entry
from targets.logfile.part import MakeFramer, Part
from targets.logfile.piece import HEAD_BYTES, TAIL_BYTES, Facts, File, PlainPiece, Unreadable, look_at
from targets.logfile.source import Count

logger = structlog.get_logger(__name__)

#: What is nowhere to be found is looked for so long: a compressor may be at it.
LOST_MS = 10_000
#: A file that the path no longer leads to is read on until nothing was written to it for so long …
LINGER_MS = 30_000
#: … and one that was deleted, for so long: its room on the disk is given back only when it is let go.
DELETED_MS = 5_000
#: How far before its end a file's last line may begin, where a file is followed from its end.
LAST_LINE_BYTES = 64 * 1024
#: Files of one path that are open at once; older ones are given up, which is said.
MOST_PARTS = 64
BLOCK_BYTES = 256 * 1024
#: What is read at least, where there is so much: a file is known again by what was read of it, and a byte tells little.
LEAST_BYTES = HEAD_BYTES


class FileSource:
    """The lines of ``path``.

    Args:
        path: where the writer finds its file.
        make: makes the framer for a file, given the offset to begin at and the bytes before it.
        begin: where to begin in a file that is there at the first look.
        stored: the position that was committed last; None for a path that was never followed.
        linger_ms: see :data:`LINGER_MS`.
        lost_ms: see :data:`LOST_MS`.
    """

    def __init__(
        self,
        path: str,
        make: MakeFramer,
        *,
        begin: Literal["end", "start"] = "end",
        stored: Mapping[str, Any] | None = None,
        count: Count | None = None,
        linger_ms: int = LINGER_MS,
        lost_ms: int = LOST_MS,
    ) -> None:
        self.path = path
        self.up: bool | None = None
        self.error: str | None = None
        self.behind_bytes = 0
        self.count = count or Count()
        self._committed = replace(self.count)
        self._make = make
        self._begin = begin if stored is None else "start"
        self._seen = stored is not None
        self._linger_ms, self._lost_ms = linger_ms, lost_ms
        self._chain = Chain(path, make, self._gap)
        if stored is not None:
            self._chain.restore(stored["parts"], stored["done"])

    @property
    def files(self) -> set[File]:
        """The files that are its own: they are not to be followed under another name as well."""
        return self._chain.files

    def _gap(self, reason: str, unread_bytes: int) -> None:
        self.count.gaps += 1
        logger.warning("log_gap", source=self.path, reason=reason, unread_bytes=unread_bytes)

    # -- what there is --

    def look(self, now_ms: int) -> None:
        """Find the files that the position tells of, and see where the path leads to now."""
        chain = self._chain
        for part in chain.parts:
            if part.piece is None and not part.finished and not chain.find(part):
                self._miss(part, now_ms)
        try:
            self._follow(look_at(self.path))
            self.up, self.error = True, None
        except Unreadable as error:
            self.up, self.error = False, str(error)
            if error.missing:
                self._begin = "start"  # what comes late is new
        chain.weave()
        for part in chain.parts:
            self._look_at(part, now_ms)
        waiting = [part for part in chain.parts if not part.finished]
        if len(waiting) > MOST_PARTS:
            chain.give_up(waiting[0], now_ms)
        self.behind_bytes = sum(part.unread for part in chain.parts)

    def _miss(self, part: Part, now_ms: int) -> None:
        if part.lost_ms is None:
            part.lost_ms = now_ms
        elif not 0 <= now_ms - part.lost_ms < self._lost_ms:
            self._chain.give_up(part, now_ms)

    def _look_at(self, part: Part, now_ms: int) -> None:
        if part.piece is not None:
            try:
                part.look()
            except Unreadable as error:
                self.up, self.error = False, str(error)
                part.refuse(now_ms)

    def _follow(self, facts: Facts) -> None:
        """Begin with the file that the path leads to now, unless it is the one that is followed."""
        last = self._chain.last
        if last is not None and last.piece is not None and last.file == facts.file:
            return
        part = Part.open(self.path, self._make)
        if not self._seen:
            self._chain.disown()
        if self._begin == "end" and last is None:
            begin_at_last_line(part)
        elif last is not None and last.piece is None and part.piece is not None and last.was_cut(part.piece):
            last.finished = True  # a power cut may take what the writer had not synced
            begin_at_end(part)
        self._begin, self._seen = "start", True
        self._chain.append(part)

    # -- reading --

    def read(self, now_ms: int, most: int) -> tuple[list[Entry], bool]:
        """The next entries, of about ``most`` bytes, the oldest file first; and whether there is more already."""
        entries: list[Entry] = []
        more = False
        for part in list(self._chain.parts):
            while part.dirty and part.piece is not None and not part.finished:
                if most <= 0:
                    more = True
                    break
                most -= self._pull(part, now_ms, min(max(most, LEAST_BYTES), BLOCK_BYTES))
            if not part.dirty and part.piece is not None and not part.finished:
                part.framer.flush(now_ms)
                self._finish_if_done(part, now_ms)
            found, lines, size = part.drain()
            entries += found
            self.count.lines += lines
            self.count.bytes += size
        self.behind_bytes = sum(part.unread for part in self._chain.parts)
        return entries, more

    def _pull(self, part: Part, now_ms: int, most: int) -> int:
        """Read a block; returns what that takes of the round's bound."""
        try:
            what, data = part.pull(most)
        except Unreadable as error:
            logger.info("log_unreadable", source=self.path, reason=str(error))
            part.refuse(now_ms)
            return 0
        if what == "data":
            part.changed_ms = now_ms
            part.framer.feed(data, now_ms)
            return len(data)
        if what == "rewritten":
            self._rewritten(part, now_ms)
        elif what == "end":
            part.dirty = False
            if part.changed_ms is None:
                part.changed_ms = now_ms
        return most if what == "skipping" else 0

    def _rewritten(self, part: Part, now_ms: int) -> None:
        """The file holds something else than was read: it was truncated, or written anew."""
        is_cut = part.piece is not None and part.was_cut(part.piece)
        was_new = part.is_new
        piece = part.lose(now_ms)
        if is_cut:
            part.framer.finish(now_ms)
            part.finished = True
        if piece is None or part is not self._chain.last:
            if piece is not None:
                piece.close()
            return
        logger.info("log_truncated", source=self.path, read_bytes=part.framer.read_to, size=piece.facts.size)
        anew = Part(piece.facts.file, self._make)
        anew.attach(piece)
        if is_cut:
            begin_at_end(anew)
        if was_new:
            part.finished = True
        self._chain.append(anew)

    def _finish_if_done(self, part: Part, now_ms: int) -> None:
        """A file that nobody writes to any more is done: its last line is one, even if it is unfinished."""
        last = self._chain.last
        if part is last and not part.deleted:
            return
        is_whole = part.truncated or not isinstance(part.piece, PlainPiece)  # copies are made before anybody sees them
        if not is_whole:
            quiet_ms = now_ms - (part.changed_ms or now_ms)
            limit_ms = min(DELETED_MS, self._linger_ms) if part.deleted else self._linger_ms
            writer_stays = last is not None and last.size == 0 and part is self._chain.parts[-2] and not part.deleted
            if 0 <= quiet_ms < limit_ms or writer_stays:
                return
        part.framer.finish(now_ms)
        part.finished = True

    # -- committing --

    def position(self) -> dict[str, Any]:
        """Which files there are, and how far each was read."""
        chain = self._chain
        return {"parts": [part.position() for part in chain.parts if not part.finished], "done": chain.all_done()}

    def settled(self) -> None:
        """What was read is committed: what is done can be let go."""
        for part in self._chain.parts:
            part.settled()
        self._chain.drop_finished()
        self._committed = replace(self.count)

    def undo(self) -> None:
        """Read again what is not committed."""
        for part in self._chain.parts:
            part.undo()
        self.count = replace(self._committed)

    def close(self) -> None:
        """Let go of all files."""
        self._chain.close()


def begin_at_last_line(part: Part) -> None:
    """Leave out all whole lines that are there; an unfinished one is read when it is finished."""
    assert isinstance(part.piece, PlainPiece)
    size = part.piece.look().size
    start = max(size - LAST_LINE_BYTES, 0)
    end = part.piece.read(start, size - start)
    newline = end.rfind(b"\n") + 1
    offset = start + (newline if newline or start == 0 else len(end))
    part.begin_at(offset, part.piece.read(max(offset - TAIL_BYTES, 0), min(TAIL_BYTES, offset)))


def begin_at_end(part: Part) -> None:
    """Leave out all that is there."""
    assert isinstance(part.piece, PlainPiece)
    offset = part.piece.look().size
    part.begin_at(offset, part.piece.read(max(offset - TAIL_BYTES, 0), min(TAIL_BYTES, offset)))
