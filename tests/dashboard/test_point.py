"""Points as the Prometheus API writes them."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.point import leads, points, time_as_text, times_as_text, value_as_text, values_as_text


def slowly(value: float) -> str:
    """What Go writes, digit by digit: the shortest digits, with an exponent below 1e-6 and from 1e21 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text, minus = "".join(map(str, digits)), "-" if sign else ""
    power = len(text) - 1 + exponent
    if value == 0:
        return minus + "0"
    if not -7 < power < 21:
        decimals = "." + text[1:] if len(text) > 1 else ""
        return f"{minus}{text[0]}{decimals}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return minus + "0." + "0" * (-power - 1) + text
    whole = text[: power + 1].ljust(power + 1, "0")
    return minus + whole + ("." + text[power + 1 :] if len(text) > power + 1 else "")


ANY = st.floats() | st.integers(-(2**70), 2**70).map(float) | st.floats(-1e-4, 1e-4) | st.integers(-99, 99).map(float)


@given(st.lists(ANY, max_size=20))
def test_values_are_written_as_go_writes_them(values: list[float]) -> None:
    expected = [slowly(value) for value in values]
    assert [text.decode() for text in values_as_text(np.array(values, dtype=np.float64))] == expected
    assert [value_as_text(value).decode() for value in values] == expected


@given(st.floats(allow_nan=False))
def test_a_value_reads_back_as_itself(value: float) -> None:
    assert float(value_as_text(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (100.0, "100"),
        (0.1, "0.1"),
        (1e-5, "0.00001"),
        (-1.25e-6, "-0.00000125"),
        (9.999e-7, "9.999e-07"),
        (1.25e-10, "1.25e-10"),
        (123456789012345680.0, "123456789012345680"),
        (1.5e20, "150000000000000000000"),
        (1e21, "1e+21"),
        (-1.5e300, "-1.5e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_value_is_written_as_go_does(value: float, text: str) -> None:
    assert value_as_text(value).decode() == text == slowly(value)


def test_values_may_be_read_only_or_every_second_one() -> None:
    values = np.arange(6.0)
    values.setflags(write=False)
    assert values_as_text(values[::2]) == [b"0", b"2", b"4"]
    assert values_as_text(values[:0]) == []


@given(st.lists(st.integers(-(10**13), 10**16), max_size=20))
def test_times_are_seconds_with_three_decimals_or_none(times: list[int]) -> None:
    found = times_as_text(np.array(sorted(times), dtype=np.int64))
    assert found == [time_as_text(time_ms) for time_ms in sorted(times)]
    for time_ms, text in zip(sorted(times), found, strict=True):
        assert Decimal(text.decode()) * 1000 == time_ms
        assert len(text.partition(b".")[2]) in (0, 3)


@given(st.lists(st.tuples(st.integers(0, 10**13), ANY), min_size=1, max_size=20))
def test_points_are_pairs_of_a_number_and_a_text(pairs: list[tuple[int, float]]) -> None:
    times, values = np.array([time for time, _ in pairs]), np.array([value for _, value in pairs])
    found = json.loads(points(leads(times_as_text(times)), values_as_text(values)))
    assert found == [[time / 1000, slowly(value)] for time, value in pairs]
