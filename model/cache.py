"""Answers that were given before, by what was asked; and one computation for equal questions at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from cachetools import LRUCache

#: What an entry takes beside its payload: the key, the objects around it, its place in the order.
_OVERHEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is kept: a payload whose length is what it takes in memory, and that nobody changes.

    ``input`` are the facts about its input, ``load`` which load of its version made it.
    """

    payload: Any
    result_class: str | None
    model: str
    version: str
    input: dict[str, Any]
    load: int
    stored: float
    brownout: float = 0.0


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """What the cache has done so far and what it holds."""

    hits: int
    misses: int
    evictions: int
    entries: int
    bytes: int


class Flight:
    """A computation under way that others wait for."""

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.answer: Kept | None = None

    def land(self, answer: Kept | None) -> None:
        """It is over; ``None`` when it led to nothing that others could use."""
        self.answer = answer
        self._landed.set()

    def wait(self, seconds: float) -> Kept | None:
        """The answer, if it comes in time."""
        self._landed.wait(max(0.0, seconds))
        return self.answer


@dataclass(slots=True)
class _Counts:
    hits: int = 0
    misses: int = 0
    evictions: int = 0


class _Answers(LRUCache[bytes, Kept]):
    """The least recently used goes first, by bytes; says how many had to go."""

    evicted = 0

    def popitem(self) -> tuple[bytes, Kept]:
        """Make room."""
        self.evicted += 1
        return super().popitem()


def _size(kept: Kept) -> int:
    return len(kept.payload) + _OVERHEAD_BYTES


@dataclass
class ResultCache:
    """At most ``capacity`` bytes of answers (0: none), fresh for ``fresh_seconds``. Any thread may call.

    An answer that is older, or was made by an earlier load of the version, is *stale*: it is kept for the day on which
    nothing better can be had, until the room is needed.
    """

    capacity: int
    fresh_seconds: float
    clock: Callable[[], float]
    _counts: _Counts = field(default_factory=_Counts, init=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._answers = _Answers(self.capacity, getsizeof=_size)
        self._flights: dict[bytes, Flight] = {}
        self._loads: dict[tuple[str, str], int] = {}

    @property
    def enabled(self) -> bool:
        """Whether anything is kept at all."""
        return self.capacity > 0

    @staticmethod
    def key(model: str, version: str, *parts: bytes | memoryview) -> bytes:
        """What stands for a question to one version. Each part is hashed by itself, so none can run into the next."""
        digest = blake2b(digest_size=32)
        for part in (model.encode(), version.encode(), *parts):
            digest.update(blake2b(part, digest_size=32).digest())
        return digest.digest()

    def fresh(self, key: bytes) -> Kept | None:
        """The answer, if it is as good as a new one. Counts a hit or a miss."""
        with self._lock:
            kept = self._answers.get(key)
            found = kept if kept is not None and self._is_fresh(kept) else None
            self._counts.hits += found is not None
            self._counts.misses += found is None
            return found

    def stale(self, key: bytes) -> Kept | None:
        """The answer, however old."""
        with self._lock:
            return self._answers.get(key)

    def keep(self, key: bytes, kept: Kept) -> None:
        """Remember an answer; one that is larger than the whole cache is let go."""
        with self._lock:
            if _size(kept) <= self.capacity:
                self._answers[key] = kept

    def loads(self, model: str, version: str) -> int:
        """Which load of a version serves now, to be noted in what it answers."""
        return self._loads.get((model, version), 0)

    def renew(self, model: str, version: str) -> None:
        """The version has been loaded anew, perhaps from other weights: what it answered before is stale."""
        with self._lock:
            self._loads[model, version] = self._loads.get((model, version), 0) + 1

    def board(self, key: bytes) -> Flight | None:
        """The computation under way for this question, to wait for; ``None`` makes the caller the one who computes.

        That caller must :meth:`land` it.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = Flight()
            return flight

    def land(self, key: bytes, answer: Kept | None) -> None:
        """End the caller's computation, well or not."""
        with self._lock:
            flight = self._flights.pop(key)
        flight.land(answer)

    def shared(self) -> None:
        """A miss has become a hit: an equal question's answer came in time."""
        with self._lock:
            self._counts.hits += 1
            self._counts.misses -= 1

    def figures(self) -> CacheFigures:
        """Counts and sizes now."""
        with self._lock:
            counts, answers = self._counts, self._answers
            return CacheFigures(counts.hits, counts.misses, answers.evicted, len(answers), int(answers.currsize))

    def _is_fresh(self, kept: Kept) -> bool:
        young = self.clock() - kept.stored < self.fresh_seconds
        return young and kept.load == self._loads.get((kept.model, kept.version), 0)
