"""A target goes down and comes up after so many results in a row, and never otherwise."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from targets.probe.flip import Standing, step

_RESULTS = st.lists(st.sampled_from([True, True, False, False, None]), max_size=60)
_COUNTS = st.integers(1, 4)


def _run(results: list[bool | None], fails: int, successes: int, start: Standing | None = None) -> list[Standing]:
    standing = start or Standing("unknown", 0)
    standings = []
    for index, success in enumerate(results):
        reason = "" if success else f"reason {index}"
        standing = step(standing, success, reason, (index + 1) * 1000, fails=fails, successes=successes)
        standings.append(standing)
    return standings


def _tail(results: list[bool], wanted: bool) -> int:
    """How many results in a row at the end are as wanted."""
    count = 0
    for result in reversed(results):
        if result is not wanted:
            break
        count += 1
    return count


@given(st.lists(st.booleans(), max_size=60), _COUNTS, _COUNTS)
def test_it_flips_at_the_result_that_makes_enough_in_a_row(results: list[bool], fails: int, successes: int) -> None:
    """Told apart from the machine by counting anew each time."""
    state = "unknown"
    for index, standing in enumerate(_run(list(results), fails, successes)):
        before = results[: index + 1]
        if state != "up" and _tail(before, True) >= (successes if state == "down" else 1):
            state = "up"
        elif state != "down" and _tail(before, False) >= fails:
            state = "down"
        assert standing.state == state
        assert standing.failures == _tail(before, False)


@given(_RESULTS, _COUNTS, _COUNTS)
def test_a_stretch_begins_with_the_first_result_that_made_it_so(
    results: list[bool | None], fails: int, successes: int
) -> None:
    previous = Standing("unknown", 0)
    for index, standing in enumerate(_run(results, fails, successes)):
        now_ms = (index + 1) * 1000
        assert previous.since_ms <= standing.since_ms <= now_ms
        if standing.state == previous.state:
            assert standing.since_ms == previous.since_ms
        elif standing.state == "down":
            assert standing.since_ms <= now_ms - (fails - 1) * 1000
            assert results[standing.since_ms // 1000 - 1] is False
        elif standing.state == "up":
            assert results[standing.since_ms // 1000 - 1] is True
        assert standing.streak < max(fails, successes)
        assert standing.reason == "" or standing.reason in {f"reason {number}" for number in range(index + 1)}
        previous = standing


@given(_RESULTS, _RESULTS, _COUNTS, _COUNTS)
def test_one_that_is_taken_up_midway_goes_on_as_if_nothing_had_happened(
    first: list[bool | None], then: list[bool | None], fails: int, successes: int
) -> None:
    whole = _run(first + then, fails, successes)
    left = whole[len(first) - 1] if first else Standing("unknown", 0)
    taken_up = Standing(left.state, left.since_ms, left.streak, left.against_ms, left.failures, left.blind, left.reason)
    for index, success in enumerate(then):
        number = len(first) + index
        reason = "" if success else f"reason {number}"
        taken_up = step(taken_up, success, reason, (number + 1) * 1000, fails=fails, successes=successes)
        assert taken_up == whole[number]


@given(_RESULTS, st.lists(st.integers(-10_000_000, 10_000_000), min_size=60, max_size=60), _COUNTS, _COUNTS)
def test_the_state_does_not_depend_on_the_clock(
    results: list[bool | None], times: list[int], fails: int, successes: int
) -> None:
    standing = Standing("unknown", 0)
    for right, success, now_ms in zip(_run(results, fails, successes), results, times, strict=False):
        standing = step(standing, success, right.reason, now_ms, fails=fails, successes=successes)
        assert (standing.state, standing.streak, standing.failures) == (right.state, right.streak, right.failures)


def test_looks_that_tell_nothing_make_it_unknown_but_not_at_once() -> None:
    standings = _run([True, None, None, False, None, False], 2, 1)
    assert [standing.state for standing in standings] == ["up", "up", "unknown", "unknown", "unknown", "down"]
    assert standings[2].reason == "reason 2"
    assert standings[5].since_ms == 4000
