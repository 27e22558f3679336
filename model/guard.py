"""Stands before the model: one circuit breaker for each version, through which every request has to go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from config import ModelSettings
from model.breaker import Breaker, BreakerPolicy, BreakerState, Permit, Verdict
from model.errors import BreakerOpen, DecodeFailed, Refusal
from model.loader import Instance

log = structlog.get_logger(__name__)

#: Breakers that are kept; those of versions that were served longest ago go.
_KEPT = 8

#: What an outcome says of the model; others (the queue's, the deadline's, the caller's) say nothing.
_VERDICTS: Mapping[str, Verdict] = {"ok": "ok", "error": "failed", "oom": "memory"}

#: The model was asked for something, and this came of it.
Witness = Callable[[Instance, Verdict], None]
#: A breaker has entered a state: what to do about it is another's business.
Listener = Callable[[Breaker, BreakerState], None]


class Guard:
    """Admits requests and notes how they end. ``listener`` hears of every change, from any thread.

    So does ``witness`` of how every single one ended.
    """

    def __init__(
        self, settings: ModelSettings, clock: Callable[[], float], listener: Listener, witness: Witness
    ) -> None:
        self._enabled = settings.breaker_requests > 0
        self._policy = BreakerPolicy(
            failure_share=settings.breaker_failure_share,
            window_seconds=settings.breaker_seconds,
            min_requests=settings.breaker_requests,
            ooms=settings.breaker_ooms,
            open_seconds=settings.breaker_open_seconds,
            open_max_seconds=max(settings.breaker_open_seconds, settings.breaker_open_max_seconds),
            probes=settings.breaker_probes,
        )
        self._clock = clock
        self._listener = listener
        self._witness = witness
        self._lock = threading.Lock()
        self._breakers: dict[tuple[str, str], Breaker] = {}

    def breaker(self, instance: Instance) -> Breaker:
        """The breaker of an instance's version."""
        key = (instance.name, instance.version)
        with self._lock:
            found = self._breakers.pop(key, None) or Breaker(self._policy, self._clock)
            self._breakers[key] = found  # at the end: the one that was asked for last
            if len(self._breakers) > _KEPT:
                del self._breakers[next(iter(self._breakers))]
            return found

    def begin(self, instance: Instance) -> Callable[[str], None]:
        """Before the model is asked; what comes back is to be called once, with the request's outcome.

        Raises :class:`BreakerOpen` instead of letting it be asked in vain.
        """
        if not self._enabled:
            return lambda outcome: self._witness(instance, _VERDICTS.get(outcome, "void"))
        breaker = self.breaker(instance)
        permit = breaker.admit()
        if permit is None:
            raise _refusal(breaker)

        def end(outcome: str) -> None:
            verdict = _VERDICTS.get(outcome, "void")
            self._witness(instance, verdict)
            self._settle(breaker, permit, verdict)

        return end

    @contextmanager
    def attempt(self, instance: Instance) -> Iterator[None]:
        """Around everything that asks the model. Raises :class:`BreakerOpen`."""
        end, outcome = self.begin(instance), "void"
        try:
            yield
            outcome = "ok"
        except DecodeFailed:  # whoever sends garbage must not be able to shut out the others
            raise
        except Refusal as refusal:
            outcome = refusal.outcome
            raise
        finally:
            end(outcome)

    def probe(self, instance: Instance, *, passed: bool) -> None:
        """A golden input was just run: that is as good a probe as a request, where no request comes."""
        breaker = self.breaker(instance)
        if breaker.state == "half_open" and (permit := breaker.admit()) is not None:
            self._settle(breaker, permit, "ok" if passed else "failed")

    def mend(self, instance: Instance) -> None:
        """The version has been loaded anew: let it prove itself at once."""
        breaker = self.breaker(instance)
        if breaker.mend():
            self._tell(breaker, "half_open")

    def absolve(self, breaker: Breaker) -> None:
        """It was the inputs' fault: close the breaker."""
        if breaker.absolve():
            self._tell(breaker, "closed")

    def _settle(self, breaker: Breaker, permit: Permit, verdict: Verdict) -> None:
        entered = breaker.settle(permit, verdict)
        if entered is not None:
            self._tell(breaker, entered)

    def _tell(self, breaker: Breaker, entered: BreakerState) -> None:
        log.warning("breaker_changed", state=entered, reason=breaker.reason)
        self._listener(breaker, entered)


def _refusal(breaker: Breaker) -> BreakerOpen:
    return BreakerOpen(
        "The model fails too often; it is given a rest.",
        reason=breaker.reason,
        retry_after_seconds=max(1.0, breaker.retry_seconds()),
        suggestion="Come back after Retry-After; the model is asked again a little at a time.",
    )
