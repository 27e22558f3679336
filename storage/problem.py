"""What is wrong with the store right now, in words for people and as a gauge for rules; it outlives no restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import structlog

from collectors.sample import Labels, make_labels
from storage.error import StorageError, Trouble

logger = structlog.get_logger(__name__)

Kind = Literal[
    "disk_full",
    "disk_error",
    "read_only",
    "locked",
    "database_missing",
    "database_replaced",
    "database_damaged",
    "database_moved_aside",
    "journal_missing",
    "chunks_unreadable",
    "series_refused",
]
#: Who noticed: a trouble of the journal may be over while the database still has it.
Origin = Literal["database", "journal", "store"]

_TROUBLES: Mapping[Trouble, Kind] = {
    "locked": "locked",
    "full": "disk_full",
    "disk": "disk_error",
    "read_only": "read_only",
    "missing": "database_missing",
    "damaged": "database_damaged",
}
#: Troubles that a write which worked disproves. A damaged page stays damaged.
_PASSING: tuple[Kind, ...] = ("locked", "disk_full", "disk_error", "read_only", "database_missing")
#: Something that comes and goes is told as one problem: it is over once it has not been seen for so long.
_CALM_SECONDS = 10.0
#: A lock that is held for less is no problem: an import or a backup beside the server takes it for a moment.
_LOCKED_SECONDS = 3.0


class Words(NamedTuple):
    """What people read; both are keys of the page's translations."""

    what: str
    advice: str


WORDS: Mapping[Kind, Words] = {
    "disk_full": Words(
        "The disk is full: new history is kept in memory.",
        "Make room on the disk of the data folder. What waits in memory is then written by itself.",
    ),
    "disk_error": Words(
        "The disk reports errors: history may not be kept.",
        "Read the kernel's log (dmesg) for the disk of the data folder, and make a backup while it can be read.",
    ),
    "read_only": Words(
        "The data folder cannot be written: new history is kept in memory.",
        "Let the service write to its data folder again. What waits in memory is then written by itself.",
    ),
    "locked": Words(
        "Another program holds the database: new series, alerts and log-ins wait.",
        "Find the program with lsof or fuser and let it finish. History goes on in the journal meanwhile.",
    ),
    "database_missing": Words(
        "The database file was deleted while the server runs.",
        "It is written anew from what the server still holds. If this stays, make room and check the data folder.",
    ),
    "database_replaced": Words(
        "The database file was replaced while the server runs.",
        "Restart the process to use the new file. What the server holds is then kept beside it, under another name.",
    ),
    "database_damaged": Words(
        "Parts of the database cannot be read: some history is left out of answers.",
        "Check the disk, then restore a backup (python app.py restore) or restart the process: it saves what it can.",
    ),
    "database_moved_aside": Words(
        "The database was damaged: it was moved aside at the start, and a new one was begun.",
        "The old file is in the data folder, with its time in the name. Restore a backup to have all history again.",
    ),
    "journal_missing": Words(
        "The journal was deleted while the server runs: the latest history is in memory only until it is sealed.",
        "Nothing to do if this goes away by itself. Find out what deletes files in the data folder.",
    ),
    "chunks_unreadable": Words(
        "Some stored samples cannot be read: there are holes in the history.",
        "Look for chunk_unreadable in the log. Check the disk; a backup from before brings the samples back.",
    ),
    "series_refused": Words(
        "A metric has too many series: new ones are not recorded.",
        "Find the label that grows (wakeless_samples_refused_total) and drop it at its source, or raise the limits.",
    ),
}


class Problem(NamedTuple):
    """One thing that is wrong. ``detail`` is for people as well, but in English only; it may be empty."""

    kind: Kind
    since_ms: int
    what: str
    advice: str
    detail: str


class _Known(NamedTuple):
    since_ms: int
    detail: str
    seen: float
    until: float | None


class Problems:
    """Told by whoever notices; asked by the page and the collector. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], int] | None = None, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock or (lambda: time.time_ns() // 1_000_000)
        self._elapsed = elapsed
        self._known: dict[tuple[Kind, Origin], _Known] = {}
        self._suspected: dict[Origin, float] = {}  # since when it has found the database locked
        self._lock = threading.Lock()

    def tell(
        self,
        kind: Kind,
        origin: Origin = "store",
        detail: str = "",
        *,
        since_ms: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note that something is wrong, until :meth:`over`, or for so many ``seconds``."""
        now = self._elapsed()
        with self._lock:
            before = self._known.get((kind, origin))
            since = before.since_ms if before else self._clock() if since_ms is None else since_ms
            until = None if seconds is None else now + seconds
            self._known[kind, origin] = _Known(since, detail or (before.detail if before else ""), now, until)
        if before is None:
            logger.error("storage_problem", kind=kind, detail=detail)

    def blame(self, error: StorageError, origin: Origin) -> None:
        """Note what an error says about the file or its disk, if it does."""
        if error.trouble == "locked" and self._elapsed() - self._suspect(origin) < _LOCKED_SECONDS:
            return
        if error.trouble is not None:
            self.tell(_TROUBLES[error.trouble], origin, str(error))

    def worked(self, origin: Origin) -> None:
        """Something was written: what a write can disprove is over, unless it was seen a moment ago."""
        if not self._known and not self._suspected:  # without the lock: this is asked at every tick
            return
        with self._lock:
            self._suspected.pop(origin, None)
        self._end([key for key in self._troubled(origin) if self._elapsed() - self._known[key].seen >= _CALM_SECONDS])

    def over(self, kind: Kind, origin: Origin = "store") -> None:
        """Something is well again."""
        self._end([(kind, origin)])

    def hampered(self, origin: Origin) -> bool:
        """Whether ``origin`` has a trouble that may pass, or is suspected of one: it is worth trying."""
        return origin in self._suspected or bool(self._known and self._troubled(origin))

    def has(self, kind: Kind) -> bool:
        """Whether this is a problem now."""
        return any(problem.kind == kind for problem in self.current())

    def current(self) -> list[Problem]:
        """All that is wrong now, each kind once, the oldest first."""
        now = self._elapsed()
        with self._lock:
            self._known = {key: known for key, known in self._known.items() if known.until is None or known.until > now}
            found: dict[Kind, Problem] = {}
            for (kind, _), known in sorted(self._known.items(), key=lambda item: item[1].since_ms):
                found.setdefault(kind, Problem(kind, known.since_ms, *WORDS[kind], known.detail))
        return list(found.values())

    def gauge(self) -> Mapping[Labels, float]:
        """1 or 0 for every kind there is, so that a rule sees a problem end."""
        present = {problem.kind for problem in self.current()}
        return {make_labels(kind=kind): float(kind in present) for kind in WORDS}

    def _suspect(self, origin: Origin) -> float:
        with self._lock:
            return self._suspected.setdefault(origin, self._elapsed())

    def _troubled(self, origin: Origin) -> list[tuple[Kind, Origin]]:
        with self._lock:
            return [(kind, origin) for kind in _PASSING if (kind, origin) in self._known]

    def _end(self, keys: Iterable[tuple[Kind, Origin]]) -> None:
        for key in keys:
            with self._lock:
                known = self._known.pop(key, None)
            if known is not None:
                logger.info("storage_problem_over", kind=key[0])
