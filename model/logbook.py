"""What is known of each version of the model, kept in the data folder: so a restart starts what was chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

log = structlog.get_logger(__name__)

#: Name of the file in the data folder.
FILE_NAME = "model-versions.json"
#: Versions that were good once and are remembered as such; the newest is the one to go back to.
KEPT = 5

#: ``trial``: on probation. ``canary``: it answers a share of the requests beside the one that serves. ``failed``: it
#: could not be loaded, or a golden input did not hold. ``refused``: it takes or gives something else. ``rolled_back``:
#: it was loaded, and then failed on probation or as a canary.
State = Literal["unknown", "trial", "canary", "good", "failed", "refused", "rolled_back"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Note(_Part):
    """How the last attempt with a version went, at ``at_ms`` (UTC milliseconds)."""

    state: State = "unknown"
    at_ms: int | None = None
    reason: str | None = None
    suggestion: str | None = None
    #: Golden pairs that held at the load; ``None`` if it did not come so far.
    golden: int | None = None
    load_seconds: float | None = None
    #: What differs from the version that served then.
    differs: tuple[str, ...] = ()


class Baseline(_Part):
    """What a version is measured by: what was seen of another, as :class:`model.track.Track` has it."""

    failed: list[bool] = []
    seconds: dict[int, list[float]] = {}


class Page(_Part):
    """Everything that is remembered of one ``model.path``."""

    path: str
    #: The version that somebody switched to, or that was put back; without one a start takes the newest.
    chosen: str | None = None
    #: Versions that have proved themselves, the latest first.
    good: list[str] = []
    #: The version on probation, and how many processes have started with it.
    trial: str | None = None
    starts: int = 0
    #: What the version on probation is measured by.
    before: Baseline | None = None
    #: The version that answered beside the one that served; it is loaded by nobody who starts anew.
    canary: str | None = None
    notes: dict[str, Note] = {}


class Logbook:
    """``page`` is what is known; ``change`` replaces and writes it. Not thread-safe. Without a file it is forgotten."""

    def __init__(self, file: Path | None, path: str) -> None:
        self._file = file
        self.page = self._read(path)

    def change(self, edit: Callable[[Page], None]) -> None:
        """Change the page and push it to the disk. A disk that takes nothing costs the memory, not the service."""
        page = self.page.model_copy(deep=True)
        edit(page)
        if page == self.page:
            return
        self.page = page
        try:
            self._write()
        except OSError as error:
            log.error("versions_not_remembered", error=str(error))

    def _read(self, path: str) -> Page:
        if self._file is None:
            return Page(path=path)
        try:
            page = Page.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return Page(path=path)
        except (OSError, ValidationError) as error:
            log.error("versions_not_read", file=self._file.name, error=str(error))
            return Page(path=path)
        return page if page.path == path else Page(path=path)

    def _write(self) -> None:
        if self._file is None:
            return
        scratch = self._file.with_suffix(".tmp")
        with suppress(FileNotFoundError):
            scratch.unlink()
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self.page.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._file)


def first_choice(page: Page, names: Sequence[str]) -> str:
    """What a new process starts with, of the versions ``names`` that there are, oldest first: what was chosen, or the
    newest. Where what was chosen is gone, what was good goes before what nobody has asked for."""
    if page.chosen in names:
        return str(page.chosen)
    good = [name for name in page.good if name in names]
    return names[-1] if page.chosen is None or not good else good[0]


def take_back(page: Page, version: str, to: str, why: str, now_ms: int) -> None:
    """``version`` is not good after all; the next process starts with ``to``."""
    before = page.notes.get(version, Note())
    page.notes[version] = before.model_copy(update={"state": "rolled_back", "at_ms": now_ms, "reason": why})
    page.chosen = to
    if page.trial == version:
        page.trial, page.starts = None, 0
    page.good = [name for name in page.good if name != version]
