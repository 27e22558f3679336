"""What a difference between two versions is worth."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.comparison import Comparison, Finding, compare
from model.significance import bar, least_share, rank_errors, share_errors
from model.split import place
from model.tally import MAX_CLASSES, OTHER_CLASS, Tally

SHARES = st.integers(0, 200).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


def finding(comparison: Comparison, what: str) -> Finding:
    return next(one for one in comparison.findings if one.what == what)


def fill(tally: Tally, well: int, failed: int = 0, *, seconds: float = 0.01, name: str | None = None) -> Tally:
    for number in range(well + failed):
        tally.add("ok" if number < well else "error", seconds * (1 + number % 7 / 100), name)
    return tally


def test_a_share_is_compared_exactly_as_fisher_does() -> None:
    # One-sided p of 7 of 10 against 1 of 10, from any table of the hypergeometric distribution: 2126 / 184756 … 0.00988
    tail = sum(math.comb(10, k) * math.comb(10, 8 - k) for k in (7, 8)) / math.comb(20, 8)
    assert NormalDist().cdf(-share_errors(7, 10, 1, 10)) == pytest.approx(tail)
    assert share_errors(1, 10, 7, 10) == -share_errors(7, 10, 1, 10)


def test_one_failure_of_a_few_is_no_proof_against_thousands_without() -> None:
    assert share_errors(1, 100, 0, 10_000) < bar(100, 10_000)
    assert share_errors(8, 100, 0, 10_000) > bar(100, 10_000)


@given(SHARES, SHARES)
def test_sides_that_change_places_change_the_sign_alone(one: tuple[int, int], other: tuple[int, int]) -> None:
    errors = share_errors(*one, *other)
    assert math.isfinite(errors)
    assert share_errors(*other, *one) == pytest.approx(-errors, abs=1e-9)


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 30)), st.dictionaries(st.integers(0, 50), st.integers(1, 30)))
def test_ranks_are_those_of_all_pairs(one: dict[int, int], other: dict[int, int]) -> None:
    errors, chance = rank_errors(one, other)
    pairs = [(a > b) + (a == b) / 2 for a in one for b in other for _ in range(one[a] * other[b])]
    assert chance == pytest.approx(sum(pairs) / len(pairs) if pairs else 0.5)
    assert math.copysign(1, errors) == math.copysign(1, chance - 0.5) or errors == 0


def test_the_bar_is_higher_than_for_a_single_look_and_never_reached_without_requests() -> None:
    assert bar(0, 100) == math.inf
    single = NormalDist().inv_cdf(0.975)
    assert all(bar(count, count) > 1.4 * single for count in (10, 100, 1000, 100_000))


def test_whoever_looks_after_every_request_is_misled_less_often_than_promised() -> None:
    """The point of the bar: equal sides, looked at 400 times each; a bar for a single look fails this by far."""
    chance, misled, single = random.Random(5), 0, 0
    for _ in range(120):
        hits, most, peak = [0, 0], 0.0, 0.0
        for count in range(20, 420):
            for side in (0, 1):
                hits[side] += chance.random() < 0.3
            errors = abs(hits[0] - hits[1]) / math.sqrt(max(1e-9, 2 * count * 0.3 * 0.7))
            most, peak = max(most, errors - bar(count, count)), max(peak, errors)
        misled += most > 0
        single += peak > 1.96
    assert misled <= 6
    assert single > 25


def test_what_may_go_unseen_shrinks_with_the_requests() -> None:
    assert least_share(0, 0, 10) == 1.0
    assert least_share(10, 100, 100) > least_share(100, 1000, 1000) > least_share(1000, 10_000, 10_000)


def test_a_handful_of_requests_is_no_verdict() -> None:
    found = compare(fill(Tally(), 20), fill(Tally(), 19, 1), 10.0)
    assert {one.verdict for one in found.findings} == {"too_few"}
    assert compare(Tally(), Tally(), 0.0).findings[0].value is None


def test_twenty_of_twenty_failures_need_no_further_proof() -> None:
    assert finding(compare(fill(Tally(), 100), fill(Tally(), 0, 20), 10.0), "failures").verdict == "worse"


def test_equal_sides_are_alike_and_say_what_might_hide() -> None:
    found = compare(fill(Tally(), 990, 10, name="cat"), fill(Tally(), 99, 1, name="cat"), 10.0)
    assert {one.what for one in found.findings} == {"failures", "latency", "classes"}
    assert {one.verdict for one in found.findings} == {"alike"}
    assert 0.0 < (finding(found, "failures").unseen or 0.0) < 0.1


def test_a_side_that_is_slower_or_names_other_classes_is_told() -> None:
    serving, canary = Tally(), Tally()
    for number in range(400):
        serving.add("ok", 0.010 + number % 10 / 1000, "cat" if number % 2 else "dog")
        canary.add("ok", 0.013 + number % 10 / 1000, "cat" if number % 4 else "dog")
    found = compare(serving, canary, 10.0)
    slower, classes = finding(found, "latency"), finding(found, "classes")
    assert (slower.verdict, classes.verdict) == ("worse", "different")
    assert slower.value is not None
    assert slower.value > 0.7
    assert (classes.subject, classes.value) in (("cat", 0.25), ("dog", -0.25))
    assert finding(compare(canary, serving, 10.0), "latency").verdict == "better"


@given(st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200))
def test_percentiles_are_right_within_two_percent(durations: list[float]) -> None:
    tally = Tally()
    for seconds in durations:
        tally.add("ok", seconds, None)
    figures = tally.figures(1.0)
    for share, found in ((0.5, figures.p50_seconds), (0.95, figures.p95_seconds), (0.99, figures.p99_seconds)):
        exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
        assert found == pytest.approx(exact, rel=0.021)


def test_a_tally_stays_small_whatever_comes() -> None:
    tally = Tally()
    for number in range(5000):
        tally.add("ok", 10 ** (number % 40 - 20), f"class {number}")
    figures = tally.figures(1.0)
    assert len(figures.classes) == MAX_CLASSES + 1
    assert figures.classes[OTHER_CLASS] == 5000 - MAX_CLASSES
    assert len(tally.durations()) < 50


def test_only_what_the_model_did_is_judged() -> None:
    tally = Tally()
    for outcome in ("ok", "error", "oom", "timeout", "fallback", "rejected", "canceled", "bad_input", "cached"):
        tally.add(outcome, 0.1, "cat")
    figures = tally.figures(3.0)
    assert (figures.requests, figures.judged, figures.failed, figures.rate) == (9, 5, 4, 3.0)
    assert figures.classes == {"cat": 1}


@given(st.text(), st.text())
def test_a_key_keeps_its_place(key: str, salt: str) -> None:
    assert place(key, salt) == place(key, salt)
    assert 0 <= place(key, salt) < 100


@settings(max_examples=20)
@given(st.integers(0, 100), st.text(max_size=5))
def test_keys_are_spread_evenly(percent: int, salt: str) -> None:
    below = sum(place(f"request {number}", salt) < percent for number in range(2000))
    assert abs(below / 2000 - percent / 100) < 0.06
