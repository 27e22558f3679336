"""The journal: every tick on disk before anything else happens to it, until it is sealed into the database.

A folder of numbered segments. Each begins with whose it is and where every source stands, so that it can be read
without those before it, and goes on with one frame for each append: a checksum tells a frame that was cut short by a
power cut, which ends nothing but itself.

A frame is ``magic, length, CRC-32`` and a payload, whose first byte tells what it is.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import structlog

from collectors.sample import Values
from storage.error import StorageError, storage_errors
from storage.layout import Layout

logger = structlog.get_logger(__name__)

_MAGIC = b"\xa5WJ1"
_HEADER = struct.Struct("<4sII")
#: Longer frames are not written; a length beyond it is a damaged one.
_MOST_BYTES = 1 << 28
_OPENING, _STATE, _TICKS = b"O", b"S", b"T"
_COUNT = struct.Struct("<I")
_TICK = np.dtype([("layout", "<u4"), ("time", "<i8")])
_PACKED = np.dtype("<f8")
_SUFFIX = ".wal"


class Row(NamedTuple):
    """A tick on its way into the store: ``values`` in the order of the layout."""

    time_ms: int
    layout: Layout
    values: Values


class State(NamedTuple):
    """Where a source stands: the time of its last tick, and its layout while it has open series."""

    source: str
    last_ms: int
    layout: Layout | None


Record = State | list[Row]


class Segment(NamedTuple):
    """A file of the journal."""

    number: int
    path: Path


class Journal:
    """Appends to the newest segment of ``folder``. Used by one thread at a time, but for :meth:`sync`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0  #: of the segment that is being written; 0 before :meth:`begin`
        self._path = folder  # of that segment
        self._unlisted = False  # whether the folder's own list of files is not on the disk yet
        self._descriptor: int | None = None
        self._ended: list[int] = []  # files of earlier segments, to be synced once more
        self._syncing = threading.Lock()
        self._size = 0
        self._defined: set[int] = set()

    def begin(self, number: int, identity: str, states: Iterable[State]) -> None:
        """Start a new segment. ``identity`` is the database's: ticks mean nothing without its series."""
        with storage_errors(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = segment_path(self.folder, number)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        opening = _frame(_OPENING + orjson.dumps({"store": identity, "segment": number}))
        states = list(states)
        try:
            size = self._write(descriptor, 0, opening + b"".join(_frame(_STATE + _dump(state)) for state in states))
        except BaseException:
            os.close(descriptor)
            with suppress(OSError):  # the failure that is told is the first one
                path.unlink()
            raise
        if self._descriptor is not None:
            self._ended.append(self._descriptor)
        self._descriptor, self._size, self.number, self._path = descriptor, size, number, path
        self._unlisted = True
        self._defined = {state.layout.id for state in states if state.layout is not None}

    def append(self, rows: Sequence[Row]) -> None:
        """Write one frame; after a kill of the process it is there whole or not at all.

        Raises :class:`StorageError` when the disk does not take it; nothing has been written then.
        """
        descriptor = self._descriptor
        if descriptor is None:
            raise StorageError(f"the journal {self.folder} is not open", permanent=False)
        fresh = {row.layout.id: row.layout for row in rows if row.layout.id not in self._defined}
        frames = [_frame(_STATE + _dump(State(layout.source, -1, layout))) for layout in fresh.values()]
        frames.append(_frame(_TICKS + _pack(rows)))
        self._size = self._write(descriptor, self._size, b"".join(frames))
        self._defined.update(fresh)

    def sync(self) -> None:
        """Make what has been appended survive a power cut. Waits for the disk, and nobody for it: any thread may."""
        with self._syncing, storage_errors(self.folder):
            ended, descriptor = list(self._ended), self._descriptor
            for one in [*ended, *([] if descriptor is None else [descriptor])]:
                os.fdatasync(one)
            if self._unlisted:
                self._unlisted = False
                _sync_folder(self.folder)
            for one in ended:
                self._ended.remove(one)
                os.close(one)

    def lost(self) -> bool:
        """Whether the segment that is being written has been deleted, moved or replaced by someone else."""
        if self._descriptor is None:
            return False
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(self._descriptor))

    def drop(self, number: int) -> None:
        """Delete the segments up to ``number``: all that they held is in the database."""
        for segment in segments(self.folder):
            if segment.number <= number and segment.number != self.number:
                segment.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; they stay."""
        with self._syncing:
            for one in [*self._ended, *([] if self._descriptor is None else [self._descriptor])]:
                os.close(one)
            self._ended, self._descriptor = [], None

    def _write(self, descriptor: int, offset: int, data: bytes) -> int:
        """Write at ``offset`` and return where the data end. Of a write that failed nothing stays."""
        with storage_errors(self.folder):
            done = 0
            try:
                while done < len(data):
                    done += os.pwrite(descriptor, data[done:], offset + done)
            except OSError:
                with suppress(OSError):  # a reader leaves a torn end out, and the next write begins at ``offset``
                    os.ftruncate(descriptor, offset)
                raise
        return offset + len(data)


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"{number:08d}{_SUFFIX}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments(folder: Path) -> list[Segment]:
    """The journal's files, oldest first."""
    try:
        names = sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX and path.stem.isdecimal())
    except FileNotFoundError:
        return []
    return [Segment(int(path.stem), path) for path in names]


