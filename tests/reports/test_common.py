from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reports.common import compare, flat
from reports.fisher import benjamini_hochberg, fisher_exact


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_the_exact_test_agrees_with_scipys(hits: int, misses: int, other_hits: int, other_misses: int) -> None:
    expected = stats.fisher_exact([[hits, misses], [other_hits, other_misses]]).pvalue
    found = fisher_exact(hits, hits + misses, other_hits, other_hits + other_misses)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.lists(st.floats(0, 1), max_size=40))
def test_the_correction_for_many_tests_agrees_with_scipys(values: list[float]) -> None:
    expected = [bool(one <= 0.05) for one in stats.false_discovery_control(values)] if values else []
    found = benjamini_hochberg(values)
    close = [abs(one - 0.05) < 1e-9 for one in (stats.false_discovery_control(values) if values else [])]
    assert all(mine == theirs or near for mine, theirs, near in zip(found, expected, close, strict=True))


def inputs(dice: random.Random, count: int, **share: float) -> list[dict[str, Any]]:
    return [
        {
            "format": "WEBP" if dice.random() < share.get("webp", 0.1) else "JPEG",
            "width": dice.randrange(3000, 5000)
            if dice.random() < share.get("large", 0.1)
            else dice.randrange(100, 3000),
            "client": dice.choice(["curl", "python-requests"]),
        }
        for _ in range(count)
    ]


def test_what_failing_inputs_share_comes_first_and_is_said_to_mean_something() -> None:
    dice = random.Random(7)
    found = compare(inputs(dice, 200, webp=0.9), inputs(dice, 2000))
    assert (found.failing, found.good) == (200, 2000)
    first = found.traits[0]
    assert (first.name, first.value, first.significant) == ("format", "WEBP", True)
    assert first.failing_share == pytest.approx(0.9, abs=0.06)
    assert first.good_share == pytest.approx(0.1, abs=0.03)
    assert first.lift == pytest.approx(first.failing_share / first.good_share)
    assert [one.name for one in found.traits if one.significant] == ["format"]


def test_numbers_are_looked_at_in_ranges() -> None:
    dice = random.Random(8)
    first = compare(inputs(dice, 200, large=0.95), inputs(dice, 2000)).traits[0]
    assert (first.name, first.significant) == ("width", True)
    assert first.value.startswith("> 2")


def test_inputs_that_differ_by_chance_alone_share_nothing() -> None:
    """Of 200 comparisons, with some ten traits each, at the rate of 5 % about ten may say something. Most do not."""
    told = 0
    for seed in range(200):
        dice = random.Random(seed)
        told += any(one.significant for one in compare(inputs(dice, 60), inputs(dice, 300)).traits)
    assert told <= 20


def test_a_fact_that_only_one_side_has_is_a_trait_of_its_own() -> None:
    found = compare([{"bytes": 3}] * 20, [{"bytes": 3, "width": 10}] * 50)
    assert (found.traits[0].name, found.traits[0].value, found.traits[0].lift) == ("width", "(none)", None)


@pytest.mark.parametrize(("failing", "good"), [(0, 50), (4, 50), (50, 0)])
def test_of_too_few_inputs_nothing_is_said(failing: int, good: int) -> None:
    found = compare([{"a": 1}] * failing, [{"a": 2}] * good)
    assert (found.failing, found.good, found.traits) == (failing, good, [])


def test_facts_become_plain_values() -> None:
    facts = {"shape": [3, 224, 224], "box": {"w": 1, "deep": {"x": 1}}, "ratio": float("nan"), "grey": True}
    assert flat(facts) == {"shape": "3×224×224", "box.w": 1, "ratio": "nan", "grey": True}


_FACTS = st.dictionaries(
    st.sampled_from("abc"),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3),
    max_size=3,
)


@given(st.lists(_FACTS, max_size=20), st.lists(_FACTS, max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_facts_can_be_compared(failing: list[dict[str, Any]], good: list[dict[str, Any]]) -> None:
    for one in compare([flat(facts) for facts in failing], [flat(facts) for facts in good]).traits:
        assert 0 <= one.good_share < one.failing_share <= 1
        assert 0 <= one.p <= 1
