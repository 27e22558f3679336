"""Whose callers go to a standby: an open row of the table of remedies for each, so that a restart changes nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

import structlog

from config_target import TargetSettings
from targets.remedy.log import BY_HAND, STANDBY, RemedyEntry, RemedyLog
from targets.remedy.route import standby_url

log = structlog.get_logger(__name__)


class LadderError(Exception):
    """What a person asked for cannot be; the message says why."""

    permanent = True

    def __init__(self, kind: Literal["not_found", "conflict"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["not_found", "conflict"] = kind


class _Switch(NamedTuple):
    """The open row, by which rung it came about, and when."""

    id: int
    rung: int
    since_ms: int


class Switches:
    """Owns the open rows of standbys. Not safe for threads: the ladder's lock is."""

    def __init__(self, rows: RemedyLog) -> None:
        self._rows = rows
        self._open: dict[str, _Switch] = {}

    def __contains__(self, target: object) -> bool:
        return target in self._open

    def take_up(self, row: RemedyEntry) -> None:
        """Go on with one that the last process left."""
        self._open[row.target] = _Switch(row.id, row.rung, row.started_ms)

    def begin(self, target: str, rung: int, why: str, now_ms: int) -> None:
        """Send the callers to the standby, which the ladder's rung says, or a person."""
        id = self._rows.begin(target, rung, STANDBY, why, now_ms, state="started")
        self._open[target] = _Switch(id, rung, now_ms)

    def end(self, target: str, outcome: str, now_ms: int) -> None:
        """Send them back to the target itself."""
        self._rows.end(self._open[target].id, "done", outcome, now_ms)
        del self._open[target]
        log.warning("standby_left", target=target, why=outcome)

    def by_hand(self, settings: TargetSettings, active: bool, actor: str, now_ms: int) -> None:
        """Switch because a person says so. Raises :class:`LadderError`."""
        name = settings.name
        if standby_url(settings) is None:
            raise LadderError("conflict", f"{name} has no standby: its ladder names none")
        if active == (name in self._open):
            if active:
                raise LadderError("conflict", f"the callers of {name} go to the standby already")
            raise LadderError("conflict", f"the callers of {name} go to the target itself already")
        if active:
            self.begin(name, BY_HAND, f"by {actor}", now_ms)
        else:
            self.end(name, f"switched back by {actor}", now_ms)

    def may_end(self, target: str, seen_ms: int | None) -> bool:
        """Whether it may end by itself: no person has switched, and the target was looked at since."""
        found = self._open.get(target)
        return found is not None and found.rung != BY_HAND and (seen_ms is None or seen_ms > found.since_ms)
