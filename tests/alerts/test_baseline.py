"""Alerts against one's own history: quiet without it, quiet as long as all is as usual, awake when it is not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

from alerts.rule import load_stock
from alerts.ruling.memory import MemorySeries
from alerts.ruling.replay import Replay
from collectors.sample import METRIC_NAME, Labels
from promql import Engine

MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86400.0, 7 * 86400.0
NOW = 1_699_999_980_000  # a full minute
(BASELINE,) = (group for group in load_stock() if group.name == "wakeless-baseline")
P95 = "model:inference_request_duration_seconds:p95_5m"
MEMORY = "gpu:gpu_memory_used:ratio_avg1m"
TRAFFIC = "model:inference_requests:rate5m"
LABELS = {P95: {"model": "card"}, MEMORY: {"gpu": "0"}, TRAFFIC: {"model": "card"}}
RULES = {P95: "LatencyUnusual", MEMORY: "GPUMemoryUnusual", TRAFFIC: "TrafficUnusuallyLow"}

#: Seconds before now (negative) → the value.
Curve = Callable[[float], float]


def seasonal(base: float, swing: float) -> Curve:
    """High in the afternoon, low at night, lower at week-ends, and a little noise that is the same every time."""

    def curve(seconds: float) -> float:
        moment = NOW / 1000 + seconds
        day = 1 + swing * math.sin(2 * math.pi * moment / DAY)
        weekend = 0.5 if moment % WEEK > 5 * DAY else 1.0
        noise = 1 + 0.05 * math.sin(moment / 7) * math.cos(moment / 113)
        return base * day * weekend * noise

    return curve


def fired(metric: str, curve: Curve, weeks: float = 4, minutes: int = 40) -> set[str]:
    """Which alerts fire within the last minutes, given so many weeks of a recorded figure, one sample a minute."""
    memory = MemorySeries()
    seconds = np.arange(-round(weeks * WEEK / MINUTE), minutes + 1) * MINUTE
    values = np.array([curve(float(one)) for one in seconds])
    labels: Labels = tuple(sorted({METRIC_NAME: metric, **LABELS[metric]}.items()))
    present = ~np.isnan(values)
    memory.add(labels, (NOW + seconds[present] * 1000).astype(np.int64), values[present])
    replay = Replay([BASELINE], Engine(memory), memory)
    told: set[str] = set()
    for minute in range(minutes + 1):
        memory.now_ms = NOW + minute * 60_000
        told |= {step.after.alert.rule for step in replay.step(memory.now_ms) if step.after and step.fires}
        assert replay.failures() == []
    return told


def changed(curve: Curve, factor: float, plus: float = 0.0) -> Curve:
    """From now on it is so many times as much."""
    return lambda seconds: curve(seconds) * (factor if seconds >= 0 else 1.0) + (plus if seconds >= 0 else 0.0)


USUAL = {P95: seasonal(0.8, 0.5), MEMORY: seasonal(0.6, 0.3), TRAFFIC: seasonal(5.0, 0.8)}
UNUSUAL = {P95: changed(USUAL[P95], 3), MEMORY: changed(USUAL[MEMORY], 1, 0.35), TRAFFIC: changed(USUAL[TRAFFIC], 0.1)}


@pytest.mark.parametrize("metric", USUAL)
def test_a_week_like_the_others_is_calm(metric: str) -> None:
    assert fired(metric, USUAL[metric]) == set()


@pytest.mark.parametrize("metric", UNUSUAL)
def test_what_is_far_from_usual_fires(metric: str) -> None:
    assert fired(metric, UNUSUAL[metric]) == {RULES[metric]}


@pytest.mark.parametrize("metric", UNUSUAL)
@pytest.mark.parametrize("weeks", [0, 0.5, 1.01, 1.9])
def test_without_two_weeks_of_history_nothing_is_unusual(metric: str, weeks: float) -> None:
    assert fired(metric, UNUSUAL[metric], weeks) == set()


@pytest.mark.parametrize("metric", UNUSUAL)
def test_two_weeks_are_enough(metric: str) -> None:
    assert fired(metric, UNUSUAL[metric], 2.1) == {RULES[metric]}


@pytest.mark.parametrize("metric", UNUSUAL)
def test_a_week_with_a_few_samples_does_not_count(metric: str) -> None:
    def patchy(seconds: float) -> float:
        return UNUSUAL[metric](seconds) if seconds > -1.5 * WEEK or seconds % HOUR < 10 * MINUTE else math.nan

    assert fired(metric, patchy) == set()


@pytest.mark.parametrize("metric", UNUSUAL)
def test_an_outage_a_week_ago_does_not_hide_the_one_of_today(metric: str) -> None:
    def twice(seconds: float) -> float:
        return UNUSUAL[metric](abs(seconds)) if -WEEK - HOUR < seconds < -WEEK + HOUR else UNUSUAL[metric](seconds)

    assert fired(metric, twice) == {RULES[metric]}


def test_the_rush_of_a_monday_morning_is_no_news_though_sunday_was_quiet() -> None:
    def rush(seconds: float) -> float:
        return 3.0 if seconds % WEEK < HOUR or seconds % WEEK > WEEK - HOUR else 0.4

    assert fired(P95, rush) == set()


@pytest.mark.parametrize(
    ("metric", "curve"),
    [
        (P95, changed(lambda seconds: 0.02, 10)),  # ten times as slow, and still quick
        (P95, changed(lambda seconds: 4.0, 1.2)),  # not half as much again
        (MEMORY, changed(lambda seconds: 0.1, 3)),  # most of the card is free still
        (MEMORY, changed(lambda seconds: 0.7, 1, 0.1)),
        (TRAFFIC, changed(lambda seconds: 0.05, 0)),  # nobody waits for so few requests
        (TRAFFIC, changed(lambda seconds: 5.0, 0.5)),
    ],
)
def test_small_numbers_and_small_changes_do_not_fire(metric: str, curve: Curve) -> None:
    assert fired(metric, curve) == set()


def test_a_short_spike_wakes_nobody() -> None:
    def spike(seconds: float) -> float:
        return USUAL[P95](seconds) * (4 if 0 <= seconds < 8 * MINUTE else 1)

    assert fired(P95, spike) == set()


def test_no_expression_reads_more_than_an_hour_of_anything() -> None:
    ranges = {found for rule in BASELINE.rules for found in re.findall(r"\[(\w+)\]", rule.expr)}
    assert ranges == {"1m", "5m", "1h"}
