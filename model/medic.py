"""Watches the model for what no single request shows, and has it treated: leaks, drift, wrong golden answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import psutil

from config import ModelSettings
from model.breaker import Breaker, BreakerState, Verdict
from model.canary import Canary
from model.drift import LatencyDrift
from model.examiner import Examination
from model.guard import Guard
from model.leak import Leak, LeakDetector
from model.loader import Instance
from model.probation import Probation
from model.remedy import Cause, Healer

#: So many deep checks in a row must have found the golden input failing, and as many the model slow.
GOLDEN_CHECKS = 2
DRIFT_CHECKS = 3


class Ward(Protocol):
    """What the medic may look at: the host, as far as it concerns it."""

    @property
    def instance(self) -> Instance | None:
        """What serves now."""
        ...

    @property
    def examination(self) -> Examination | None:
        """What the last deep check found."""
        ...

    def examine(self) -> None:
        """Have a deep check with a golden input made soon; returns at once."""
        ...


class Medic:
    """Hears of breakers and reloads, and looks for itself at every deep check."""

    def __init__(
        self,
        settings: ModelSettings,
        ward: Ward,
        healer: Healer,
        clock: Callable[[], float],
        memory: Callable[[], int],
        probation: Probation | None = None,
        canary: Canary | None = None,
    ) -> None:
        self._settings = settings
        self._ward = ward
        self._healer = healer
        self._clock = clock
        self._memory = memory
        self._probation = probation or Probation(0.0, 0.0, clock)
        self._canary = canary
        self.guard = Guard(settings, clock, self._breaker_changed, self._witness)
        self.drift = LatencyDrift()
        self._leaks = LeakDetector(settings.leak_bytes)
        self._leak: Leak | None = None
        self._batches = 0
        self._golden_failures = 0
        self._slow_checks = 0
        self._seen: Examination | None = None
        self._suspect: Breaker | None = None  # opened for want of memory; a golden input will tell whose fault it is
        self._version: tuple[str, str] | None = None

    # --- what it hears -------------------------------------------------------------------------------------------

    def batch_done(self, instance: Instance | None, size: int, seconds: float) -> None:
        """A batch of ``instance`` succeeded; on the model thread."""
        self._batches += 1
        if self._canary is not None and instance is not None:
            self._canary.batch(instance, size, seconds)
            if instance is self._canary.instance:  # its pace says nothing of the one that serves
                return
        self.drift.observe(size, seconds)
        self._probation.batch(size, seconds)

    def installed(self, instance: Instance) -> None:
        """A new instance serves; on the model thread."""
        version = (instance.name, instance.version)
        self.drift.restart(keep_best=version == self._version)
        self._version = version
        self._leaks.restart()
        self._golden_failures = self._slow_checks = 0
        self.guard.mend(instance)

    def neighbour(self) -> None:
        """Another instance has come to the device, or gone: what memory grew or shrank by is no leak."""
        self._leaks.restart()

    def reloaded(self, reason: str, failure: str | None) -> None:
        """A reload ended, well (``None``) or not."""
        instance = self._ward.instance
        if failure is not None and reason == "breaker_open" and instance is not None:
            self.guard.breaker(instance).prolong()
        self._healer.reloaded(reason, failure)

    def _witness(self, instance: Instance, verdict: Verdict) -> None:
        """A request ended; of one that an earlier version still answers nothing is to be learned."""
        if self._canary is not None:
            self._canary.witness(instance, verdict)
        if verdict not in ("ok", "failed") or instance is not self._ward.instance:
            return
        self._probation.request(failed=verdict == "failed")
        if verdict == "failed":
            self._look_at_probation()

    def _treat(self, cause: Cause, why: str) -> bool:
        """A version on probation is not given a second chance: it goes."""
        return self._healer.roll_back(why) if self._probation.running else self._healer.treat(cause, why)

    def _breaker_changed(self, breaker: Breaker, state: BreakerState) -> None:
        instance = self._ward.instance
        if instance is not None and breaker is not self.guard.breaker(instance):  # one that serves beside it, or did
            if self._canary is not None:
                self._canary.breaker_changed(breaker, state)
            return
        if state == "closed":
            self._suspect = None
            self._healer.conclude("breaker_open", helped=True, outcome="the breaker closed")
        elif state == "open":
            for cause in ("breaker_open", "probation"):
                self._healer.conclude(cause, helped=False, outcome=breaker.reason or "the breaker opened again")
            if breaker.for_memory and instance is not None and instance.golden:
                self._seen = self._ward.examination  # what was found before says nothing of what is so now
                self._suspect = breaker
                self._ward.examine()
            else:
                self._treat("breaker_open", breaker.reason or "breaker_open")

    # --- what it sees --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """At every deep check, on the scheduler's thread. Costs microseconds."""
        instance = self._ward.instance
        if instance is None:
            return
        self._look_at_golden(instance)
        self._look_at_memory()
        self._look_at_latency()
        self._look_at_probation()
        self._look_at_rollback(instance)
        self._healer.look()

    def _look_at_golden(self, instance: Instance) -> None:
        found = self._ward.examination
        if found is None or found is self._seen:
            return
        self._seen = found
        failed = not found.model_ok and (found.reason or "").startswith("golden_failed")
        if instance.golden and found.golden and (found.model_ok or failed):
            if found is self._ward.examination:  # else a new instance has come meanwhile, which this says nothing of
                self.guard.probe(instance, passed=found.model_ok)
            self._arbitrate(fits=found.model_ok)  # last: the reload that it may begin ends on another thread
        self._golden_failures = self._golden_failures + 1 if failed else 0
        if failed:
            self._healer.conclude("golden_failed", helped=False, outcome=found.reason or "golden_failed")
            if self._golden_failures >= GOLDEN_CHECKS:
                self._treat("golden_failed", found.reason or "golden_failed")
        else:
            self._healer.conclude("golden_failed", helped=True, outcome="the golden inputs hold again")

    def _look_at_probation(self) -> None:
        if self._probation.running and (why := self._probation.verdict()) is not None:
            self._healer.roll_back(why)

    def _look_at_rollback(self, instance: Instance) -> None:
        """The version that was put back has had some time: does it do better?"""
        found = self._ward.examination
        well = self.guard.breaker(instance).state == "closed" and (found is None or found.model_ok)
        words = f"version {instance.version} serves"
        self._healer.conclude(
            "probation", helped=well, outcome=words if well else f"{words}, and does not do well either"
        )

    def _arbitrate(self, *, fits: bool) -> None:
        """Requests ran out of memory one after the other: either they are too large, or nothing fits any more."""
        breaker, self._suspect = self._suspect, None
        if breaker is None:
            return
        if fits:
            self.guard.absolve(breaker)
        else:
            self._treat("breaker_open", breaker.reason or "breaker_open")

    def _look_at_memory(self) -> None:
        if not self._settings.leak_bytes:
            return
        memory = self._memory()
        leak = self._leaks.observe(self._clock(), memory, self._batches)
        if self._leak is not None and self._leaks.low is not None:
            freed = self._leak.level - self._leaks.low
            words = f"{max(0, freed) / 1e6:.0f} of {self._leak.bytes / 1e6:.0f} MB came back"
            if self._healer.conclude("leak", helped=2 * freed >= self._leak.bytes, outcome=words):
                self._leak = None
        if leak is not None:
            why = f"leak: {leak.bytes / 1e6:.0f} MB more after {leak.batches} batches in {leak.seconds / 60:.0f} min"
            if self._treat("leak", why):
                self._leak = leak

    def _look_at_latency(self) -> None:
        limit, ratio = self._settings.drift_reload_ratio, self.drift.ratio()
        if not limit or ratio is None:
            return
        slow = ratio >= limit
        self._slow_checks = self._slow_checks + 1 if slow else 0
        words = f"batches take {ratio:.1f} times as long as at best"
        self._healer.conclude("drift", helped=not slow, outcome=words)
        if self._slow_checks >= DRIFT_CHECKS:
            self._treat("drift", f"drift: {words}")


def resident_bytes() -> int:
    """What this process holds in the machine's memory."""
    return int(psutil.Process().memory_info().rss)