def replay(segment: Segment, identity: str) -> Iterator[Record]:
    """What a segment holds, in order. Frames that are damaged are left out, and logged.

    Raises :class:`StorageError` for a segment of another database.
    """
    with storage_errors(segment.path):
        data = segment.path.read_bytes()
    layouts: dict[int, Layout] = {}
    for payload in _payloads(data, segment.path):
        kind, body = payload[:1], payload[1:]
        if kind == _OPENING:
            found = orjson.loads(body)["store"]
            if found != identity:
                raise StorageError(f"the journal {segment.path} belongs to another database", permanent=True)
        elif kind == _STATE:
            yield _load(body, layouts)
        elif kind == _TICKS:
            try:
                yield _unpack(body, layouts)
            except KeyError:  # the frame that said what its layout is was damaged
                logger.error("journal_frame_unusable", path=str(segment.path))


def read_segments(folder: Path, identity: str) -> Iterator[tuple[int, list[Record]]]:
    """The number and the records of each segment.

    One that is sealed and deleted meanwhile is left out, and so is one that the disk cannot read, which is logged.
    """
    for segment in segments(folder):
        try:
            yield segment.number, list(replay(segment, identity))
        except StorageError as error:
            if error.trouble == "disk":
                logger.error("journal_segment_unreadable", path=str(segment.path), error=str(error))
            elif segment.path.exists():
                raise


def owner(folder: Path) -> str | None:
    """The identity of the database that the newest readable segment belongs to; None without any."""
    for segment in reversed(segments(folder)):
        with suppress(OSError):
            for payload in _payloads(segment.path.read_bytes(), segment.path):
                if payload[:1] == _OPENING:
                    store: str = orjson.loads(payload[1:])["store"]
                    return store
    return None


def _payloads(data: bytes, path: Path) -> Iterator[bytes]:
    position = 0
    while 0 <= position <= len(data) - _HEADER.size:
        magic, length, check = _HEADER.unpack_from(data, position)
        begin = position + _HEADER.size
        payload = data[begin : begin + length] if length <= _MOST_BYTES else b""
        if magic == _MAGIC and len(payload) == length and zlib.crc32(payload) == check:
            yield payload
            position = begin + length
            continue
        following = data.find(_MAGIC, position + 1)
        logger.warning("journal_frame_damaged", path=str(path), offset=position, last=following < 0)
        position = following


def _frame(payload: bytes) -> bytes:
    if len(payload) > _MOST_BYTES:
        raise StorageError("a tick is too large for the journal", permanent=True)
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


def _dump(state: State) -> bytes:
    layout = state.layout
    told: dict[str, Any] = {"source": state.source, "last_ms": state.last_ms}
    if layout is not None:
        told |= {"layout": layout.id, "series": layout.series}
    return orjson.dumps(told)


def _load(body: bytes, layouts: dict[int, Layout]) -> State:
    told = orjson.loads(body)
    layout = None
    if "layout" in told:
        layout = layouts[told["layout"]] = Layout(told["layout"], told["source"], tuple(told["series"]))
    return State(told["source"], told["last_ms"], layout)


def _pack(rows: Sequence[Row]) -> bytes:
    index = np.array([(row.layout.id, row.time_ms) for row in rows], dtype=_TICK)
    values = b"".join(row.values.astype(_PACKED, copy=False).tobytes() for row in rows)
    # Level 1 halves a row in 40 µs: most digits of most values are zeros, or their neighbour's.
    return zlib.compress(_COUNT.pack(len(rows)) + index.tobytes() + values, 1)


def _unpack(body: bytes, layouts: Mapping[int, Layout]) -> list[Row]:
    data = zlib.decompress(body)
    (count,) = _COUNT.unpack_from(data)
    index = np.frombuffer(data, dtype=_TICK, count=count, offset=_COUNT.size)
    values = np.frombuffer(data, dtype=_PACKED, offset=_COUNT.size + index.nbytes).astype(np.float64)
    rows, first = [], 0
    for id, time_ms in index.tolist():
        layout = layouts[id]
        rows.append(Row(time_ms, layout, values[first : first + len(layout.series)]))
        first += len(layout.series)
    return rows
