"""One probe that is watched: where it stands, what of it is still to be written, its series. Not safe for threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from collectors.sample import Sample, Tick
from config_target import PushTarget
from targets.probe import series
from targets.probe.flip import Standing, step
from targets.probe.outcome import Outcome
from targets.probe.push import Deadline
from targets.probe.record import Key, Record, Stretch
from targets.probe.state import ProbeState

#: A series of which nothing new is known is written again after so long: queries look back for five minutes.
REPEAT_MS = 60_000


class Watched:
    """Begins as a record says that it stood, or with nothing known."""

    def __init__(self, key: Key, settings: Any, now_ms: int, record: Record | None, stretch: Stretch | None) -> None:
        self.key = key
        self.settings = settings
        self.standing = record.standing if record else Standing("unknown", now_ms)
        self.first_ms = record.first_ms if record else now_ms
        self.seen_ms = record.seen_ms if record else 0
        self.alive_ms = record.alive_ms if record else now_ms
        self.reason = record.reason if record else ""  # why it is down: that of the moment when it went down
        self.detail: dict[str, Any] = record.detail if record else {}
        self.outcome: Outcome | None = None
        #: When the certificate expires: of the last look that saw one, since it expires while the target is down, too.
        self.certificate_ends_ms = record.certificate_ends_ms if record else None
        self.deadline: Deadline | None = None
        self.missed = False
        self.dirty = record is None
        self.unwritten: list[Stretch] = []
        self._open = stretch
        self._fresh = self._still_holds()
        self._told_ms: int | None = None
        if self.standing.state == "down" and stretch is None:
            self._begin(now_ms)
        elif self.standing.state != "down":
            self._end(now_ms)

    @property
    def source(self) -> str:
        """Under which its series are kept."""
        return f"probe:{self.key[0]}:{self.key[1]}"

    # --- results --------------------------------------------------------------------------------------------------

    def note(self, outcome: Outcome, now_ms: int, *, seen: bool = True) -> bool:
        """Take in a result; True if it has flipped. Without ``seen`` nothing was seen: a sign of life is missing."""
        before = self.standing
        after = step(before, outcome.success, outcome.reason, now_ms, fails=self._fails, successes=self._successes)
        self.standing, self.outcome, self._fresh = after, outcome, True
        if seen:
            self.seen_ms = self.alive_ms = now_ms
            self.detail = dict(outcome.detail)
        flipped = after.state != before.state
        if flipped and before.state == "unknown" and before.since_ms <= self.first_ms:
            self.first_ms = after.since_ms  # until now it had no verdict: that time is not one in which it was up
        if flipped and before.state == "down":
            self._end(after.since_ms if after.state == "up" else now_ms)
        if after.state == "down":
            if flipped:
                self.reason = after.reason
                self._begin(now_ms)
        else:
            self.reason = after.reason
        self.dirty |= flipped or (after.streak, after.reason) != (before.streak, before.reason)
        self.dirty |= after.blind != before.blind and after.state != "unknown"  # few enough: it is unknown soon
        if outcome.certificate_ends_ms not in (None, self.certificate_ends_ms):
            self.certificate_ends_ms, self.dirty = outcome.certificate_ends_ms, True
        return flipped

    def retire(self, now_ms: int) -> None:
        """Nobody watches it any more: whether it is down is not known from now on."""
        self._end(now_ms)
        since_ms = self.standing.since_ms if self.standing.state == "unknown" else now_ms
        self.standing, self.reason = Standing("unknown", since_ms), ""
        self.dirty = True

    def _still_holds(self) -> bool:
        """Whether what an earlier process knew may be told before the next look: nothing says that it is well again.

        Of signs of life the last one holds until the next is due.
        """
        state, is_push = self.standing.state, isinstance(self.settings, PushTarget)
        return state == "down" or (state == "up" and is_push) or self.certificate_ends_ms is not None

    @property
    def _fails(self) -> int:
        return 1 if isinstance(self.settings, PushTarget) else int(self.settings.fails)

    @property
    def _successes(self) -> int:
        return 1 if isinstance(self.settings, PushTarget) else int(self.settings.successes)

    def _begin(self, now_ms: int) -> None:
        target, probe = self.key
        self._open = Stretch(target, probe, self.reason, self.standing.since_ms, now_ms)
        self.unwritten.append(self._open)

    def _end(self, ended_ms: int) -> None:
        if self._open is None:
            return
        self._open.ended_ms = max(self._open.started_ms, ended_ms)  # the clock may have been set back
        if self._open not in self.unwritten:
            self.unwritten.append(self._open)
        self._open = None

    # --- what others see ------------------------------------------------------------------------------------------

    def state(self) -> ProbeState:
        """How it stands."""
        standing, outcome = self.standing, self.outcome
        return ProbeState(
            self.key[0],
            self.key[1],
            standing.state,
            standing.since_ms,
            self.seen_ms,
            standing.streak,
            self.reason,
            None if outcome is None or outcome.success is None else outcome.duration_seconds,
            self.detail,
            standing.failures,
        )

    def record(self) -> Record:
        """What is to be kept of it."""
        standing = replace(self.standing)
        target, probe = self.key
        return Record(
            target,
            probe,
            standing,
            self.first_ms,
            self.seen_ms,
            self.alive_ms,
            self.reason,
            self.detail,
            self.certificate_ends_ms,
        )

    def tick(self, now_ms: int) -> Tick | None:
        """Its series, if there is anything new, or if they would be forgotten otherwise."""
        told_ms = self._told_ms
        if not self._fresh and (told_ms is None or abs(now_ms - told_ms) < REPEAT_MS):
            return None
        self._fresh, self._told_ms = False, now_ms
        return Tick(self.source, now_ms, tuple(self._samples()))

    def _samples(self) -> list[Sample]:
        target, probe = self.key
        state, outcome = self.standing.state, self.outcome
        blind = outcome is not None and outcome.success is None
        is_push = isinstance(self.settings, PushTarget)
        samples: list[Sample] = []
        if outcome is not None or state == "down" or is_push:  # that it is up is told by a look
            samples += series.verdict(target, probe, state, self.reason if state == "down" or blind else "")
        if self.certificate_ends_ms is not None:
            samples += series.certified(target, probe, self.certificate_ends_ms, getattr(self.settings, "expiry", None))
        if is_push:
            samples += series.signed(target, self.seen_ms)
            if state != "unknown":
                samples += series.succeeded(target, probe, self.standing.failures == 0)
        elif outcome is not None:
            samples += series.looked(target, probe, outcome)
        return samples
