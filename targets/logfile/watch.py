"""Follow the logs of all targets: one thread reads, and one transaction a second takes what it has read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from collectors.sample import Tick
from storage.engine import Database
from targets.logfile.entry import LogState, MakeMatcher
from targets.target import Target


class LogWatch:
    """The logs of all targets."""

    def __init__(self, database: Database, clock_ms: Callable[[], int], *, matcher: MakeMatcher) -> None:
        self._database = database
        self._clock_ms = clock_ms
        self._matcher = matcher

    def start(self) -> None:
        """Begin to read."""

    def stop(self) -> None:
        """End. What is committed is all that counts."""

    def replace(self, targets: Sequence[Target]) -> None:
        """Follow the logs of these from now on."""

    def collect(self, now_ms: int) -> list[Tick]:
        """What was read up to the last commit, as series."""
        return []

    def states(self) -> list[LogState]:
        """How the reading of each source goes."""
        return []
