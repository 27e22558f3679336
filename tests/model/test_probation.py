"""When a version on probation does worse than the one before."""

from __future__ import annotations

import pytest

from model.logbook import Baseline
from model.probation import Probation
from model.track import MIN_BATCHES
from tests.model.conftest import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def probation(clock: Clock) -> Probation:
    return Probation(300.0, 3.0, clock)


def requests(probation: Probation, well: int, failed: int) -> None:
    for number in range(well + failed):
        probation.request(failed=number >= well)


def batches(probation: Probation, seconds: float, size: int = 4, count: int = MIN_BATCHES) -> None:
    for _ in range(count):
        probation.batch(size, seconds)


def test_without_a_switch_there_is_none(probation: Probation) -> None:
    requests(probation, 0, 100)
    assert probation.verdict() is None
    assert not probation.running
    assert not probation.over


@pytest.mark.parametrize(
    ("before", "now", "goes"),
    [
        ((100, 0), (0, 4), False),
        ((100, 0), (0, 5), True),
        ((0, 0), (10, 5), True),
        ((100, 0), (50, 5), False),  # less than a tenth
        ((80, 20), (65, 35), False),  # it was bad before, and is not twice as bad
        ((80, 20), (60, 40), True),
    ],
)
def test_failures_count_if_they_are_many_and_more_than_before(
    probation: Probation, before: tuple[int, int], now: tuple[int, int], goes: bool
) -> None:
    requests(probation, *before)
    probation.begin()
    requests(probation, *now)
    assert ((probation.verdict() or "").startswith("failures: ")) == goes


@pytest.mark.parametrize(
    ("before", "now", "goes"),
    [(0.010, 0.029, False), (0.010, 0.030, True), (0.0001, 0.004, False), (0.001, 0.006, True)],
)
def test_latency_counts_if_it_is_several_times_as_long_and_long_enough_to_matter(
    probation: Probation, before: float, now: float, goes: bool
) -> None:
    batches(probation, before)
    probation.begin()
    batches(probation, now)
    assert ((probation.verdict() or "").startswith("latency: ")) == goes


def test_batches_are_compared_with_others_of_like_size_and_only_with_enough_of_them(probation: Probation) -> None:
    batches(probation, 0.01, size=1)
    probation.begin()
    batches(probation, 1.0, size=8)
    assert probation.verdict() is None
    batches(probation, 1.0, size=1, count=MIN_BATCHES - 1)
    assert probation.verdict() is None
    batches(probation, 1.0, size=1, count=1)
    assert probation.verdict() is not None


def test_it_ends_with_its_time(probation: Probation, clock: Clock) -> None:
    probation.begin()
    clock.now += 299
    assert (probation.running, probation.over, probation.left_seconds) == (True, False, 1.0)
    clock.now += 1
    assert (probation.running, probation.over, probation.left_seconds) == (False, True, 0.0)
    probation.end()
    assert (probation.running, probation.over, probation.left_seconds) == (False, False, None)


def test_latency_may_be_left_out(clock: Clock) -> None:
    probation = Probation(300.0, 0.0, clock)
    batches(probation, 0.01)
    probation.begin()
    batches(probation, 10.0)
    assert probation.verdict() is None


def test_a_size_that_was_not_seen_before_is_compared_with_the_next_larger_one(probation: Probation) -> None:
    batches(probation, 0.01, size=8)
    probation.begin()
    batches(probation, 1.0, size=2)
    assert probation.verdict() == "latency: batches take 100.0 times as long as before"


def test_a_new_process_measures_by_what_the_last_one_has_seen(probation: Probation, clock: Clock) -> None:
    batches(probation, 0.01)
    requests(probation, 90, 10)
    known = probation.begin()
    after = Probation(300.0, 3.0, clock)
    assert after.begin(Baseline.model_validate_json(known.model_dump_json())) == known
    batches(after, 0.1)
    assert after.verdict() == "latency: batches take 10.0 times as long as before"
    requests(after, 40, 10)
    assert (after.verdict() or "").startswith("failures: 20% of 50 requests failed, 10% before")
