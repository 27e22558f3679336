"""The way back from a version that kept crashing the server: while no model runs, the next process can take another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from model.logbook import Logbook, first_choice, take_back
from model.release import NoSwitch, Releases

log = structlog.get_logger(__name__)

#: What is known of a version that somebody left in safe mode.
WHY = "crash_loop: the server kept crashing with it"


@dataclass(frozen=True, slots=True)
class Retreat:
    """From ``version``, which a new process would start with, to the last good one; or why there is no way back."""

    version: str | None
    to: str | None
    #: A sentence; ``None`` where there is a way.
    obstacle: str | None = None


class Rearguard:
    """Knows the way back, and takes it. Only for a process in which no model runs."""

    def __init__(self, releases: Releases, book: Logbook, wall_ms: Callable[[], int]) -> None:
        self._releases = releases
        self._book = book
        self._wall_ms = wall_ms

    def way(self) -> Retreat:
        """Where a rollback would lead. Reads the folder."""
        names, page = self._releases.names(), self._book.page
        if not names:
            return Retreat(None, None, "There is one model only: its folder holds no versions to go back to.")
        first = first_choice(page, names)
        good = next((name for name in page.good if name in names and name != first), None)
        if good is None:
            return Retreat(first, None, f"No version but {first} has ever proved itself here.")
        return Retreat(first, good)

    def step_back(self) -> Retreat:
        """Have the next process start with the last good version. Raises :class:`NoSwitch`."""
        found = self.way()
        version, to = found.version, found.to
        if version is None or to is None:
            raise NoSwitch(found.obstacle or "There is no way back.")
        self._book.change(lambda page: take_back(page, version, to, WHY, self._wall_ms()))
        log.error("version_rolled_back", version=version, to=to, why=WHY)
        return found
