"""The black box: what the server process was doing, in a page of shared memory that outlives it.

The model's thread writes here right before and after each call into the model, without a system call; the supervisor
reads it when the process has died or hangs.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

SIZE = 4096
#: Sequence (odd while it is being written), length of the text, begin and end (monotonic seconds, 0 while it runs), and
#: the seconds that the call may take.
_HEAD = struct.Struct("<IIddd")
_COUNT = struct.Struct("<Q")
_GPU_AT = 64
_DONE_AT = 72
_TEXT_AT = 128
_TEXT_BYTES = SIZE - _TEXT_AT
#: Request ids and inputs of a batch that are told; more are counted.
_TOLD = 16


@dataclass(frozen=True, slots=True)
class Flight:
    """The last call into the model: ``what`` is a ``batch`` or a ``check``. Moments are monotonic seconds."""

    what: str
    size: int
    inputs: list[str]
    request_ids: list[str]
    began: float
    ended: float | None
    limit_seconds: float

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


class BlackBox:
    """One page of anonymous shared memory: made before the fork, written by one thread of the child.

    ``limit_seconds`` is how long a call into the model may take until it counts as hung.
    """

    def __init__(self, limit_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._page = mmap.mmap(-1, SIZE)
        self._limit_seconds = limit_seconds
        self._clock = clock
        self._sequence = 0
        self._done = 0

    def begin(self, what: str, size: int, request_ids: Sequence[str], inputs: Sequence[Any]) -> None:
        """A call into the model is about to start."""
        # Lines rather than JSON: this is on the way of every batch.
        shapes, ids = "\t".join(_shapes(inputs[:_TOLD])), "\t".join(request_ids[:_TOLD])
        text = f"{what}\n{size}\n{shapes}\n{ids}".encode(errors="replace")[:_TEXT_BYTES]
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

    def note_gpu_bytes(self, value: int) -> None:
        """GPU memory that this process holds."""
        _COUNT.pack_into(self._page, _GPU_AT, max(0, value))

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


def _list(text: str) -> list[str]:
    return text.split("\t") if text else []


def _shapes(inputs: Sequence[Any]) -> list[str]:
    """Each input's kind and size, never its content; one entry where all are alike."""
    kinds = {(type(item), getattr(item, "shape", None)) for item in inputs}
    return [describe(item) for item in (inputs[:1] if len(kinds) == 1 and kinds.pop()[1] is not None else inputs)]


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
