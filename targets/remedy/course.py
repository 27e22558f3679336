"""How a target's ladder is climbed: which rung is taken next, whether it helped, when to stop. Pure; no clock, no I/O.

An *episode* lasts from the first failure, or the first raised pattern of the ladder, until nothing is wrong any more.
In an episode each rung is taken at most once; one whose limit is spent may be taken when the hour has moved on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from config_target import Remedy, TargetSettings

HOUR_MS = 3_600_000
#: A pattern stays raised until it has been quiet: this long if nothing else is known, and a little more.
QUIET_MS = 300_000
QUIET_SLACK_MS = 30_000
#: A rung that was refused is asked for again so often.
AGAIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target is. ``failures`` is the longest run of failures that any of its probes has now, ``probe`` is whose.

    ``seen_ms`` is the oldest of its probes' last results: what was done later than that has not been looked at yet.
    None where no probe gives a verdict; ``blind`` if some should.
    """

    failures: int = 0
    probe: str = ""
    down: bool = False
    patterns: frozenset[str] = frozenset()
    seen_ms: int | None = None
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """Take this rung now; ``why`` in words for people."""

    rung: int
    why: str


@dataclass(frozen=True, slots=True)
class Skip:
    """This rung's turn has come, but it may not be taken now; told once in an episode."""

    rung: int
    why: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Judge:
    """It is known whether an action helped."""

    id: int
    rung: int
    helped: bool


Move = Take | Skip | Judge


@dataclass(slots=True)
class _Done:
    """An action that has ended and is to be judged."""

    id: int
    rung: int
    ended_ms: int


@dataclass(slots=True)
class Course:
    """Where one target's ladder stands. ``quiet_ms`` says of a pattern how long it stays raised after its last line."""

    rungs: Sequence[Remedy]
    quiet_ms: Mapping[str, int] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)  # rung → when it was asked for last
    running: int | None = None
    rest_from_ms: int = 0
    rest_until_ms: int = 0
    exhausted: bool = False
    judging: _Done | None = None

    # --- what comes next ------------------------------------------------------------------------------------------

    def next(self, standing: Standing, now_ms: int, may: Callable[[int], str | None]) -> Move | None:
        """The next move, to be carried out and noted before this is asked again; None to wait.

        ``may(rung)`` says why a rung may not be taken at all right now, as its limit is spent; None if it may.
        """
        if self.running is not None:
            return None
        if self.judging is not None:
            return self._judge(self.judging, standing, now_ms)
        if not self.in_trouble(standing):
            if not standing.blind:
                self.restart()
            return None
        if now_ms < self.rest_from_ms:  # the clock was set back
            self.rest_until_ms = 0
        return self._climb(standing, now_ms, may)

    def in_trouble(self, standing: Standing) -> bool:
        """Whether there is anything that the ladder is for."""
        return standing.down or standing.failures > 0 or bool(standing.patterns & self.patterns)

    @property
    def patterns(self) -> frozenset[str]:
        """The patterns that rungs wait for."""
        return frozenset(rung.pattern for rung in self.rungs if rung.pattern is not None)

    def _climb(self, standing: Standing, now_ms: int, may: Callable[[int], str | None]) -> Move | None:
        if now_ms < self.rest_until_ms:
            return None
        for index, rung in enumerate(self.rungs):
            if index in self.tried or not _applies(rung, standing) or self._was_refused(index, now_ms):
                continue
            why = _cause(rung, standing)
            if why is None:
                self.exhausted = False
                return None  # its turn, but the target has not failed often enough
            refusal = may(index)
            if refusal is None:
                return Take(index, why)
            if index not in self.refused:
                return Skip(index, why, refusal)
            self.refused[index] = now_ms
        self.exhausted = any(
            not rung.dry_run and rung.limit_per_hour > 0 and (index in self.tried or index in self.refused)
            for index, rung in enumerate(self.rungs)
        )
        return None

    def _was_refused(self, index: int, now_ms: int) -> bool:
        """Whether it is too early to ask again."""
        return index in self.refused and 0 <= now_ms - self.refused[index] < AGAIN_MS

    def _judge(self, done: _Done, standing: Standing, now_ms: int) -> Judge | None:
        rung = self.rungs[done.rung]
        looked = rung.after_fails is None if standing.seen_ms is None else standing.seen_ms > done.ended_ms
        if looked and not standing.down and standing.failures == 0 and rung.pattern not in standing.patterns:
            return Judge(done.id, done.rung, True)
        late = not done.ended_ms - HOUR_MS <= now_ms < done.ended_ms + self.help_ms(done.rung)
        return Judge(done.id, done.rung, False) if late else None

    def help_ms(self, index: int) -> int:
        """How long a rung is given to help: no less than its pattern needs to be over."""
        rung = self.rungs[index]
        least = round(rung.help_within * 1000)
        if rung.pattern is None:
            return least
        return max(least, self.quiet_ms.get(rung.pattern, QUIET_MS) + QUIET_SLACK_MS)

    # --- what has happened ----------------------------------------------------------------------------------------

    def began(self, index: int, id: int) -> None:
        """An action is under way."""
        self.tried.add(index)
        self.running = id
        self.exhausted = False

    def ended(self, index: int, id: int, state: Literal["done", "failed"], now_ms: int) -> None:
        """It is over: one that was done is given time to help, one that failed is not."""
        if self.running == id:
            self.running = None
        self.rest(index, now_ms)
        if state == "done":
            self.judging = _Done(id, index, now_ms)

    def noted(self, index: int, now_ms: int) -> None:
        """It was only noted, or is a state that lasts: the next rung has its turn after the usual time."""
        self.tried.add(index)
        self.exhausted = False
        self.rest(index, now_ms)
        if self.rungs[index].dry_run:  # told in the rhythm in which it would have been done
            self.rest_until_ms += self.help_ms(index)

    def skipped(self, index: int, now_ms: int) -> None:
        """It was told that it may not be taken."""
        self.refused[index] = now_ms

    def judged(self) -> None:
        """What :class:`Judge` says has been written."""
        self.judging = None

    def rest(self, index: int, now_ms: int) -> None:
        """Do nothing for a rung's ``cool_down``."""
        self.rest_from_ms = now_ms
        self.rest_until_ms = now_ms + round(self.rungs[index].cool_down * 1000)

    def restart(self) -> None:
        """Nothing was tried: the target has recovered, or a person wants it tried again."""
        self.tried.clear()
        self.refused.clear()
        self.exhausted = False


def _applies(rung: Remedy, standing: Standing) -> bool:
    """Whether a rung is for this sort of trouble: one for a pattern that is not raised is passed over."""
    failing = standing.down or standing.failures > 0
    return (rung.after_fails is not None and failing) or rung.pattern in standing.patterns


def _cause(rung: Remedy, standing: Standing) -> str | None:
    """Why a rung is to be taken; None if its condition does not hold."""
    if rung.pattern is not None and rung.pattern in standing.patterns:
        return f"its log has raised {rung.pattern}"
    if rung.after_fails is not None and standing.failures >= rung.after_fails:
        if standing.failures == 1:
            return f"{standing.probe} has failed once"
        return f"{standing.probe} has failed {standing.failures} times in a row"
    return None


def quiet_ms(settings: TargetSettings) -> dict[str, int]:
    """How long each pattern of its own stays raised after its last line; the longest of those of one name."""
    found: dict[str, int] = {}
    for source in settings.log:
        for pattern in source.patterns:
            found[pattern.title] = max(found.get(pattern.title, 0), round(pattern.quiet * 1000))
    return found
