"""The versions in the model's folder: which one to load, which one served before, and what is known of each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from model import entry
from model.contract import Contract, Incompatible, accept, known_contract
from model.fault import LoadFailure
from model.folder import versions
from model.loader import Instance
from model.logbook import Baseline, Logbook, Note, State, first_choice, take_back
from model.pipeline import PREFIX
from model.source import is_file_path

log = structlog.get_logger(__name__)

#: So many processes may start with a version on probation; if it has not proved itself then, the last good one starts.
MAX_STARTS = 3


class NoSwitch(Exception):
    """A version cannot be switched to; ``kind`` is ``unknown`` (there is none such) or ``conflict`` (not now)."""

    def __init__(self, detail: str, kind: Literal["unknown", "conflict"] = "conflict") -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Release:
    """One version in the folder, and what is known of it. Fields as in :class:`model.logbook.Note`."""

    version: str
    serving: bool
    #: The one that a rollback would put back.
    last_good: bool
    state: State
    checked_ms: int | None
    golden: int | None
    load_seconds: float | None
    reason: str | None
    suggestion: str | None
    differs: tuple[str, ...]


def _anything(instance: Instance) -> None:
    """Whatever loads and passes its golden inputs may serve."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to load: a path as ``model.path`` has them. ``approve`` has the last word before it may serve.

    ``approve`` raises :class:`LoadFailure`. What is ``loaded`` already is not loaded again.
    """

    path: str
    approve: Callable[[Instance], None] = _anything
    loaded: Instance | None = None


class Releases:
    """Decides what is loaded, and remembers how it went. Any thread may call; files are read where versions are listed.

    Where ``model.path`` is no folder with versions there is one target, and nothing to remember.
    """

    def __init__(self, path: str, logbook: Logbook, wall_ms: Callable[[], int]) -> None:
        self._path = path
        self._book = logbook
        self._wall_ms = wall_ms
        self._lock = threading.Lock()
        self._serving: str | None = None
        #: The version that this process was not started with any more, and why: ``3: crash_loop: …``.
        self.abandoned: str | None = None
        self._contract: Contract | None = None
        self.canary_ended("canary_ended: the process ended while it ran", failed=False)

    # --- what is there -------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The versions in the folder, oldest first; none where the path leads to one model only."""
        if self._path.startswith(PREFIX) or not is_file_path(self._path):
            return []
        try:
            return [folder.name for folder in versions(self._folder)]
        except OSError as error:  # a share that is gone, a folder that may not be read: the load will say so
            log.warning("versions_not_listed", error=str(error))
            return []

    def releases(self) -> list[Release]:
        """All versions, the newest first."""
        page, good = self._book.page, self.last_good()
        return [self._release(name, page.notes.get(name, Note()), good) for name in reversed(self.names())]

    @property
    def serving(self) -> str | None:
        """The version that serves, or served last."""
        return self._serving

    @property
    def trial(self) -> str | None:
        """The version on probation."""
        return self._book.page.trial

    def last_good(self) -> str | None:
        """The latest version that proved itself, other than the one that serves."""
        return next((name for name in self._good() if name != self._serving), None)

    # --- what to load --------------------------------------------------------------------------------------------

    def at_start(self) -> list[Target]:
        """What to try when the process starts, in this order: what was chosen, or the newest; then what was good.

        If what was chosen is not there any more, what was good goes before what nobody has asked for.
        """
        names = self.names()
        if not names:
            return [Target(self._path)]
        with self._lock:
            page, good = self._book.page, [name for name in self._book.page.good if name in names]
            first = first_choice(page, names)
            others = [name for name in good if name != first]
            if page.trial == first and others:
                if page.starts >= MAX_STARTS:
                    why = f"crash_loop: {page.starts} processes ended while it was on probation"
                    self._book.change(lambda page: take_back(page, first, others[0], why, self._wall_ms()))
                    log.error("version_rolled_back", version=first, to=others[0], why=why)
                    self.abandoned = f"{first}: {why}"
                    return [self._target(name) for name in others]
                self._book.change(entry.count_start)
            return [self._target(name) for name in (first, *others)]

    def again(self) -> list[Target]:
        """What a reload loads: the version that serves; where none does any more, also what was good."""
        names = self.names()
        if self._serving is None or self._serving not in names:
            return self.at_start()
        return [self._target(name) for name in (self._serving, *self._good()) if name in names]

    def to(self, version: str, *, force: bool) -> list[Target]:
        """A switch, and the way back should nothing else be there to serve. Raises :class:`NoSwitch`."""
        names = self.names()
        target = self.beside(version, force=force)
        return [target, *(self._target(name) for name in (self._serving, *self._good()) if name in names)]

    def beside(self, version: str, *, force: bool) -> Target:
        """Another version than the one that serves, to be compared with it. Raises :class:`NoSwitch`."""
        names = self.names()
        if not names:
            raise NoSwitch("model.path leads to one model only: name the folder above its versions to switch.")
        if version not in names:
            raise NoSwitch(f"There is no version {version}; there are {', '.join(reversed(names))}.", "unknown")
        if version == self._serving:
            raise NoSwitch(f"Version {version} serves already; a reload loads it anew.")
        before = self._contract
        return Target(self._at(version), lambda instance: accept(before, instance, force=force))

    def back(self) -> list[Target]:
        """The way back from the version that serves; none where no other was ever good."""
        return [self._target(name) for name in self._good() if name != self._serving]

    # --- how it went ---------------------------------------------------------------------------------------------

    def installed(self, instance: Instance) -> bool:
        """An instance serves; whether that begins a probation: of any version but the one that was good last."""
        self._contract = known_contract(instance)
        version = self._version(instance.path)
        if version is None:
            return False
        with self._lock:
            before, self._serving = self._serving, version
            good, known = self._good(), self._book.page.notes.get(version, Note()).state
            trial = version != before and bool(good) and good[0] != version
            note = Note(
                state="trial" if trial else known if version == before else "good",
                at_ms=self._wall_ms(),
                golden=len(instance.golden),
                load_seconds=round(instance.load_seconds, 3),
            )
            self._book.change(lambda page: entry.installed(page, version, note))
            return trial

    def failed(self, path: str, failure: LoadFailure, *, serves_on: bool) -> None:
        """A target could not be loaded, or was refused. ``serves_on``: what served before has not gone."""
        version = self._version(path)
        if version is None:
            return
        differs = failure.differs if isinstance(failure, Incompatible) else ()
        note = Note(
            state="refused" if differs else "failed",
            at_ms=self._wall_ms(),
            reason=failure.reason,
            suggestion=failure.suggestion,
            differs=differs,
        )
        with self._lock:
            if version != self._serving or not serves_on:  # a reload that fails is nothing against what serves on
                self._book.change(lambda page: entry.failed(page, version, note))

    def chosen(self, version: str) -> None:
        """Somebody switched to a version, and it serves: that is what the next process starts with."""
        with self._lock:
            self._book.change(lambda page: entry.choose(page, version))

    @property
    def baseline(self) -> Baseline | None:
        """What the version on probation is measured by, as far as an earlier process has seen it."""
        return self._book.page.before

    def measured_by(self, before: Baseline) -> None:
        """A probation begins; the next process, should it come before its end, measures by the same."""
        with self._lock:
            self._book.change(lambda page: entry.remember(page, before))

    def canary_began(self, version: str, instance: Instance) -> None:
        """A version answers beside the one that serves."""
        note = Note(
            state="canary",
            at_ms=self._wall_ms(),
            golden=len(instance.golden),
            load_seconds=round(instance.load_seconds, 3),
        )
        with self._lock:
            self._book.change(lambda page: entry.begin_canary(page, version, note, self._serving))

    def canary_ended(self, why: str | None, *, failed: bool) -> None:
        """It does so no more; nothing happens where there is none."""
        with self._lock:
            if (version := self._book.page.canary) is not None:
                self._book.change(lambda page: entry.end_canary(page, version, why, self._wall_ms(), failed=failed))

    def proved(self) -> None:
        """The version that serves has been through its probation."""
        with self._lock:
            if (version := self._serving) is not None:
                self._book.change(lambda page: entry.prove(page, version))

    def taken_back(self, version: str, to: str, why: str) -> None:
        """A version failed on probation; the next process starts with ``to``."""
        with self._lock:
            self._book.change(lambda page: take_back(page, version, to, why, self._wall_ms()))

    def stopped(self) -> None:
        """The process ends in order, which is nothing against the version on probation or the canary."""
        self.canary_ended("canary_ended: the server was stopped", failed=False)
        with self._lock:
            if self._book.page.trial is not None and self._serving in (None, self._book.page.trial):
                self._book.change(entry.forgive_start)

    # --- details -------------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return Path(self._path).expanduser()

    def _at(self, version: str) -> str:
        return f"{self._folder}/{version}"

    def _target(self, version: str | None) -> Target:
        return Target(self._at(version or ""))

    def _good(self) -> list[str]:
        """Those that are still in the folder, the latest first."""
        return [name for name in self._book.page.good if (self._folder / name).is_dir()]

    def version_of(self, instance: Instance) -> str | None:
        """The version in the folder that an instance was loaded from."""
        return self._version(instance.path)

    def _version(self, path: str) -> str | None:
        """The version that a target's path means."""
        return Path(path).name if path != self._path and Path(path).parent == self._folder else None

    def _release(self, name: str, note: Note, good: str | None) -> Release:
        return Release(
            version=name,
            serving=name == self._serving,
            last_good=name == good,
            state=note.state,
            checked_ms=note.at_ms,
            golden=note.golden,
            load_seconds=note.load_seconds,
            reason=note.reason,
            suggestion=note.suggestion,
            differs=note.differs,
        )
