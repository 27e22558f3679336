"""Inputs grow lighter while the queue is long, and recover slowly, without swinging."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model.brownout import Brownout, BrownoutPolicy
from tests.model.conftest import Clock


class Queue:
    fill = 0.0

    def __call__(self) -> float:
        return self.fill


def make() -> tuple[Brownout, Queue, Clock]:
    queue, clock = Queue(), Clock()
    return Brownout(BrownoutPolicy(high=0.5, low=0.2, step_seconds=1.0), queue, clock), queue, clock


def levels(brownout: Brownout, clock: Clock, seconds: int) -> list[float]:
    found = []
    for _ in range(seconds):
        clock.now += 1
        found.append(brownout.level())
    return found


def test_a_long_queue_raises_the_level_step_by_step_to_one() -> None:
    brownout, queue, clock = make()
    queue.fill = 0.6
    assert brownout.level() == 0
    assert levels(brownout, clock, 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_burst_shorter_than_a_step_changes_nothing() -> None:
    brownout, queue, clock = make()
    for fill in (0.9, 0.0, 0.9, 0.0):
        queue.fill = fill
        brownout.level()
        clock.now += 0.9
    assert brownout.level() == 0


def test_between_the_bounds_it_stays_and_below_it_recovers_half_as_fast() -> None:
    brownout, queue, clock = make()
    queue.fill = 1.0
    brownout.level()
    levels(brownout, clock, 2)
    queue.fill = 0.3
    assert levels(brownout, clock, 20)[-1] == 0.5
    queue.fill = 0.1
    brownout.level()
    assert levels(brownout, clock, 6) == [0.5, 0.25, 0.25, 0.0, 0.0, 0.0]


def test_an_hour_without_a_look_brings_it_back_to_nothing() -> None:
    brownout, queue, clock = make()
    queue.fill = 1.0
    brownout.level()
    levels(brownout, clock, 4)
    queue.fill = 0.0
    assert brownout.level() == 1.0
    clock.now += 3600
    assert brownout.level() == 0.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 30))))
def test_the_level_stays_between_0_and_1_and_rises_one_step_at_a_look(looks: list[tuple[float, float]]) -> None:
    brownout, queue, clock = make()
    before = 0.0
    for fill, seconds in looks:
        queue.fill = fill
        clock.now += seconds
        level = brownout.level()
        assert 0 <= level <= 1
        assert level - before <= 0.25
        assert not (0.2 < fill < 0.5 and level != before)
        before = level
