"""Metrics made of lines: numbers that are refused, labels that stay few, what outlives a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config_target import LogMetric
from targets.logfile.meter import MAX_LABEL_CHARS, MAX_SETS, OTHER, Meter


def meter(**settings: Any) -> Meter:
    return Meter(LogMetric.model_validate({"name": "m", **settings}))


def told(one: Meter) -> dict[str, float]:
    """Value by name and labels, without those of every series."""
    found = {}
    for sample in one.samples("t", "s"):
        labels = ",".join(f"{name}={value}" for name, value in sample.labels if name not in ("target", "source"))
        found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_counter_without_labels_is_there_at_0() -> None:
    assert told(meter()) == {"m{}": 0.0}
    assert told(meter(type="gauge", value="v")) == {}


def test_a_counter_counts_lines_or_sums_up_their_numbers() -> None:
    lines, numbers = meter(), meter(value="v", scale=0.001)
    for value in ("250", "750"):
        lines.observe({"v": value})
        numbers.observe({"v": value})
    assert (told(lines), told(numbers)) == ({"m{}": 2.0}, {"m{}": 1.0})


def test_a_histogram_is_cumulative() -> None:
    one = meter(type="histogram", value="v", buckets=[10, 1])
    for value in ("0.5", "1", "5", "50"):
        one.observe({"v": value})
    assert told(one) == {
        "m_bucket{le=1.0}": 2.0,
        "m_bucket{le=10.0}": 3.0,
        "m_bucket{le=+Inf}": 4.0,
        "m_sum{}": 56.5,
        "m_count{}": 4.0,
    }


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "1e16", "-1", "", "12x", "0x10", "--1"])
def test_what_is_no_number_is_refused(value: str) -> None:
    one = meter(value="v")
    one.observe({"v": value})
    assert (told(one), one.refused) == ({"m{}": 0.0}, 1)


def test_labels_stay_few_and_short_and_masked() -> None:
    one = meter(labels={"who": "w"})
    one.observe({"w": "/home/ada/secret.txt"})
    one.observe({"w": "x" * 500})
    for number in range(3 * MAX_SETS):
        one.observe({"w": f"user{number}"})
    found = told(one)
    assert len(found) == MAX_SETS + 1
    assert found["m{who=[path]}"] == 1.0
    assert found[f"m{{who={OTHER}}}"] == 3 * MAX_SETS - (MAX_SETS - 2)
    assert max(map(len, found)) <= MAX_LABEL_CHARS + len("m{who=}")


def test_what_was_counted_outlives_the_process_unless_it_means_something_else() -> None:
    one = meter(type="histogram", value="v", labels={"k": "k"}, buckets=[1, 2])
    one.observe({"v": "1.5", "k": "a"})
    kept = json.loads(json.dumps(one.dump()))
    same = meter(type="histogram", value="v", labels={"k": "k"}, buckets=[1, 2])
    same.load(kept)
    assert told(same) == told(one)
    other = meter(type="histogram", value="v", labels={"k": "k"}, buckets=[1, 3])
    other.load(kept)
    assert told(other) == {}
