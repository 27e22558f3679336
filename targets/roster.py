"""Who is watched: the targets of the settings, and those of the page, whose definitions are encrypted.

A target is paused by its row in the database; one of the settings gets a row without a definition for that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import Engine, delete, insert, select, update

from config_target import TargetSettings
from storage.tables import TargetRow
from targets.definition import DefinitionError, check, hide, keep_secrets
from targets.target import Target

log = structlog.get_logger(__name__)

#: Targets that the page may add.
MOST = 500

_COLUMNS = TargetRow.__table__.c
Kind = Literal["not_found", "conflict", "invalid"]


class RosterError(Exception):
    """A target cannot be added, changed or removed; the message says why, without secrets. ``field`` is at fault."""

    permanent = True

    def __init__(self, kind: Kind, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.field = field


@dataclass(frozen=True, slots=True)
class Entry:
    """A target of the page. ``version`` changes with its definition; ``problem`` says why that cannot be read."""

    name: str
    definition: Mapping[str, Any]
    target: Target | None
    version: int
    problem: str | None = None


class Roster:
    """Owns the table ``targets``. ``on_change`` is called, by the thread that changed something, after each change.

    ``encrypt`` and ``decrypt`` raise ``unreadable`` where there is no key, or another one. All methods that read or
    write raise :class:`storage.error.StorageError` while the database does not answer.
    """

    def __init__(
        self,
        database: Engine,
        settings_targets: Sequence[TargetSettings],
        *,
        encrypt: Callable[[str], bytes],
        decrypt: Callable[[bytes], str],
        unreadable: type[Exception] = ValueError,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._database = database
        self._fixed = {settings.name: Target(settings) for settings in settings_targets}
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._unreadable = unreadable
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] | None = None
        self._paused: frozenset[str] = frozenset()

    # --- reading --------------------------------------------------------------------------------------------------

    def targets(self) -> list[Target]:
        """All that can be watched, those of the settings first; the paused ones too."""
        added = [entry.target for entry in self._read().values() if entry.target is not None]
        return [*self._fixed.values(), *added]

    def find(self, name: str) -> Target | None:
        """The target of this name; None if there is none, or its definition cannot be read."""
        if name in self._fixed:
            return self._fixed[name]
        entry = self._read().get(name)
        return None if entry is None else entry.target

    def is_paused(self, name: str) -> bool:
        """Whether somebody has paused it."""
        self._read()
        return name in self._paused

    def problems(self) -> dict[str, str]:
        """Targets of the page that cannot be watched, and why."""
        return {name: entry.problem for name, entry in self._read().items() if entry.problem is not None}

    def definition(self, name: str) -> tuple[dict[str, Any], int]:
        """What a target of the page is made of, its secrets hidden, and its version. Raises :class:`RosterError`."""
        entry = self._entry(name)
        return hide(entry.definition), entry.version

    def draft(self, definition: Mapping[str, Any]) -> TargetSettings:
        """What a definition makes, that is not kept: with the secrets that it hides, if it is one of ours.

        Raises :class:`RosterError`.
        """
        name = definition.get("name")
        known = self._read().get(name) if isinstance(name, str) else None
        return self._checked(definition, known)[1]

    # --- changing -------------------------------------------------------------------------------------------------

    def add(self, definition: Mapping[str, Any], by: str, now_ms: int) -> Target:
        """Watch one more. Raises :class:`RosterError`."""
        kept, settings = self._checked(definition, None)
        if settings.name in self._fixed:
            raise RosterError("conflict", f"the settings have a target {settings.name} already", "name")
        if len(self._read()) >= MOST:
            raise RosterError("conflict", f"there are {MOST} targets of the page already")
        values = {
            "name": settings.name, "secret": self._sealed(kept), "disabled": False,
            "created_by": by, "created_ms": now_ms, "updated_ms": now_ms,
        }  # fmt: skip
        with self._database.begin() as connection:
            # What is left of one of the settings that was paused, and is there no more.
            connection.execute(delete(TargetRow).where(_COLUMNS.name == settings.name, _COLUMNS.secret == b""))
            if connection.execute(select(_COLUMNS.id).where(_COLUMNS.name == settings.name)).first() is not None:
                raise RosterError("conflict", f"there is a target {settings.name} already", "name")
            connection.execute(insert(TargetRow).values(**values))
        self._changed()
        return Target(settings, "page")

    def change(self, name: str, definition: Mapping[str, Any], version: int | None, now_ms: int) -> Target:
        """Make it of something else; secrets that are left out stay. ``version`` is the one that was changed.

        Raises :class:`RosterError`, of kind conflict where somebody has changed it meanwhile.
        """
        known = self._entry(name)
        kept, settings = self._checked({"name": name, **definition}, known)
        if settings.name != name:
            raise RosterError("invalid", "a target keeps its name: its history is kept under it", "name")
        expected = known.version if version is None else version
        query = (
            update(TargetRow)
            .where(_COLUMNS.name == name, _COLUMNS.updated_ms == expected)
            .values(secret=self._sealed(kept), updated_ms=max(now_ms, expected + 1))
        )
        with self._database.begin() as connection:
            changed = connection.execute(query).rowcount
        self._changed()
        if not changed:
            raise RosterError("conflict", f"{name} was changed by somebody else meanwhile: look at it again")
        return Target(settings, "page")

    def delete(self, name: str) -> None:
        """Watch it no more. Raises :class:`RosterError`."""
        self._entry(name)
        with self._database.begin() as connection:
            connection.execute(delete(TargetRow).where(_COLUMNS.name == name))
        self._changed()

    def pause(self, name: str, paused: bool, by: str, now_ms: int) -> None:
        """Stop watching it for now, or go on. Raises :class:`RosterError`."""
        if name not in self._fixed and name not in self._read():
            raise _unknown(name)
        with self._database.begin() as connection:
            found = connection.execute(update(TargetRow).where(_COLUMNS.name == name).values(disabled=paused)).rowcount
            if not found:
                values = {"name": name, "secret": b"", "created_by": by, "created_ms": now_ms, "updated_ms": now_ms}
                connection.execute(insert(TargetRow).values(disabled=paused, **values))
        self._changed()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Entry]:
        """The targets of the page by name, as they were read last; from the database where something has changed."""
        with self._lock:
            if self._entries is None:
                with self._database.connect() as connection:
                    rows = connection.execute(select(TargetRow.__table__).order_by(_COLUMNS.id)).all()
                self._paused = frozenset(row.name for row in rows if row.disabled)
                added = [row for row in rows if row.secret and row.name not in self._fixed]
                self._entries = {row.name: self._opened(row.name, row.secret, row.updated_ms) for row in added}
            return self._entries

    def _changed(self) -> None:
        with self._lock:
            self._entries = None
        self.on_change()

    def _entry(self, name: str) -> Entry:
        found = self._read().get(name)
        if found is not None:
            return found
        if name in self._fixed:
            raise RosterError("conflict", f"{name} is in the settings file, and is changed there")
        raise _unknown(name)

    def _opened(self, name: str, secret: bytes, version: int) -> Entry:
        try:
            definition = json.loads(self._decrypt(secret))
            return Entry(name, definition, Target(check(definition), "page"), version)
        except self._unreadable as error:
            problem = f"its definition cannot be decrypted: {error}"
        except (ValueError, DefinitionError) as error:
            problem = f"its definition does not hold any more: {error}"
        log.error("target_not_readable", target=name, problem=problem)
        return Entry(name, {}, None, version, problem)

    def _checked(self, definition: Mapping[str, Any], known: Entry | None) -> tuple[dict[str, Any], TargetSettings]:
        """What is to be kept, and what it makes."""
        try:
            kept = keep_secrets(definition, {} if known is None else known.definition)
            return kept, check(kept)
        except DefinitionError as error:
            raise RosterError("invalid", str(error), error.field) from error

    def _sealed(self, definition: Mapping[str, Any]) -> bytes:
        try:
            return self._encrypt(json.dumps(definition))
        except self._unreadable as error:
            raise RosterError("conflict", f"the definition cannot be encrypted: {error}") from error


def _unknown(name: str) -> RosterError:
    return RosterError("not_found", f"there is no target {name}")
