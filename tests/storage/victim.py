"""A process that writes history as fast as it can until it is killed, and leaves in a file what it was doing then.

``python -m tests.storage.victim write DATABASE PHASE START_MS`` appends ticks on one thread while another seals,
deletes what is old and gives room back to the disk. ``… import DATABASE PHASE NUMBER`` imports one batch of samples
after the other. Blocks, transactions and thresholds are small, so that everything happens often.
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Callable
from inspect import getattr_static
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import structlog

import storage.block
import storage.importer
import storage.retention
import storage.series
from collectors.sample import METRIC_NAME, Labels, Sample, Tick
from storage.backlog import Backlog
from storage.block import BlockWriter
from storage.engine import open_database
from storage.importer import Importer, only_import
from storage.openmetrics import Column
from storage.series import SeriesStore

#: What can be under way. A process is in one of them on each of its threads, or in none.
Phase = Literal["write", "seal", "publish", "delete", "vacuum", "import", "publish import"]
PHASES: tuple[Phase, ...] = get_args(Phase)

#: Ticks are deleted when they are so old, in milliseconds.
KEPT_MS = 200_000
#: What one import brings: so many series with so many samples a second apart, from its own moment on.
IMPORTED_SERIES, IMPORTED_SAMPLES = 3, 200
IMPORTED_FROM_MS = 1_900_000_000_000


def imported_from_ms(number: int) -> int:
    """The first moment of an import."""
    return IMPORTED_FROM_MS + number * 1_000_000


def imported(number: int) -> list[Column]:
    """What the import of this number brings."""
    times = imported_from_ms(number) + 1000 * np.arange(IMPORTED_SAMPLES, dtype=np.int64)
    return [Column(imported_labels(one), times, times / 1000 + one) for one in range(IMPORTED_SERIES)]


def imported_labels(one: int) -> Labels:
    return ((METRIC_NAME, f"imported_{one}"),)


class Strip:
    """One byte for each phase, shared with whoever kills: 1 while it is under way."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), len(PHASES))

    def current(self) -> list[Phase]:
        """The phases that are under way."""
        return [phase for phase, byte in zip(PHASES, self._bytes[:], strict=True) if byte]

    def note(self, holder: Any, name: str, phase: Phase) -> None:
        """Let a function of a module or a class say that it is under way."""
        place, plain = PHASES.index(phase), getattr(holder, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._bytes[place] = 1
            try:
                return plain(*args, **kwargs)
            finally:
                self._bytes[place] = 0

        static = isinstance(getattr_static(holder, name), staticmethod)
        setattr(holder, name, staticmethod(noted) if static else noted)

    @staticmethod
    def make(path: Path) -> Strip:
        """A new one in a file of its own."""
        path.write_bytes(bytes(len(PHASES)))
        return Strip(path)


def say(number: int) -> None:
    """Tell what is done; a number of 13 digits at most."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def write(path: Path, start_ms: int) -> None:
    """Append ticks for ever, and look after the history beside that."""
    database = open_database(path)
    store = SeriesStore(database, head_minutes=1)
    store.load()
    now_ms = start_ms

    def look_after() -> None:
        while True:
            store.seal()
            store.expire(now_ms - KEPT_MS)

    threading.Thread(target=look_after, daemon=True).start()
    while True:
        now_ms += 1000
        # Now and then a series comes and goes, so that layouts change.
        names = ["a", "b", *(["sometimes"] if now_ms // 1000 % 7 < 3 else [])]
        samples = {source: tuple(Sample(f"{source}_{name}", (), now_ms / 1000) for name in names) for source in "xy"}
        store.append([Tick(source, now_ms, tuple(own)) for source, own in samples.items()])
        say(now_ms)


def take_in(path: Path, first: int) -> None:
    """Import one batch after the other for ever."""
    database = open_database(path)
    for number in count(first):
        importer = Importer(database, buffer_bytes=3000)
        with only_import(database):
            importer.take(imported(number))
            importer.flush()
        say(number)


def main() -> None:
    kind, path, strip_path, first = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    small: dict[str, tuple[Any, int | float]] = {
        "BLOCK_SAMPLES": (storage.series, 40),
        "PORTION_BYTES": (storage.block, 300),
        "PORTION_CHUNKS": (storage.block, 2),
        "_FREE_BYTES": (storage.retention, 0),
        "_FREE_SHARE": (storage.retention, 0.01),
        "_PORTION_BYTES": (storage.retention, 4096),
    }
    for name, (module, value) in small.items():
        assert hasattr(module, name), name
        setattr(module, name, value)
    strip = Strip(strip_path)
    if kind == "write":
        strip.note(Backlog, "append", "write")
        strip.note(storage.series, "seal", "seal")
        strip.note(SeriesStore, "_publish", "publish")
        strip.note(storage.series, "delete_blocks", "delete")
        strip.note(storage.series, "shrink", "vacuum")
    else:
        strip.note(Importer, "flush", "import")
        strip.note(BlockWriter, "publish", "publish import")
    say(0)  # ready
    job = cast("Callable[[Path, int], None]", {"write": write, "import": take_in}[kind])
    job(path, first)


if __name__ == "__main__":
    main()
