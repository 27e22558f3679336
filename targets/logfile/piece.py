"""What holds bytes of a log: an open file, or a compressed copy of one. Only regular files are ever opened."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import IO, NamedTuple, cast

#: Bytes at a file's beginning by which it is known again, whatever it is called by then.
HEAD_BYTES = 4096
#: Bytes before the place where reading goes on, by which a file that was written anew is told from one that grew.
TAIL_BYTES = 256

_OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda raw: cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb")),
    ".bz2": lambda raw: cast(IO[bytes], bz2.BZ2File(raw)),
    ".xz": lambda raw: cast(IO[bytes], lzma.LZMAFile(raw)),  # noqa: SIM115 - closed by CompressedPiece
}
COMPRESSED = (*_OPENERS, ".zst", ".zip", ".Z", ".lz4")

File = tuple[int, int]


def digest(data: bytes) -> str:
    """What stands for these bytes in the database, which is to hold no log."""
    return blake2b(data, digest_size=12).hexdigest()


class Unreadable(Exception):
    """The path holds nothing that can be followed; the message says why. ``missing``: there is nothing at all."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


class Facts(NamedTuple):
    """What the operating system says of a file."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    links: int

    @property
    def file(self) -> File:
        """What tells it from other files that exist at the same time."""
        return self.device, self.inode


def look_at(path: str) -> Facts:
    """Facts of the regular file at ``path``, links followed. Raises :class:`Unreadable`."""
    try:
        return _regular(os.stat(path))
    except FileNotFoundError:
        folder = os.path.dirname(path) or "."
        what = "does not exist" if os.path.isdir(folder) else f"does not exist: there is no directory {folder}"
        raise Unreadable(what, missing=True) from None
    except (OSError, ValueError) as error:
        raise Unreadable(_why(error)) from None


def _regular(facts: os.stat_result) -> Facts:
    if not stat.S_ISREG(facts.st_mode):
        raise Unreadable(f"is {_KINDS.get(stat.S_IFMT(facts.st_mode), 'no file')}, not a regular file")
    return Facts(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_nlink)


_KINDS = {
    stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "cannot be read: permission is missing"
    return f"cannot be read: {error.strerror if isinstance(error, OSError) else error}"


def _open(path: str) -> int:
    """Open without ever waiting: what is no regular file is not even opened, since that alone can have effects."""
    look_at(path)
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreadable("does not exist", missing=True) from None
    except OSError as error:
        raise Unreadable(_why(error)) from None


class PlainPiece:
    """An open file: it stays readable when it is renamed or deleted."""

    compressed = False

    def __init__(self, path: str) -> None:
        """Open it. Raises :class:`Unreadable`."""
        self._descriptor = _open(path)
        try:
            self.facts = self.look()
        except Unreadable:
            self.close()
            raise

    def look(self) -> Facts:
        """Its facts as they are now."""
        try:
            self.facts = _regular(os.fstat(self._descriptor))
        except OSError as error:  # a network file system that is gone
            raise Unreadable(_why(error)) from None
        return self.facts

    def read(self, offset: int, most: int) -> bytes:
        """Bytes from ``offset`` on, as far as the size goes that it claims: what ``/proc`` would tell is no log."""
        if self.facts.size <= offset:
            return b""
        try:
            return os.pread(self._descriptor, most, offset)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Unreadable(_why(error)) from None

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):
            os.close(self._descriptor)


class CompressedPiece:
    """A compressed copy, read as what it holds; forwards, and a bounded stretch at a time."""

    compressed = True

    def __init__(self, path: str) -> None:
        """Open it. Raises :class:`Unreadable`, also when its kind is not known."""
        opener = _OPENERS.get(os.path.splitext(path)[1])
        if opener is None:
            raise Unreadable("is compressed in a way that cannot be read")
        descriptor = _open(path)
        try:
            self.facts = _regular(os.fstat(descriptor))
            self._raw = os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
        self._file: IO[bytes] = opener(self._raw)
        self.head = self._take(HEAD_BYTES)
        self._at, self._recent = len(self.head), self.head[-TAIL_BYTES:]

    def _take(self, most: int) -> bytes:
        """The next bytes. A broken file ends where it breaks, as ``zcat`` has it: that is told as Unreadable."""
        try:
            return self._file.read(most)
        except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
            self.close()
            raise Unreadable(f"cannot be uncompressed: {error}") from None

    def skip(self, offset: int, most: int) -> bytes | None:
        """Go towards ``offset``, ``most`` bytes at a time; there, what comes before it. None: not there yet.

        Raises :class:`Unreadable` when it ends before that.
        """
        if offset < self._at:
            self._rewind()
        if self._at < offset:
            data = self._take(min(most, offset - self._at))
            if not data:
                raise Unreadable("is shorter than what was read of it")
            self._at += len(data)
            self._recent = (self._recent + data)[-TAIL_BYTES:]
        return self._recent if self._at == offset else None

    def _rewind(self) -> None:
        self._file.seek(0)
        self._at, self._recent = 0, b""

    def read(self, offset: int, most: int) -> bytes:
        """Bytes from ``offset`` on, where :meth:`skip` has led to it."""
        if offset != self._at:
            raise Unreadable("is not read in order")
        data = self._take(most)
        self._at += len(data)
        self._recent = (self._recent + data)[-TAIL_BYTES:]
        return data

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError, EOFError, ValueError):
            self._file.close()
        self._raw.close()


Piece = PlainPiece | CompressedPiece


def open_piece(path: str) -> Piece:
    """Open a file, or the compressed copy of one. Raises :class:`Unreadable`."""
    return CompressedPiece(path) if path.endswith(COMPRESSED) else PlainPiece(path)


def head_of(piece: Piece, most: int = HEAD_BYTES) -> bytes:
    """Its first bytes."""
    return piece.head[:most] if isinstance(piece, CompressedPiece) else piece.read(0, most)
