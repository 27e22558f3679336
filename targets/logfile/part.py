"""One file among those that a log has been written to: which it is, how far it was read, and what of it is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from targets.logfile.entry import Entry
from targets.logfile.framing import Framer
from targets.logfile.piece import (
    HEAD_BYTES,
    CompressedPiece,
    Facts,
    File,
    Piece,
    PlainPiece,
    Unreadable,
    digest,
    head_of,
    open_piece,
)

MakeFramer = Callable[[int, bytes], Framer]
#: What a pull brought: bytes; all there is; more is to come without having brought any; the file was written anew.
Pulled = Literal["data", "end", "skipping", "rewritten"]


class Part:
    """A file as it is known across rotation: by device and inode, by its first bytes, and by those before ``offset``.

    Without a ``piece`` it is lost from sight: at first after a restart, or when its file was truncated and only a
    copy may hold the rest.
    """

    def __init__(self, file: File, make: MakeFramer, offset: int = 0) -> None:
        self.file = file
        self.mtime_ns = 0
        self.before_ns = 0  #: the same at the last look but this
        self.size = offset  #: when it was last looked at
        self.piece: Piece | None = None
        self.framer = make(offset, b"")
        self.dirty = True  #: whether there may be something to read
        self.changed_ms: int | None = None  #: when it was last found to have grown
        self.lost_ms: int | None = None  #: since when nothing of it can be found
        self.truncated = False  #: whether the file itself holds something else now: only a copy may have the rest
        self.uncertain = False  #: whether it may have grown unseen
        self.finished = False
        self.refused: set[File] = set()  #: files that looked like it and were not
        self._make = make
        self._head = (0, "")  # how many of the first bytes, and their digest
        self._tail = (0, "")  # the same of those before the offset, until they are at hand
        self._verified = offset == 0
        self._committed = (offset, b"")
        self._drained = offset
        self._size_before = offset

    @classmethod
    def open(cls, path: str, make: MakeFramer) -> Part:
        """Begin to read the file at ``path``, from its first byte on. Raises :class:`Unreadable`."""
        piece = open_piece(path)
        part = cls(piece.facts.file, make)
        part.attach(piece)
        return part

    @classmethod
    def restore(cls, stored: dict[str, Any], make: MakeFramer) -> Part:
        """What :meth:`position` told."""
        part = cls((stored["device"], stored["inode"]), make, stored["offset"])
        part._head = (stored["head_bytes"], stored["head"])
        part._tail = (stored["tail_bytes"], stored["tail"])
        part.mtime_ns, part.size = stored["mtime_ns"], stored["size"]
        part.before_ns, part.truncated = part.mtime_ns, stored["truncated"]
        return part

    def position(self) -> dict[str, Any]:
        """What is needed to go on after this process, for JSON."""
        recent = self.framer.recent
        tail = (len(recent), digest(recent)) if self._verified else self._tail
        return {
            "device": self.file[0],
            "inode": self.file[1],
            "head_bytes": self._head[0],
            "head": self._head[1],
            "offset": self.framer.offset,
            "tail_bytes": tail[0],
            "tail": tail[1],
            "mtime_ns": self.mtime_ns,
            "size": self.size,
            "truncated": self.truncated,
        }

    @property
    def unread(self) -> int:
        """Bytes that are known of and not given out; of a compressed copy that is not known."""
        return 0 if self.finished else max(self.size - self.framer.offset, 0)

    def begin_at(self, offset: int, recent: bytes) -> None:
        """Leave out what is before ``offset``."""
        self._rewind(offset, recent)
        self._committed = (offset, recent)
        self._drained = offset

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was read yet: there is nothing to know it by."""
        return self._head[0] == 0

    @property
    def head(self) -> tuple[int, str]:
        """How many of its first bytes are known, and their digest."""
        return self._head

    def knows(self, head: bytes) -> bool:
        """Whether a file with these first bytes may be this one."""
        count, fingerprint = self._head
        return count > 0 and len(head) >= count and digest(head[:count]) == fingerprint

    def holds(self, head: bytes) -> bool:
        """Whether the open file begins so, read or not."""
        if self.piece is None:
            return False
        try:
            if isinstance(self.piece, PlainPiece):
                self.piece.look()
            own = head_of(self.piece, len(head))
        except Unreadable:
            return False
        return bool(own) and head.startswith(own)

    def try_to_attach(self, piece: Piece) -> bool:
        """Go on in ``piece`` if it holds what was read. The caller closes it if it does not."""
        known = self.knows(head_of(piece)) if self._head[0] else piece.facts.file == self.file
        if not known or (isinstance(piece, PlainPiece) and not self._verify(piece)):
            return False
        self.attach(piece)
        if isinstance(piece, CompressedPiece):
            self._unverify()
        return True

    def attach(self, piece: Piece) -> None:
        """Go on in ``piece``, which is known to be it."""
        if self.piece is not None:
            self.piece.close()
        self.piece, self.lost_ms, self.dirty = piece, None, True
        self._note(piece.facts)
        self.before_ns = self.before_ns or self.mtime_ns

    def _verify(self, piece: PlainPiece) -> bool:
        """Whether the bytes before the offset are those that were read."""
        offset = self.framer.offset
        if piece.facts.size < offset:
            return False
        expected = (len(self.framer.recent), digest(self.framer.recent)) if self._verified else self._tail
        recent = piece.read(offset - expected[0], expected[0]) if expected[0] else b""
        if (len(recent), digest(recent)) != expected and offset > 0:
            return False
        if not self._verified:
            self._committed = (offset, recent)
        self._rewind(offset, recent)
        return True

    def _unverify(self) -> None:
        """What comes before the offset is compared once a compressed copy has been read so far."""
        offset = self.framer.offset
        if self._verified:
            self._tail = (len(self.framer.recent), digest(self.framer.recent))
        self.framer = self._make(offset, b"")
        self._verified = False

    def _rewind(self, offset: int, recent: bytes) -> None:
        self.framer = self._make(offset, recent)
        self._verified = True

    def _note(self, facts: Facts) -> None:
        self.file, self.mtime_ns = facts.file, facts.mtime_ns
        if isinstance(self.piece, PlainPiece):
            self.size = facts.size

    def look(self) -> None:
        """Look at the open file whether it changed since the last time. Raises :class:`Unreadable`."""
        if isinstance(self.piece, PlainPiece):
            before = (self.mtime_ns, self.size)
            self._size_before = self.size
            self._note(self.piece.look())
            self.before_ns = self.mtime_ns
            self.dirty = self.dirty or (self.mtime_ns, self.size) != before

    @property
    def deleted(self) -> bool:
        """Whether no name leads to it any more."""
        return self.piece is not None and self.piece.facts.links == 0

    def pull(self, most: int) -> tuple[Pulled, bytes]:
        """The next bytes of it, after a look whether it is still what was read. Raises :class:`Unreadable`."""
        assert self.piece is not None
        framer = self.framer
        if isinstance(self.piece, CompressedPiece):
            return self._pull_compressed(self.piece, most)
        behind = len(framer.window)
        if self.size < framer.read_to or (framer.read_to < self._head[0] and not self._begins_as_known(self.piece)):
            return "rewritten", b""
        most = min(most, self.size - framer.read_to)  # no further than was looked: more than that looks like less later
        data = self.piece.read(framer.read_to - behind, most + behind) if self.size else b""
        if self.size and data[:behind] != framer.window:
            return "rewritten", b""
        fresh = data[behind:]
        self._take_head(framer.read_to + len(fresh))
        return ("data", fresh) if fresh else ("end", b"")

    def _begins_as_known(self, piece: PlainPiece) -> bool:
        """Whether what was read once, and is to be read again since it was not committed, is there still."""
        return self.knows(piece.read(0, self._head[0]))

    def _pull_compressed(self, piece: CompressedPiece, most: int) -> tuple[Pulled, bytes]:
        before = piece.skip(self.framer.read_to, most * 4)
        if before is None:
            return "skipping", b""
        if not self._verified:
            if (len(before), digest(before)) != self._tail:
                raise Unreadable("holds something else")
            if self._committed[0] == self.framer.offset:
                self._committed = (self.framer.offset, before)
            self._rewind(self.framer.offset, before)
        data = piece.read(self.framer.read_to, most)
        self._take_head(len(piece.head))
        return ("data", data) if data else ("end", b"")

    def _take_head(self, known: int) -> None:
        """Know the file by more of its first bytes, while there are few. Only by such as were read: those stay."""
        most = min(known, HEAD_BYTES)
        if self._head[0] < most and self.piece is not None:
            head = head_of(self.piece, most)
            if len(head) == most:
                self._head = (most, digest(head))

    def was_cut(self, piece: Piece) -> bool:
        """Whether it is this file, only shorter: what it begins with is what it began with."""
        return (
            isinstance(piece, PlainPiece)
            and piece.facts.file == self.file
            and self._head[0] == HEAD_BYTES <= piece.facts.size <= self.framer.read_to
            and self.knows(piece.read(0, HEAD_BYTES))
        )

    def lose(self, now_ms: int) -> Piece | None:
        """The file holds something else now; it is the caller's. A copy may hold what this part has not read."""
        piece, self.piece = self.piece, None
        self.lost_ms, self.truncated, self.size = now_ms, True, self._size_before
        return piece

    def refuse(self, now_ms: int) -> None:
        """What it was read from turned out not to be it, or cannot be read."""
        if isinstance(self.piece, CompressedPiece):
            self.refused.add(self.piece.facts.file)
        self.close()
        self.lost_ms = now_ms

    def drain(self) -> tuple[list[Entry], int, int]:
        """What was given out since the last call: entries that matter, all lines, all bytes."""
        entries, lines = self.framer.take()
        size = self.framer.offset - self._drained
        self._drained = self.framer.offset
        return entries, lines, size

    def settled(self) -> None:
        """What was given out is committed."""
        if self._verified:
            self._committed = (self.framer.offset, self.framer.recent)

    def undo(self) -> None:
        """Be as after the last :meth:`settled`."""
        offset, recent = self._committed
        if recent:
            self._tail = (len(recent), digest(recent))
        self.framer = self._make(offset, recent)
        self._drained = self._committed[0]
        self.finished, self.dirty = False, True

    def close(self) -> None:
        """Let go of the file."""
        if self.piece is not None:
            self.piece.close()
            self.piece = None
