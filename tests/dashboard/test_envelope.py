"""Numbers and moments as Prometheus writes them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.envelope import exponential, number, rfc3339, timestamp


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (1e-5, "0.00001"),
        (1e-6, "0.000001"),
        (1e-7, "1e-07"),
        (1.25e-10, "1.25e-10"),
        (123456789012345680.0, "123456789012345680"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_value_is_written_as_go_does(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False))
def test_a_value_reads_back_as_itself(value: float) -> None:
    assert float(number(value)) == value
    assert float(exponential(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0e+00"),
        (1.0, "1e+00"),
        (85.5, "8.55e+01"),
        (0.001, "1e-03"),
        (1e100, "1e+100"),
        (-2e10, "-2e+10"),
        (math.inf, "+Inf"),
        (None, "NaN"),
    ],
)
def test_an_alerts_value_has_an_exponent(value: float | None, text: str) -> None:
    assert exponential(value) == text


def test_a_moment_is_seconds_to_the_millisecond() -> None:
    assert timestamp(1435781430781) == 1435781430.781
    assert repr(timestamp(1435781430000)) == "1435781430"
    assert rfc3339(1435781430781) == "2015-07-01T20:10:30.781Z"
    assert rfc3339(None) == "0001-01-01T00:00:00Z"
