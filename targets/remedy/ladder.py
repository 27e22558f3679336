"""The ladders of all targets: what is done while one is down, each deed written before it is done, and looked at after.

A process that dies leaves open rows. The next one finds them, says that they were cut short, and does not do again what
may have been done: a rung of the trouble that goes on counts as tried.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import structlog
from sqlalchemy import Engine

from collectors.sample import Sample, make_labels
from config_target import Remedy, TargetSettings
from mask import mask as mask_all
from storage.record import AuditLog
from targets.probe.state import ProbeState
from targets.remedy.aftermath import Aftermath
from targets.remedy.command import run as run_command
from targets.remedy.course import HOUR_MS, Course, Judge, Skip, Standing, Take, quiet_ms
from targets.remedy.deed import Fetch, RemedyFailed, Result, Run, carry_out, fetch_lazily, told
from targets.remedy.log import STANDBY, RemedyEntry, RemedyLog
from targets.remedy.route import primary_url, standby_url
from targets.remedy.standby import LadderError, Switches
from targets.remedy.standing import standings
from targets.target import Target

__all__ = ["Ladder", "LadderError"]

log = structlog.get_logger(__name__)

#: Who the audit names for what nobody did by hand.
ACTOR = "wakeless"
#: The alert whose silences and maintenance keep a ladder still as well.
ALERT = "TargetDown"
#: Results that are counted from 0 on, so that a rate sees the first.
_RESULTS = ("done", "failed")
#: The tick waits no longer for a person's switch, which may wait for the database.
PATIENCE_SECONDS = 0.1


def start_thread(work: Callable[[], None]) -> None:
    """Run ``work`` on a thread of its own."""
    threading.Thread(target=work, name="remedy", daemon=True).start()


class Ladder:
    """Climbs every target's ladder. :meth:`follow` is for the thread of the tick; the others may be called by any.

    ``muted(labels, now_ms)`` names the silences and windows that cover a target; ``forbidden`` says why nothing may be
    done at all, as in safe mode; ``mask`` takes secrets out of outcomes.
    """

    def __init__(
        self,
        database: Engine,
        clock_ms: Callable[[], int],
        *,
        audit: AuditLog,
        fetch: Fetch = fetch_lazily,
        run: Run = run_command,
        muted: Callable[[Mapping[str, str], int], Sequence[str]] = lambda labels, now_ms: (),
        forbidden: str | None = None,
        mask: Callable[[str], str] = mask_all,
        spawn: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self._log = RemedyLog(database)
        self._clock_ms = clock_ms
        self._audit = audit
        self._fetch = fetch
        self._run = run
        self._muted = muted
        self._forbidden = forbidden
        self._mask = mask
        self._spawn = spawn
        self._lock = threading.RLock()
        self._aftermath = Aftermath(self._log)
        self._switches = Switches(self._log)
        self._targets: dict[str, TargetSettings] = {}
        self._courses: dict[str, Course] = {}
        self._present: set[str] = set()
        self._results: deque[Result] = deque()
        self._runs: dict[tuple[str, int, str, str], int] = {}
        self._told: list[Sample] = []
        self._stopped = False

    # --- whom it is for -------------------------------------------------------------------------------------------

    def replace(self, targets: Sequence[Target]) -> None:
        """Have the ladders of these from now on. A ladder that stays the same goes on where it stands."""
        with self._lock:
            self._present = {target.name for target in targets}
            for target in targets:
                settings = self._targets[target.name] = target.settings
                course = self._courses.get(target.name)
                if settings.remedies and (course is None or list(course.rungs) != settings.remedies):
                    self._courses[target.name] = Course(settings.remedies, quiet_ms(settings))
                    for index, rung in enumerate(settings.remedies):
                        self._runs |= {(target.name, index, rung.kind, result): 0 for result in _RESULTS}

    def stop(self) -> None:
        """Begin nothing any more. What is under way is not waited for."""
        self._stopped = True

    # --- the tick -------------------------------------------------------------------------------------------------

    def follow(self, states: Sequence[ProbeState], active_patterns: Collection[tuple[str, str]], now_ms: int) -> None:
        """Look at how things stand: write what came of deeds, judge them, begin what is due.

        Raises :class:`storage.error.StorageError` while the database takes nothing; nothing is begun then.
        """
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            return  # the next tick looks again
        try:
            self._aftermath.take_up(self._switches, now_ms)
            self._collect()
            targets = {name: self._targets[name] for name in self._courses if name in self._present}
            for name, standing in standings(targets, states, active_patterns).items():
                course = self._courses[name]
                self._aftermath.restore(targets[name], course, standing, now_ms)
                self._come_back(name, course, standing, now_ms)
                for _ in range(2 * len(course.rungs) + 2):
                    if not self._advance(name, course, standing, now_ms):
                        break
        finally:
            self._lock.release()

    def samples(self, now_ms: int) -> list[Sample]:
        """What the ladders have done, and which stand at their end."""
        if self._lock.acquire(timeout=PATIENCE_SECONDS):
            try:
                self._told = self._samples()
            finally:
                self._lock.release()
        return self._told

    # --- for people -----------------------------------------------------------------------------------------------

    def of(self, target: str, since_ms: int = 0) -> tuple[RemedyEntry, ...]:
        """What was done about a target since then, oldest first."""
        return tuple(self._log.of(target, since_ms))

    def is_exhausted(self, target: str) -> bool:
        """Whether everything was tried, and it is still down."""
        with self._lock:
            return self._forbidden is None and target in self._courses and self._courses[target].exhausted

    def is_switched(self, target: str) -> bool:
        """Whether a target's callers go to its standby."""
        if not self._aftermath.is_taken_up:
            with self._lock:
                self._aftermath.take_up(self._switches, self._clock_ms())
        return target in self._switches

    def route(self, target: str) -> str | None:
        """Where a target's callers go now; None if it has no URL."""
        settings = self._targets.get(target)
        if settings is None:
            return None
        return standby_url(settings) if self.is_switched(target) else primary_url(settings)

    def switch(self, settings: TargetSettings, active: bool, actor: str, now_ms: int) -> None:
        """Have a person send callers to the standby, or back. What a person has switched stays until one switches back.

        Raises :class:`LadderError`.
        """
        with self._lock:
            self._aftermath.take_up(self._switches, now_ms)
            self._switches.by_hand(settings, active, actor, now_ms)

    def try_again(self, target: str) -> None:
        """Begin anew with the first rung. Raises :class:`LadderError`."""
        with self._lock:
            course = self._courses.get(target)
            if course is None or target not in self._present:
                raise LadderError("conflict", f"{target} has no remedies, or is paused")
            if course.running is not None:
                raise LadderError("conflict", f"a remedy for {target} is under way")
            course.restart()
            course.rest_until_ms = 0
            self._aftermath.forget(target)

    # --- moves ----------------------------------------------------------------------------------------------------

    def _advance(self, name: str, course: Course, standing: Standing, now_ms: int) -> bool:
        """Make the next move; whether there was one."""
        move = course.next(standing, now_ms, lambda rung: self._refusal(name, course, rung, now_ms))
        if isinstance(move, Judge):
            self._log.judge(move.id, move.helped)
            course.judged()
            log.info("remedy_judged", target=name, rung=move.rung, helped=move.helped)
            return True
        if move is None or self._stopped or self._is_muted(name, standing, now_ms):
            return False
        if isinstance(move, Skip):
            kind = course.rungs[move.rung].kind
            self._log.begin(name, move.rung, kind, move.why, now_ms, state="skipped", outcome=move.outcome)
            course.skipped(move.rung, now_ms)
            self._count(name, move.rung, kind, "skipped")
            log.warning("remedy_skipped", target=name, rung=move.rung, why=move.outcome)
        else:
            self._take(name, course, move, now_ms)
        return True

    def _is_muted(self, name: str, standing: Standing, now_ms: int) -> bool:
        labels = {"alertname": ALERT, "target": name} | ({"probe": standing.probe} if standing.probe else {})
        return bool(self._muted(labels, now_ms))

    def _refusal(self, name: str, course: Course, index: int, now_ms: int) -> str | None:
        """Why a rung may not be taken now, in a sentence; None if it may."""
        if self._forbidden is not None:
            return self._forbidden
        rung = course.rungs[index]
        if rung.limit_per_hour == 0:
            return "switched off by limit_per_hour"
        if self._log.count_since(name, index, rung.kind, now_ms - HOUR_MS) >= rung.limit_per_hour:
            return f"no more than {rung.limit_per_hour} in an hour"
        return None

    def _take(self, name: str, course: Course, move: Take, now_ms: int) -> None:
        rung = course.rungs[move.rung]
        if rung.kind == STANDBY and name in self._switches:
            course.noted(move.rung, now_ms)  # a person was quicker
            return
        what = told(rung)
        if rung.dry_run:
            outcome = f"would have: {what}"
            self._log.begin(name, move.rung, rung.kind, move.why, now_ms, state="dry_run", outcome=outcome)
            course.noted(move.rung, now_ms)
            self._count(name, move.rung, rung.kind, "dry_run")
            log.warning("remedy_noted", target=name, rung=move.rung, what=what, why=move.why)
            return
        if rung.kind == STANDBY:
            self._switches.begin(name, move.rung, move.why, now_ms)
            course.noted(move.rung, now_ms)
            self._count(name, move.rung, rung.kind, "done")
        else:
            id = self._log.begin(name, move.rung, rung.kind, move.why, now_ms, state="started")
            course.began(move.rung, id)
        log.warning("remedy_begins", target=name, rung=move.rung, what=what, why=move.why)
        detail = {"rung": move.rung, "kind": rung.kind, "what": what, "why": move.why}
        self._audit.note(now_ms, ACTOR, "target.remedy", f"target:{name}", detail)
        if rung.kind == STANDBY:
            return
        try:
            self._spawn(lambda: self._carry_out(name, move.rung, id, rung))
        except RuntimeError as error:  # there is no thread to be had
            self._results.append(Result(name, move.rung, id, rung.kind, "failed", str(error), now_ms))

    def _carry_out(self, name: str, index: int, id: int, rung: Remedy) -> None:
        """On a thread of its own: do it, and leave the result for the next tick."""
        state: Literal["done", "failed"] = "done"
        try:
            outcome = carry_out(rung, self._fetch, self._run)
        except RemedyFailed as error:
            state, outcome = "failed", str(error)
        except Exception as error:  # the edge of a thread: what a deed raises must not be lost with it
            log.error("remedy_broke", target=name, rung=index, exc_info=error)
            state, outcome = "failed", f"{type(error).__name__}: {error}"
        self._results.append(Result(name, index, id, rung.kind, state, self._mask(outcome), self._clock_ms()))

    def _collect(self) -> None:
        """Write what the deeds' threads have brought back."""
        while self._results:
            result = self._results[0]
            self._log.end(result.id, result.state, result.outcome, result.ended_ms)
            self._results.popleft()
            course = self._courses.get(result.target)
            if course is not None and course.running == result.id:
                course.ended(result.rung, result.id, result.state, result.ended_ms)
            self._count(result.target, result.rung, result.kind, result.state)
            log.info("remedy_over", target=result.target, rung=result.rung, state=result.state, outcome=result.outcome)

    def _come_back(self, name: str, course: Course, standing: Standing, now_ms: int) -> None:
        """Send callers back to a target that is up again, where no person has switched."""
        if standing.blind or course.in_trouble(standing) or not self._switches.may_end(name, standing.seen_ms):
            return
        self._switches.end(name, "back to it: it is up again", now_ms)
        self._audit.note(now_ms, ACTOR, "target.standby", f"target:{name}", {"active": False})

    def _samples(self) -> list[Sample]:
        found = [
            Sample("remedy_runs_total", make_labels(target=name, rung=rung, kind=kind, result=result), float(count))
            for (name, rung, kind, result), count in self._runs.items()
            if name in self._present
        ]
        for name in sorted(self._present & self._courses.keys()):
            labels = make_labels(target=name)
            found.append(Sample("remedy_exhausted", labels, float(self.is_exhausted(name))))
            if standby_url(self._targets[name]) is not None:
                found.append(Sample("target_standby_active", labels, float(name in self._switches)))
        return found

    def _count(self, name: str, rung: int, kind: str, result: str) -> None:
        key = name, rung, kind, result
        self._runs[key] = self._runs.get(key, 0) + 1
