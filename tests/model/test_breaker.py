"""The breaker opens for what is the model's fault, comes back by itself, and never for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.breaker import Breaker, BreakerPolicy, Permit, Verdict
from tests.model.conftest import Clock

POLICY = BreakerPolicy(
    failure_share=0.5, window_seconds=30, min_requests=20, ooms=5, open_seconds=10, open_max_seconds=300, probes=3
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(POLICY, clock)


def ask(breaker: Breaker, *verdicts: Verdict, times: int = 1) -> int:
    """Ask one after the other; returns how many were let through."""
    admitted = 0
    for verdict in verdicts * times:
        permit = breaker.admit()
        if permit is not None:
            admitted += 1
            breaker.settle(permit, verdict)
    return admitted


def state(breaker: Breaker) -> str:
    return breaker.state


def opened(breaker: Breaker) -> Breaker:
    ask(breaker, "failed", times=20)
    assert state(breaker) == "open"
    return breaker


def test_it_opens_when_the_share_of_failures_is_reached_and_says_so(breaker: Breaker) -> None:
    ask(breaker, "ok", times=19)
    ask(breaker, "failed", times=18)
    assert (state(breaker), breaker.reason) == ("closed", None)
    ask(breaker, "failed")
    assert (state(breaker), breaker.reason) == ("open", "breaker_open: 50% of 38 requests failed")
    assert breaker.retry_seconds() == 10


def test_a_few_failures_prove_nothing(breaker: Breaker) -> None:
    ask(breaker, "failed", times=19)
    assert state(breaker) == "closed"


def test_a_success_never_opens_it(breaker: Breaker) -> None:
    ask(breaker, "failed", times=19)
    ask(breaker, "ok")
    assert state(breaker) == "closed"
    ask(breaker, "failed")
    assert state(breaker) == "open"


def test_failures_that_are_long_past_do_not_count(breaker: Breaker, clock: Clock) -> None:
    ask(breaker, "failed", times=9)
    ask(breaker, "ok")
    clock.now += 31
    ask(breaker, "failed", times=15)
    assert state(breaker) == "closed"


def test_a_trickle_that_never_fills_a_window_opens_it_as_well(breaker: Breaker, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 60
        ask(breaker, "failed")
    assert breaker.reason == "breaker_open: 20 requests in a row failed"


def test_what_is_not_the_models_fault_counts_for_nothing(breaker: Breaker) -> None:
    ask(breaker, "void", times=500)
    ask(breaker, "failed", times=19)
    assert state(breaker) == "closed"


def test_inputs_too_large_among_others_are_no_outage_but_five_in_a_row_are(breaker: Breaker) -> None:
    ask(breaker, "memory", "memory", "memory", "memory", "ok", times=20)
    assert state(breaker) == "closed"
    ask(breaker, "memory", times=5)
    assert breaker.reason == "breaker_open: 5 requests in a row ran out of memory"
    assert breaker.for_memory


def test_while_open_nothing_passes_until_the_pause_is_over_then_three_at_most(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 9.9
    assert breaker.admit() is None
    clock.now += 0.1
    permits = [breaker.admit() for _ in range(5)]
    assert [permit is not None for permit in permits] == [True, True, True, False, False]
    assert breaker.reason == "breaker_half_open: 0 of 3 probes passed"


def test_three_good_probes_close_it(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    assert ask(breaker, "ok", "ok") == 2
    assert state(breaker) == "half_open"
    ask(breaker, "ok")
    assert state(breaker) == "closed"
    ask(breaker, "failed", times=19)
    assert state(breaker) == "closed", "it begins anew"


def test_one_bad_probe_opens_it_for_twice_as_long_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    pauses = []
    for _ in range(7):
        clock.now += breaker.retry_seconds()
        ask(breaker, "failed")
        pauses.append(breaker.retry_seconds())
    assert pauses == [20, 40, 80, 160, 300, 300, 300]


def test_a_probe_that_comes_to_nothing_leaves_its_place_to_another(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    assert ask(breaker, "void", times=10) == 10
    assert ask(breaker, "ok", "ok", "ok") == 3
    assert state(breaker) == "closed"


def test_requests_from_before_do_not_judge_what_came_after(breaker: Breaker, clock: Clock) -> None:
    late = [breaker.admit() for _ in range(30)]
    opened(breaker)
    clock.now += 10
    assert state(breaker) == "half_open"
    for permit in late:
        assert permit is not None
        assert breaker.settle(permit, "failed") is None
    assert state(breaker) == "half_open"


def test_a_relapse_pauses_longer_and_a_long_good_time_is_forgiven(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10
    ask(breaker, "ok", "ok", "ok")
    clock.now += 60
    opened(breaker)
    assert breaker.retry_seconds() == 20
    clock.now += 20
    ask(breaker, "ok", "ok", "ok")
    clock.now += 301
    opened(breaker)
    assert breaker.retry_seconds() == 10


def test_what_was_done_about_it_brings_probes_at_once_or_a_longer_pause(breaker: Breaker) -> None:
    assert not breaker.mend()
    opened(breaker).prolong()
    assert breaker.retry_seconds() == 20
    assert breaker.mend()
    assert state(breaker) == "half_open"
    assert breaker.absolve()
    assert state(breaker) == "closed"
    assert not breaker.absolve()


class AnyOrder(RuleBasedStateMachine):
    """Requests that come, end and fail in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(POLICY, self.clock)
        self.held: list[Permit] = []
        self.opened_at: float | None = None

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_request_comes(self) -> None:
        before = self.breaker.state
        permit = self.breaker.admit()
        if before == "closed":
            assert permit is not None
            assert not permit.probe
        if before == "open":
            assert permit is None
        if permit is not None:
            self.held.append(permit)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), verdict=st.sampled_from(["ok", "failed", "memory", "void"]))
    def a_request_ends(self, data: Any, verdict: Verdict) -> None:
        place = data.draw(st.integers(0, len(self.held) - 1))
        before = self.breaker.state
        entered = self.breaker.settle(self.held.pop(place), verdict)
        if entered == "open":
            assert verdict in ("failed", "memory")
        if entered == "closed":
            assert (before, verdict) == ("half_open", "ok")

    @rule(count=st.integers(1, 60))
    def many_fail(self, count: int) -> None:
        ask(self.breaker, "failed", times=count)

    @rule()
    def something_is_done(self) -> None:
        self.breaker.mend()

    @rule()
    def something_is_done_in_vain(self) -> None:
        self.breaker.prolong()

    @invariant()
    def probes_are_few(self) -> None:
        current = [permit for permit in self.held if permit.probe and permit.round == self.breaker._round]
        assert len(current) <= POLICY.probes

    @invariant()
    def it_is_never_shut_for_longer_than_the_longest_pause(self) -> None:
        assert self.breaker.retry_seconds() <= POLICY.open_max_seconds + 1e-6
        assert (self.breaker.reason is None) == (self.breaker.state == "closed")

    def teardown(self) -> None:
        """Whatever happened: a model that works again is served again."""
        for permit in self.held:
            self.breaker.settle(permit, "void")
        self.clock.now += POLICY.open_max_seconds
        ask(self.breaker, "ok", "ok", "ok")
        assert state(self.breaker) == "closed"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
