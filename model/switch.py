"""Puts another version into service, watches it for a while, and takes it back when it does worse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from model.contract import Incompatible
from model.fault import LoadFailure
from model.loader import Instance
from model.plan import Plan
from model.probation import Probation
from model.release import NoSwitch, Release, Releases

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Switch:
    """What became of a switch that somebody asked for."""

    version: str
    #: What served when it began.
    before: str | None
    forced: bool
    began_ms: int
    state: Literal["loading", "done", "failed"] = "loading"
    seconds: float | None = None
    reason: str | None = None
    suggestion: str | None = None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """The probation under way."""

    version: str
    left_seconds: float
    #: What it would be rolled back to.
    last_good: str | None
    requests: int
    failures: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is known of versions. ``versions`` is empty where ``model.path`` leads to one model only."""

    serving: str | None
    last_good: str | None
    versions: tuple[Release, ...]
    probation: Trial | None
    #: The last switch that this process was asked for.
    switch: Switch | None


class Switcher:
    """``start`` begins a load and says whether it could. Any thread may call."""

    def __init__(
        self,
        releases: Releases,
        probation: Probation,
        start: Callable[[Plan], bool],
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        self._releases = releases
        self._probation = probation
        self._start = start
        self._clock = clock
        self._wall_ms = wall_ms
        self._changed = threading.Condition()
        self._stopped = False
        self._switch: Switch | None = None
        self._asked: Switch | None = None

    def switch(self, version: str, *, force: bool, loaded: Instance | None = None) -> Switch:
        """Begin to load ``version``, beside the one that serves where memory allows, if it is not ``loaded`` already.

        Raises :class:`NoSwitch`.
        """
        wanted, *others = self._releases.to(version, force=force)
        targets = [replace(wanted, loaded=loaded), *others]
        asked, began = Switch(version, self._releases.serving, force, self._wall_ms()), self._clock()

        def done(failure: LoadFailure | None) -> None:
            self._settle(asked, self._clock() - began, failure)

        with self._changed:
            if not self._start(Plan("version", targets, hand_over=True, done=done)):
                raise NoSwitch("The model is being loaded already, or only a new process helps.")
            self._switch = self._asked = asked
        log.info("switch_begins", version=version, forced=force)
        return asked

    def wait(self, timeout_seconds: float) -> Switch | None:
        """The last switch, once it has ended or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._switch is None or self._switch.state != "loading", timeout_seconds)
            return self._switch

    def roll_back(self, why: str) -> bool:
        """Begin to put the last good version back; ``False`` if there is none, or a load is under way."""
        version, targets, good = self._releases.serving, self._releases.back(), self._releases.last_good()
        if version is None or good is None or not self._start(Plan("probation", targets)):
            return False
        log.error("version_rolled_back", version=version, to=good, why=why)
        self._probation.end()
        self._releases.taken_back(version, good, why)
        return True

    def installed(self, instance: Instance) -> None:
        """An instance serves; on the model thread."""
        before, releases = self._releases.serving, self._releases
        if releases.installed(instance):
            known = releases.baseline if before is None else None  # this process has seen nothing yet
            releases.measured_by(self._probation.begin(known))
            self.look()  # with model.probation_seconds 0 it is over already
        elif releases.serving != before:
            self._probation.restart()

    def look(self) -> None:
        """At every deep check: a probation that is over has been passed."""
        if self._probation.over:
            self._probation.end()
            self._releases.proved()
            log.info("version_proved", version=self._releases.serving)

    def stopped(self) -> None:
        """The process ends in order."""
        if not self._stopped:
            self._stopped = True
            self._releases.stopped()

    def overview(self) -> Overview:
        """All that is known now. Reads the folder."""
        releases, left = self._releases, self._probation.left_seconds
        trial = None
        if left is not None and (version := releases.trial) is not None:
            trial = Trial(version, left, releases.last_good(), *self._probation.figures())
        return Overview(releases.serving, releases.last_good(), tuple(releases.releases()), trial, self._switch)

    def _settle(self, asked: Switch, seconds: float, failure: LoadFailure | None) -> None:
        if failure is None:
            self._releases.chosen(asked.version)
        with self._changed:
            if self._asked is asked:
                self._switch = replace(
                    asked,
                    state="done" if failure is None else "failed",
                    seconds=seconds,
                    reason=None if failure is None else failure.reason,
                    suggestion=None if failure is None else failure.suggestion,
                    differs=failure.differs if isinstance(failure, Incompatible) else (),
                )
            self._changed.notify_all()
