"""What a process that died has left of its ladders, so that the next one does nothing twice."""

from __future__ import annotations

from config_target import TargetSettings
from targets.remedy.course import HOUR_MS, Course, Standing
from targets.remedy.log import STANDBY, RemedyLog
from targets.remedy.standby import Switches

CUT_SHORT = "cut short: this program ended meanwhile"
#: Logs have been taken up by then: a pattern that is not raised is over.
SETTLE_MS = 60_000


class Aftermath:
    """Closes open rows at the start, and tells each course once what was tried in the trouble that goes on."""

    def __init__(self, rows: RemedyLog) -> None:
        self._rows = rows
        self._cut: dict[str, set[int]] = {}  # rungs that the last process did not see the end of
        self._done: set[str] = set()
        self._began_ms: int | None = None

    @property
    def is_taken_up(self) -> bool:
        """Whether it is known who stands switched."""
        return self._began_ms is not None

    def take_up(self, switches: Switches, now_ms: int) -> None:
        """A standby goes on, anything else was cut short. Once only."""
        if self._began_ms is not None:
            return
        for row in self._rows.open():
            if row.kind == STANDBY:
                switches.take_up(row)
                continue
            self._rows.end(row.id, "failed", CUT_SHORT, now_ms)
            self._cut.setdefault(row.target, set()).add(row.rung)
        self._began_ms = now_ms

    def forget(self, target: str) -> None:
        """A person wants all of it to be tried again."""
        self._done.add(target)

    def restore(self, settings: TargetSettings, course: Course, standing: Standing, now_ms: int) -> None:
        """At the first trouble: what was tried in it before, how long to rest, and what is to be judged still."""
        if settings.name in self._done:
            return
        if course.in_trouble(standing):
            self._restore(settings, course, standing, now_ms)
        elif not self._is_well(standing, now_ms):
            return
        self._done.add(settings.name)

    def _is_well(self, standing: Standing, now_ms: int) -> bool:
        """Whether this process has seen for itself that nothing is wrong."""
        assert self._began_ms is not None
        if standing.seen_ms is None:
            return not standing.blind and now_ms - self._began_ms >= SETTLE_MS
        return standing.seen_ms >= self._began_ms

    def _restore(self, settings: TargetSettings, course: Course, standing: Standing, now_ms: int) -> None:
        name, cut = settings.name, self._cut.get(settings.name, set())
        known = self._rows.trouble_since(name, standing.patterns)
        since = min(now_ms if known is None else known, _failing_since(settings, standing, now_ms))
        last = None
        for row in self._rows.of(name, since - HOUR_MS):
            known_rung = 0 <= row.rung < len(course.rungs) and course.rungs[row.rung].kind == row.kind
            if row.state == "skipped" or not known_rung:
                continue
            # Of one that an earlier process has closed, this one knows by its row alone.
            was_cut = row.rung in cut or (row.outcome == CUT_SHORT and (row.ended_ms or 0) >= since)
            if row.started_ms >= since or was_cut:
                course.tried.add(row.rung)
                course.rest(row.rung, row.ended_ms or row.started_ms)
                last = row
        if last is not None and last.state == "done" and last.helped is None and last.kind != STANDBY:
            course.ended(last.rung, last.id, "done", last.ended_ms or now_ms)


def _failing_since(settings: TargetSettings, standing: Standing, now_ms: int) -> int:
    """The earliest moment at which the failures that are known of can have begun."""
    interval: float = getattr(getattr(settings, standing.probe, None), "interval", 0.0) if standing.probe else 0.0
    return now_ms - round((standing.failures + 1) * interval * 1000)
