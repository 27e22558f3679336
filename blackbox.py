"""The black box: what the server process was doing, in a page of shared memory that outlives it.

The model's thread writes here right before and after each call into the model, without a system call, and so does every
thread that runs other code of the plug-in; the supervisor reads it when the process has died or hangs.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Sequence (odd while it is being written), length of the text, begin and end (monotonic seconds, 0 while it runs), and
#: the seconds that the call may take.
_HEAD = struct.Struct("<IIddd")
_COUNT = struct.Struct("<Q")
_GPU_AT = 64
_DONE_AT = 72
_TEXT_AT = 128
_CALLS_AT = 4096
_TEXT_BYTES = _CALLS_AT - _TEXT_AT
#: A call beside the model's: what, its request's id, the seconds that it may take, and since when it runs; 0: it does
#: not. That comes last, so that a call that is seen is whole.
_CALL = struct.Struct("<16s64sdd")
_SINCE = struct.Struct("<d")
_SINCE_AT = _CALL.size - _SINCE.size
#: So many can be noted at a time; others run unnoted.
CALLS = 128
SIZE = _CALLS_AT + CALLS * _CALL.size
#: Request ids and inputs of a batch that are told, and calls beside it; more are counted.
_TOLD = 16
#: What has a limit of its own.
_LOAD = "load"


@dataclass(frozen=True, slots=True)
class Flight:
    """The last call into the model: a ``batch``, a ``check``, a ``step`` or the ``close`` of a stream.

    Moments are monotonic seconds.
    """

    what: str
    size: int
    inputs: list[str]
    request_ids: list[str]
    began: float
    ended: float | None
    limit_seconds: float

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        known = {"check": "a health check", "step": "a step of a stream", "close": "the end of a stream"}
        return known.get(self.what, f"a batch of {self.size}")

    def overdue(self, now: float) -> float:
        """Seconds by which it has outrun its limit; negative while it has not, or does not run."""
        return -1.0 if self.ended is not None else now - self.began - self.limit_seconds

    def as_dict(self, now: float) -> dict[str, Any]:
        """For the ledger; ``now`` is when the process ended."""
        seconds = (now if self.ended is None else self.ended) - self.began
        return {
            "what": self.what,
            "size": self.size,
            "inputs": self.inputs,
            "request_ids": self.request_ids,
            "finished": self.ended is not None,
            "seconds": round(max(0.0, seconds), 3),
            "seconds_before_end": round(max(0.0, now - self.began), 3),
        }


@dataclass(frozen=True, slots=True)
class Call:
    """Other code of the plug-in that runs: ``decode``, ``encode``, ``load`` … Moments are monotonic seconds."""

    what: str
    request_id: str
    began: float
    limit_seconds: float

    @property
    def words(self) -> str:
        """What it is, for a sentence."""
        return f"{self.what} for request {self.request_id}" if self.request_id else self.what

    def overdue(self, now: float) -> float:
        """Seconds by which it has outrun its limit; negative while it has not."""
        return now - self.began - self.limit_seconds

    def as_dict(self, now: float) -> dict[str, Any]:
        """For the ledger; ``now`` is when the process ended."""
        return {"what": self.what, "request_id": self.request_id, "seconds": round(max(0.0, now - self.began), 3)}


class BlackBox:
    """A few pages of anonymous shared memory, made before the fork: the model's thread writes one place, others theirs.

    ``limit_seconds`` is how long a call into the model may take until it counts as hung, and ``load_seconds`` a load.
    """

    def __init__(
        self,
        limit_seconds: float = 60.0,
        load_seconds: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._page = mmap.mmap(-1, SIZE)
        self._limit_seconds = limit_seconds
        self._load_seconds = load_seconds
        self._clock = clock
        self._sequence = 0
        self._done = 0
        self._free = deque(range(CALLS))

    # --- in the server process -----------------------------------------------------------------------------------

    def shapes(self, inputs: Sequence[Any]) -> list[str]:
        """Each input's kind and size, never its content, for :meth:`begin`; one entry where all are alike."""
        told = inputs[:_TOLD]
        kinds = {(type(item), getattr(item, "shape", None)) for item in told}
        return [describe(item) for item in (told[:1] if len(kinds) == 1 and kinds.pop()[1] is not None else told)]

    def begin(self, what: str, size: int, request_ids: Sequence[str], shapes: Sequence[str]) -> None:
        """A call into the model is about to start, on the model's thread."""
        # Lines rather than JSON: this is on the way of every batch.
        ids = "\t".join(request_ids[:_TOLD])
        text = f"{what}\n{size}\n{chr(9).join(shapes)}\n{ids}".encode(errors="replace")[:_TEXT_BYTES]
        self._sequence = (self._sequence + 1) | 1
        _HEAD.pack_into(self._page, 0, self._sequence & 0xFFFFFFFF, len(text), self._clock(), 0.0, self._limit_seconds)
        self._page[_TEXT_AT : _TEXT_AT + len(text)] = text
        self._sequence += 1
        struct.pack_into("<I", self._page, 0, self._sequence & 0xFFFFFFFF)

    def end(self) -> None:
        """The call is over."""
        self._done += 1
        _COUNT.pack_into(self._page, _DONE_AT, self._done)
        struct.pack_into("<d", self._page, 16, self._clock())

    def enter(self, what: str, request_id: str) -> int:
        """Other code of the plug-in is about to run, on any thread; returns its place, for :meth:`leave`."""
        try:
            place = self._free.popleft()
        except IndexError:
            return -1
        limit = self._load_seconds if what == _LOAD else self._limit_seconds
        name, whose = what.encode(), request_id.encode(errors="replace")
        _CALL.pack_into(self._page, _CALLS_AT + place * _CALL.size, name, whose, limit, self._clock())
        return place

    def leave(self, place: int) -> None:
        """It is over, or nobody waits for it any more."""
        if place >= 0:
            _SINCE.pack_into(self._page, _CALLS_AT + place * _CALL.size + _SINCE_AT, 0.0)
            self._free.append(place)

    def note_gpu_bytes(self, value: int) -> None:
        """GPU memory that this process holds."""
        _COUNT.pack_into(self._page, _GPU_AT, max(0, value))

    # --- in the supervisor ---------------------------------------------------------------------------------------

    @property
    def gpu_bytes(self) -> int:
        """What was noted last, 0 without a GPU."""
        value: int = _COUNT.unpack_from(self._page, _GPU_AT)[0]
        return value

    @property
    def done(self) -> int:
        """Calls that came back: 0 for a process whose model has never answered."""
        value: int = _COUNT.unpack_from(self._page, _DONE_AT)[0]
        return value

    def clear(self) -> None:
        """Empty the page for the next process."""
        self._page[:] = bytes(SIZE)

    def read(self) -> Flight | None:
        """The last call into the model; ``None`` when there was none, or while it is being written."""
        sequence, length, began, ended, limit = _HEAD.unpack_from(self._page, 0)
        if not sequence or length > _TEXT_BYTES:
            return None
        text = self._page[_TEXT_AT : _TEXT_AT + length]
        if sequence & 1 or struct.unpack_from("<I", self._page, 0)[0] != sequence:
            return None
        what, size, shapes, ids = text.decode(errors="replace").split("\n")
        return Flight(what, int(size), _list(shapes), _list(ids), began, ended or None, limit)

    def calls(self) -> list[Call]:
        """The other code of the plug-in that runs, what has run for the longest first."""
        found = [
            Call(_text(what), _text(whose), began, limit)
            for what, whose, limit, began in _CALL.iter_unpack(self._page[_CALLS_AT:SIZE])
            if began
        ]
        return sorted(found, key=lambda call: call.began)[:_TOLD]

    def latest(self, now: float) -> Flight | Call | None:
        """What has outrun its limit by the most, or is the nearest to it; ``None`` while nothing runs."""
        flight = self.read()
        running: list[Flight | Call] = [*self.calls(), *([flight] if flight and flight.ended is None else [])]
        return max(running, key=lambda one: one.overdue(now), default=None)


def _list(text: str) -> list[str]:
    return text.split("\t") if text else []


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode(errors="replace")


def describe(item: Any) -> str:
    """``float32[3, 224, 224]`` of a tensor or an array, else its type and length or size."""
    kind = type(item).__name__
    shape = getattr(item, "shape", None)
    if shape is not None:
        return f"{_name(getattr(item, 'dtype', kind))}{list(shape)}"[:100]
    size = getattr(item, "size", None)
    if isinstance(size, tuple):
        return f"{kind} {size}"[:100]
    try:
        return f"{kind} of {len(item)}"[:100]
    except TypeError:
        return kind[:100]


@lru_cache(maxsize=64)
def _name(dtype: object) -> str:
    """``float32``; numpy takes 10 µs to say so."""
    return str(dtype).removeprefix("torch.")
