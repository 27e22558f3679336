"""Where rules come from: the stock file, profiles, files of one's own, the page; read anew while the server runs.

Each of them is taken whole or not at all: of one that cannot be used, what it said before stays in force.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import structlog

from alerts.rule import STOCK_FILE, Group, RuleError, load_profile, load_stock, parse_rules, profile_file
from alerts.ruling.rulebook import PAGE, Rulebook
from storage.error import StorageError

log = structlog.get_logger(__name__)

#: What a file looks like from outside: when it was written, its size, and which file it is. None: it is not there.
_Look: TypeAlias = tuple[int, int, int] | None


class SourceState(NamedTuple):
    """One file or the page. ``problems`` say why its newest text is not in force; ``loaded_ms`` is of what is."""

    path: str
    rules: int
    editable: bool
    loaded_ms: int
    problems: tuple[str, ...]


@dataclass(slots=True)
class _File:
    """One rule file: what it said when it could last be used, and what is wrong with what it says now."""

    path: Path
    look: _Look = None
    settling: _Look = None
    digest: bytes = b""
    groups: list[Group] = field(default_factory=list)
    loaded_ms: int = 0
    problems: tuple[str, ...] = ()


class RuleSource:
    """Gathers the groups to evaluate. All methods may be called from any thread."""

    def __init__(self, paths: Sequence[Path], rulebook: Rulebook, *, stock: bool = True) -> None:
        self._files = [_File(path) for path in paths]
        self.rulebook = rulebook
        self._stock = stock
        self._page: list[Group] = []
        self._page_version = -1
        self._page_loaded_ms = 0
        self._page_problems: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._owed = False
        self._profiles: tuple[str, ...] = ()
        self._profiles_changed = False

    def set_profiles(self, names: Sequence[str]) -> None:
        """Have the rules of these profiles in force from the next :meth:`poll` on: what targets are said to be.

        Those for which there are no rules are passed over. As with stock rules, one of one's own replaces its namesake.
        """
        with self._lock:
            known = tuple(name for name in sorted(set(names)) if profile_file(name).is_file())
            self._profiles_changed |= known != self._profiles
            self._profiles = known

    def load(self, now_ms: int) -> list[Group]:
        """Read everything for the first time. Raises :class:`RuleError` where a file cannot be used: nothing runs yet,
        and whoever starts the server can mend it. A text of the page that cannot be used is left out, and said to be.
        """
        with self._lock:
            for file in self._files:
                self._read(file, _look(file.path), now_ms)
                if file.problems:
                    raise RuleError(file.problems)
            self._read_page(now_ms)
            return self._groups()

    def poll(self, now_ms: int) -> list[Group] | None:
        """The groups, if any have changed since the last call, else None. To be called every few seconds.

        A file counts once it has looked the same for two calls: half a file may be a valid one.
        """
        with self._lock:
            return self._look_again(now_ms, settle=True)

    def reload(self, now_ms: int) -> list[Group] | None:
        """As :meth:`poll`, for somebody who says that the files are ready now."""
        with self._lock:
            return self._look_again(now_ms, settle=False)

    def refresh(self, now_ms: int, apply: Callable[[Sequence[Group], int], None], *, settle: bool = True) -> bool:
        """Poll, or with ``settle`` false reload, and have ``apply`` put what has changed in force; whether it had to.

        One caller at a time, so that older rules never follow newer ones. What ``apply`` failed to do comes again.
        """
        with self._lock:
            groups = self._look_again(now_ms, settle=settle)
            if groups is None and self._owed:
                groups = self._groups()
            if groups is None:
                return False
            self._owed = True
            apply(groups, now_ms)
            self._owed = False
            return True

    def states(self) -> list[SourceState]:
        """Every file, the stock rules and the page, and what is wrong with each."""
        with self._lock:
            groups = self._groups()
            found = [
                SourceState(str(file.path), _count(file.groups), False, file.loaded_ms, file.problems)
                for file in self._files
            ]
            stock = _count([group for group in groups if group.file == str(STOCK_FILE)])
            for name in self._profiles:
                rules = _count([group for group in groups if group.file == str(profile_file(name))])
                found.insert(0, SourceState(f"profile/{name}.yml", rules, False, 0, ()))
            if self._stock:
                found.insert(0, SourceState("stock.yml", stock, False, 0, ()))
            page = SourceState(PAGE, _count(self._page), True, self._page_loaded_ms, self._page_problems)
            return [*found, page]

    def text_of(self, name: str) -> str | None:
        """The rule file's text that the groups of file ``name`` came from; None where there is none such."""
        with self._lock:
            if name == PAGE:
                return self.rulebook.current().text
            known = [file.path for file in self._files] + ([STOCK_FILE] if self._stock else [])
            known += [profile_file(name) for name in self._profiles]
            path = next((path for path in known if str(path) == name), None)
        try:
            return None if path is None else path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    # --- with the lock held --------------------------------------------------------------------------------------

    def _look_again(self, now_ms: int, *, settle: bool) -> list[Group] | None:
        changed = [self._has_changed(file, now_ms, settle=settle) for file in self._files]
        changed += [self._read_page(now_ms), self._profiles_changed]
        self._profiles_changed = False
        return self._groups() if any(changed) else None

    def _has_changed(self, file: _File, now_ms: int, *, settle: bool) -> bool:
        look = _look(file.path)
        if settle and look == file.look:
            file.settling = look
            return False
        if settle and look != file.settling:
            file.settling = look
            return False
        return self._read(file, look, now_ms)

    def _read(self, file: _File, look: _Look, now_ms: int) -> bool:
        """Read a file; whether it says something new that can be used."""
        file.look = file.settling = look
        try:
            text = file.path.read_bytes()
        except OSError as error:
            return self._refuse(file, (f"{file.path}: cannot be read: {error.strerror}",))
        digest = hashlib.sha256(text).digest()
        if digest == file.digest:
            file.problems = ()
            return False
        groups, problems = parse_rules(text, str(file.path))
        if problems:
            return self._refuse(file, tuple(problems))
        file.groups, file.digest, file.loaded_ms, file.problems = groups, digest, now_ms, ()
        log.info("rules_loaded", file=str(file.path), rules=_count(groups))
        return True

    def _refuse(self, file: _File, problems: tuple[str, ...]) -> bool:
        if problems != file.problems:
            log.error("rules_refused", file=str(file.path), problem=problems[0], problems=len(problems))
        file.problems = problems
        return False

    def _read_page(self, now_ms: int) -> bool:
        try:
            if self.rulebook.newest_version() == self._page_version:
                return False
            newest = self.rulebook.current()
        except StorageError:
            return False  # the database is told of elsewhere; the rules stay as they are
        self._page_version = newest.version
        try:
            self._page = newest.groups()
        except RuleError as error:  # written by an older or a newer Wakeless
            log.error("rules_refused", file=PAGE, problem=error.problems[0], problems=len(error.problems))
            self._page_problems = error.problems
            return False
        self._page_loaded_ms, self._page_problems = newest.time_ms or now_ms, ()
        return True

    def _groups(self) -> list[Group]:
        own = [group for file in self._files for group in file.groups] + self._page
        profiles = [group for name in self._profiles for group in load_profile(name, own)]
        return [*(load_stock(own) if self._stock else []), *profiles, *own]


def _look(path: Path) -> _Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _count(groups: Sequence[Group]) -> int:
    return sum(len(group.rules) for group in groups)
