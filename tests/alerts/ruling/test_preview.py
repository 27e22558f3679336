"""What a rule would have done, as the state machine would have done it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from alerts.ruling.memory import MemorySeries
from alerts.ruling.preview import MAX_SERIES, Preview, Threshold, Trial, preview
from collectors.sample import METRIC_NAME
from promql import Engine, QueryError, parse

HOUR = 3_600_000
NOW = 1_700_000_000_000

Curve = Callable[[float], float]


def source(name: str, *curves: Curve, every_seconds: float = 15) -> MemorySeries:
    """Series ``name{i="0"}`` … of the last 25 hours; curves are of seconds before now, negative."""
    memory = MemorySeries()
    seconds = np.arange(-25 * 3600, 1, every_seconds)
    for number, curve in enumerate(curves):
        values = np.array([curve(float(one)) for one in seconds])
        present = ~np.isnan(values)
        labels = ((METRIC_NAME, name), ("i", str(number)))
        memory.add(labels, (NOW + seconds[present] * 1000).astype(np.int64), values[present])
    memory.now_ms = NOW
    return memory


def between(*spans: tuple[float, float]) -> Curve:
    """1 between these minutes before now, else 0."""
    return lambda seconds: float(any(-first * 60 <= seconds < -last * 60 for first, last in spans))


def tried(
    memory: MemorySeries,
    expr: str,
    for_seconds: float = 0,
    keep_seconds: float = 0,
    hours: float = 24,
    now_ms: int = NOW,
) -> Preview:
    return preview(Engine(memory), Trial(parse(expr), for_seconds, keep_seconds), now_ms, hours)


def minutes(found: Preview) -> list[tuple[float, float]]:
    """The spans in minutes before now."""
    return [((NOW - span.start_ms) / 60_000, (NOW - span.end_ms) / 60_000) for span in found.spans]


def test_it_counts_every_time_that_the_rule_would_have_fired() -> None:
    memory = source("a", between((600, 580), (300, 290), (60, 30)))
    found = tried(memory, "a > 0")
    assert found.fired == 3
    assert minutes(found) == [(600, 580), (300, 290), (60, 30)]
    assert found.firing_seconds == 60 * 60
    assert not any(span.is_open for span in found.spans)
    assert found.step_ms == 60_000


def test_what_is_shorter_than_for_does_not_fire_and_what_is_longer_fires_later() -> None:
    found = tried(source("a", between((600, 597), (300, 290))), "a > 0", for_seconds=300)
    assert minutes(found) == [(295, 290)]


def test_keep_firing_for_joins_what_is_close() -> None:
    found = tried(source("a", between((300, 290), (286, 280))), "a > 0", keep_seconds=300)
    assert minutes(found) == [(300, 275)]


def test_what_fires_still_is_open() -> None:
    (span,) = tried(source("a", between((10, -1))), "a > 0").spans
    assert (span.is_open, span.end_ms, span.labels) == (True, NOW, {"i": "0"})


def test_seconds_in_which_two_fire_count_once() -> None:
    found = tried(source("a", between((300, 280)), between((290, 270))), "a > 0")
    assert found.fired == 2
    assert found.firing_seconds == 30 * 60


def test_a_series_that_is_absent_does_not_fire() -> None:
    found = tried(source("a", lambda seconds: float("nan") if seconds > -1800 else 1.0), "a > 0")
    assert minutes(found)[0][1] == pytest.approx(25, abs=1)  # five minutes on, the last sample is too old


@pytest.mark.parametrize(
    ("expr", "threshold"),
    [
        ("a > 0.5", Threshold(">", 0.5)),
        ("a >= -1", Threshold(">=", -1.0)),
        ("5 > a", Threshold("<", 5.0)),
        ("2 == a", Threshold("==", 2.0)),
        ("a * 2 > 1 and a > 0 unless a > 8", Threshold(">", 1.0)),
        ("a > a offset 1h", None),
        ("a > bool 1", None),
        ("a > 1 or a > 2", None),
        ("absent(b)", None),
    ],
)
def test_the_threshold_is_told_where_there_is_one(expr: str, threshold: Threshold | None) -> None:
    assert tried(source("a", between((60, 30))), expr, hours=2).threshold == threshold


@pytest.mark.parametrize(
    "expr", ["a > 0.5", "0.5 < a", "a * 2 >= 1", "a != 0", "a > 0 and a < 5", "-a < -0.5", "a == 1"]
)
def test_a_shortcut_for_a_comparison_gives_what_the_whole_expression_gives(expr: str) -> None:
    memory = source("a", between((60, 30)), lambda seconds: float("nan") if seconds > -1000 else 0.7)
    plain = tried(memory, expr, hours=2)
    whole = tried(memory, f"({expr}) or vector(1) < 0", hours=2)
    assert plain.spans == whole.spans


def test_the_series_before_the_comparison_is_drawn_also_where_it_is_below() -> None:
    ((labels, points),) = tried(source("a", between((60, 30))), "a > 0", hours=2).series
    assert labels == {"__name__": "a", "i": "0"}
    assert {value for _, value in points} == {0.0, 1.0}
    assert (points[0][0], points[-1][0]) == (NOW - 2 * HOUR, NOW)


def test_of_many_series_those_that_fired_are_drawn() -> None:
    quiet = [between()] * 40
    found = tried(source("a", *quiet, between((60, 30)), every_seconds=60), "a > 0", hours=2)
    assert found.series_count == 41
    assert len(found.series) == MAX_SERIES
    assert found.series[0][0]["i"] == "40"


def test_too_many_series_are_refused_and_not_walked_through() -> None:
    memory = source("a", *[between()] * 200, every_seconds=300)
    with pytest.raises(QueryError, match="200 series"):
        tried(memory, "a == 0")


def test_two_alerts_that_could_not_be_told_apart_are_an_error() -> None:
    memory = source("a", between((60, 30)), between((60, 30)))
    with pytest.raises(QueryError, match="same labelset"):
        tried(memory, 'label_replace(a, "i", "", "", "") > 0')


def test_a_short_look_back_has_short_steps() -> None:
    assert tried(source("a", between((6, 3))), "a > 0", hours=1).step_ms == 5_000
    assert tried(source("a", between((6, 3))), "a > 0", hours=14 * 24).step_ms == 840_000
