"""The circuit breaker of one version: requests pass while the model works, and a few at a time while it may not.

A pure state machine: time comes from the clock that it is given, and nothing happens but in its methods.

    closed ──(too many failed)──▶ open ──(the pause is over)──▶ half-open ──(probes passed)──▶ closed
                                   ▲                                │
                                   └───(a probe failed: twice the pause)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

BreakerState = Literal["closed", "half_open", "open"]
#: How an admitted request ended: ``memory`` is an input that did not fit alone, ``void`` says nothing of the model.
Verdict = Literal["ok", "failed", "memory", "void"]

#: The window slides in so many steps.
_STEPS = 10


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and how to come back. Times in seconds; ``failure_share`` is a ratio from 0 to 1."""

    failure_share: float = 0.5
    window_seconds: float = 30.0
    min_requests: int = 20
    #: So many inputs in a row that ran out of memory, with no success between, open it.
    ooms: int = 5
    open_seconds: float = 10.0
    open_max_seconds: float = 300.0
    probes: int = 3


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to ask the model once. ``round`` tells from which stay in a state it is: later ones do not count it."""

    probe: bool
    round: int


class Breaker:
    """Any thread may call. Every permit must be settled once, whatever became of the request."""

    def __init__(self, policy: BreakerPolicy, clock: Callable[[], float]) -> None:
        self._policy = policy
        self._clock = clock
        self._lock = threading.Lock()
        self._state: BreakerState = "closed"
        self._round = 0
        self._steps: deque[list[float]] = deque()  # [began, requests, failures], oldest first
        self._failed_in_row = 0
        self._oom_in_row = 0
        self._pause = policy.open_seconds
        self._probe_at = 0.0
        self._closed_at: float | None = None  # when it last closed again
        self._probing = 0
        self._passed = 0
        self._why = ""
        #: Whether it opened for want of memory rather than for failures.
        self.for_memory = False
        self.openings = 0

    @property
    def state(self) -> BreakerState:
        """The state now; an open one whose pause is over is half-open."""
        with self._lock:
            self._advance()
            return self._state

    @property
    def reason(self) -> str | None:
        """Machine-readable, e.g. ``breaker_open: 62% of 50 requests failed``; ``None`` while closed."""
        with self._lock:
            self._advance()
            if self._state == "closed":
                return None
            if self._state == "open":
                return f"breaker_open: {self._why}"
            return f"breaker_half_open: {self._passed} of {self._policy.probes} probes passed"

    def retry_seconds(self) -> float:
        """How long until a probe may come; 0 while requests pass."""
        with self._lock:
            self._advance()
            if self._state == "open":
                return max(1.0, self._probe_at - self._clock())
            return 1.0 if self._state == "half_open" else 0.0

    @property
    def vacancies(self) -> int:
        """How many more probes would be let through now; 0 unless half-open."""
        with self._lock:
            self._advance()
            return self._policy.probes - self._probing - self._passed if self._state == "half_open" else 0

    def admit(self) -> Permit | None:
        """Leave for one request, or ``None``: then the model must not be asked."""
        with self._lock:
            self._advance()
            if self._state == "closed":
                return Permit(False, self._round)
            if self._state == "half_open" and self._probing + self._passed < self._policy.probes:
                self._probing += 1
                return Permit(True, self._round)
            return None

    def settle(self, permit: Permit, verdict: Verdict) -> BreakerState | None:
        """How an admitted request ended; returns the state that this led to, ``None`` if it changed nothing."""
        with self._lock:
            self._advance()
            if permit.round != self._round:
                return None
            if permit.probe:
                self._probing -= 1
                return self._judge_probe(verdict)
            return self._count(verdict)

    def mend(self) -> bool:
        """Something was done about it: let probes come now; whether that was a change."""
        with self._lock:
            self._advance()
            if self._state != "open":
                return False
            self._enter("half_open")
            return True

    def absolve(self) -> bool:
        """It was not the model's fault: close it; whether that was a change."""
        with self._lock:
            if self._state == "closed":
                return False
            self._enter("closed")
            self._pause = self._policy.open_seconds
            return True

    def prolong(self) -> None:
        """What was done about it failed: begin a pause twice as long."""
        with self._lock:
            if self._state == "closed":
                return
            self._pause = min(2 * self._pause, self._policy.open_max_seconds)
            self._enter("open")

    def _advance(self) -> None:
        if self._state == "open" and self._clock() >= self._probe_at:
            self._enter("half_open")

    def _judge_probe(self, verdict: Verdict) -> BreakerState | None:
        if verdict == "void":
            return None
        if verdict == "ok":
            self._passed += 1
            return self._enter("closed") if self._passed >= self._policy.probes else None
        self._why = "a probe ran out of memory" if verdict == "memory" else "a probe failed"
        self._pause = min(2 * self._pause, self._policy.open_max_seconds)
        return self._enter("open")

    def _count(self, verdict: Verdict) -> BreakerState | None:
        if verdict == "void":
            return None
        if verdict == "memory":  # large inputs among others are no outage; nothing that fits at all is
            self._oom_in_row += 1
            if self._oom_in_row < self._policy.ooms:
                return None
            return self._open(f"{self._oom_in_row} requests in a row ran out of memory", for_memory=True)
        requests, failures = self._slide(verdict)
        if verdict == "ok":  # a success may fill the window; it is a failure that opens the breaker
            self._failed_in_row = self._oom_in_row = 0
            return None
        self._failed_in_row += 1
        policy = self._policy
        if requests >= policy.min_requests and failures >= policy.failure_share * requests:
            return self._open(f"{failures / requests:.0%} of {requests:.0f} requests failed", for_memory=False)
        if self._failed_in_row >= policy.min_requests:  # too slow a trickle to fill a window
            return self._open(f"{self._failed_in_row} requests in a row failed", for_memory=False)
        return None

    def _slide(self, verdict: Verdict) -> tuple[float, float]:
        """Add one to the window; returns its requests and failures."""
        now, width = self._clock(), self._policy.window_seconds / _STEPS
        while self._steps and self._steps[0][0] <= now - self._policy.window_seconds:
            self._steps.popleft()
        if not self._steps or self._steps[-1][0] <= now - width:
            self._steps.append([now, 0.0, 0.0])
        self._steps[-1][1] += 1
        self._steps[-1][2] += verdict == "failed"
        return sum(step[1] for step in self._steps), sum(step[2] for step in self._steps)

    def _open(self, why: str, *, for_memory: bool) -> BreakerState:
        """From closed. One that had closed only a while ago stays open for longer than the last time."""
        policy, closed_at = self._policy, self._closed_at
        relapse = closed_at is not None and self._clock() - closed_at < policy.open_max_seconds
        self._pause = min(2 * self._pause, policy.open_max_seconds) if relapse else policy.open_seconds
        self._why, self.for_memory = why, for_memory
        self.openings += 1
        return self._enter("open")

    def _enter(self, state: BreakerState) -> BreakerState:
        self._state = state
        self._round += 1
        self._probing = self._passed = 0
        if state == "open":
            self._probe_at = self._clock() + self._pause
        elif state == "closed":
            self._steps.clear()
            self._failed_in_row = self._oom_in_row = 0
            self._closed_at = self._clock()
        return state
