"""The picture tells the last hour truly, is small, and draws gaps as gaps; figures come from the rule that fired."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alerts.delivery.message import Fact
from alerts.delivery.picture import HEIGHT, WIDTH, Pictures, draw
from alerts.delivery.plot import SPAN_MS, STEPS, Figures, Plot
from alerts.delivery.scale import ticks
from alerts.delivery.unit import unit_of
from promql import Engine, parse
from tests.alerts.delivery.story import DOWN, HOT, NOW_MS, UP, message
from tests.alerts.world import MemorySource, rules

TIMES = np.arange(NOW_MS - SPAN_MS, NOW_MS + 1, SPAN_MS // STEPS)
BLUE, RED, SHADE = (29, 78, 216), (200, 30, 30), (253, 232, 230)


def plot(values: object, threshold: float | None = 0.9, since_ms: int | None = NOW_MS - 600_000) -> Plot:
    return Plot(TIMES, np.broadcast_to(np.asarray(values, dtype=np.float64), TIMES.shape), threshold, since_ms)


def columns(file: bytes, colour: tuple[int, int, int]) -> list[int]:
    """The columns in which a colour is seen."""
    image = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"), dtype=np.int16)
    return [int(x) for x in np.flatnonzero((np.abs(image - np.array(colour)).max(axis=2) < 12).any(axis=0))]


def test_it_is_a_small_png_of_a_size_for_a_phone() -> None:
    rough = np.random.default_rng(1).normal(0.8, 0.2, len(TIMES))
    file = draw(plot(rough), UTC)
    image = Image.open(io.BytesIO(file))
    assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
    assert len(file) < 30_000


def test_a_gap_is_a_gap_and_a_lonely_sample_a_dot() -> None:
    values = np.full(len(TIMES), 0.5)
    values[30:90] = np.nan
    values[60] = 0.5
    drawn = columns(draw(plot(values), UTC), BLUE)
    steps = np.diff(drawn)
    assert sum(step > 5 for step in steps) == 2, "two gaps, on both sides of the dot"
    assert sum(step > 100 for step in steps) == 2


def test_the_time_since_the_alert_began_is_shaded_to_the_end() -> None:
    shaded = columns(draw(plot(0.5), UTC), SHADE)
    inside = [x for x in shaded if x > 100]
    assert max(inside) > WIDTH - 40
    assert (max(inside) - min(inside)) / (WIDTH - 130) == pytest.approx(600_000 / SPAN_MS, abs=0.04)
    assert len(columns(draw(plot(0.5, since_ms=None), UTC), SHADE)) == 0


def test_the_threshold_is_drawn_even_where_no_value_comes_near() -> None:
    assert columns(draw(plot(0.1, threshold=50.0), UTC), RED)
    assert not columns(draw(plot(0.1, threshold=None), UTC), RED)


@settings(max_examples=20)
@given(
    st.lists(st.floats(width=32), min_size=len(TIMES), max_size=len(TIMES)),
    st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32),
)
def test_any_values_can_be_drawn(values: list[float], threshold: float | None) -> None:
    assert draw(plot(values, threshold), UTC).startswith(b"\x89PNG")


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_ticks_surround_what_they_are_for(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    found = ticks(low, high)
    slack = (found[-1] - found[0]) * 1e-6
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    assert 2 <= len(found) <= 8
    assert found == sorted(found)


# --- where the figures come from ---------------------------------------------------------------------------------

RULES = """
groups:
- name: g
  rules:
  - {alert: GPUMemoryHigh, expr: "gpu_memory_used_bytes / gpu_memory_total_bytes > 0.9"}
  - {alert: ServerDown, expr: "up == 0 unless on () absent(up)", labels: {severity: critical}}
  - {alert: Twice, expr: "x > 1", labels: {severity: warning}}
  - {alert: Twice, expr: "x > 2", labels: {severity: critical}}
  - {alert: Bare, expr: "x and y"}
"""


@pytest.fixture
def figures() -> Figures:
    source = MemorySource()
    for place in range(STEPS):
        for gpu, used in (("0", 60.0 + place / 4), ("1", 10.0)):
            source.set("gpu_memory_used_bytes", used, gpu=gpu)
            source.set("gpu_memory_total_bytes", 100.0, gpu=gpu)
        source.set("x", float(place))
        source.tick(NOW_MS - SPAN_MS + place * SPAN_MS // STEPS)
    return Figures(Engine(source, lookback_ms=60_000), lambda: rules(RULES))


def named(rule: str, severity: str = "warning") -> Fact:
    return replace(HOT, rule=rule, severity=severity, labels={"alertname": rule, "severity": severity})


def test_the_series_is_the_alerts_own_left_of_the_comparison(figures: Figures) -> None:
    found = figures.plot_of(HOT, NOW_MS)
    assert found is not None
    assert found.values[0] == pytest.approx(0.6)
    assert found.values[-2] == pytest.approx(0.8975)
    assert (found.threshold, found.since_ms, found.show(0.9)) == (0.9, HOT.active_ms, "90%")


def test_a_value_is_measured_against_the_rules_number_in_its_unit(figures: Figures) -> None:
    measure = figures.measure_of(HOT)
    assert measure is not None
    assert (measure.operator, measure.threshold, measure.show(0.931)) == (">", 0.9, "93.1%")
    assert figures.measure_of(named("Bare")) is None
    assert figures.measure_of(named("NoSuchRule")) is None


def test_of_two_rules_with_one_name_the_labels_tell(figures: Figures) -> None:
    measures = [figures.measure_of(named("Twice", severity)) for severity in ("warning", "critical", "info")]
    assert [measure and measure.threshold for measure in measures] == [1.0, 2.0, None]


def test_a_message_has_the_picture_of_its_most_urgent_alert_that_fires(figures: Figures) -> None:
    asked: list[str] = []

    def plot_of(fact: Fact, now_ms: int) -> Plot | None:
        asked.append(fact.rule)
        return figures.plot_of(fact, now_ms)

    pictures = Pictures(plot_of, UTC)
    assert pictures.of(message(UP), NOW_MS) is None
    assert pictures.of(message(HOT, kind="acknowledged"), NOW_MS) is None
    assert pictures.of(message(named("NoSuchRule")), NOW_MS) is None
    assert asked == ["NoSuchRule"]
    file = pictures.of(message(HOT, DOWN), NOW_MS)
    assert file is not None
    assert asked == ["NoSuchRule", "ServerDown", "GPUMemoryHigh"], "nothing is known of up: the next one is drawn"


@pytest.mark.parametrize(
    ("expr", "unit"),
    [
        ("gpu_temperature_celsius", "celsius"),
        ("gpu_memory_used_bytes / gpu_memory_total_bytes", "ratio"),
        ("1 - memory_available_bytes / memory_total_bytes", "ratio"),
        ("filesystem_used_ratio", "ratio"),
        ('sum(rate(r_total{o="e"}[5m])) / sum(rate(r_total[5m]))', "ratio"),
        ("histogram_quantile(0.95, sum by (le) (rate(d_seconds_bucket[5m])))", ""),
        ("avg_over_time(queue_wait_seconds[5m])", "seconds"),
        ("count(gpu_memory_used_bytes)", ""),
        ("rate(read_bytes_total[5m])", ""),
        ("increase(x_total[5m])", ""),
        ("x_bytes / y_seconds", ""),
        ("x / y", ""),
    ],
)
def test_the_unit_is_read_from_the_names(expr: str, unit: str) -> None:
    assert unit_of(parse(expr).expr) == unit
