"""Reading times, durations and windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.parameter import parse_duration, parse_own_time, parse_time
from tests.dashboard.house import House


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1435781430.781", 1435781430781),
        ("1435781430", 1435781430000),
        ("1.5e9", 1500000000000),
        ("-1", -1000),
        ("2015-07-01T20:10:30.781Z", 1435781430781),
        ("2015-07-01t20:10:30z", 1435781430000),
        ("2015-07-01T22:10:30.781999999+02:00", 1435781430781),
        ("0.0015", 2),
        ("1700000000.0005", 1700000000000),  # what a float keeps of it is less than a half
        ("-1700000000.25", -1700000000250),
        ("1e15", 10**18),
        ("-292273086-05-16T16:47:06Z", -9223309901257974000),
        ("292277025-08-18T07:12:54.999999999Z", 9223309901257974999),
        ("1969-12-31T23:59:59Z", -1000),
    ],
)
def test_a_time_is_rfc_3339_or_seconds(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "NaN",
        "inf",
        "1e400",
        "1_000",
        " 1",
        "1 ",
        "٣",
        "2015-07-01",
        "2015-07-01T20:10:30",
        "1e16",
        "1" * 60,
        "-292273086-05-16T16:47:07Z",
        "2015-13-01T20:10:30Z",
        "2015-07-01T25:10:30Z",
        "0x10",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_time(text)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_moment_survives_being_written(moment: datetime) -> None:
    read = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=parse_time(moment.isoformat()))
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@given(st.text(max_size=40))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (parse_time, parse_own_time, parse_duration):
        try:
            assert isinstance(read(text), int)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either outcome is fine; only another exception is not


def test_our_own_api_takes_milliseconds_too() -> None:
    assert parse_own_time("1435781430781") == parse_own_time("1435781430.781") == 1435781430781


@pytest.mark.parametrize("text", ["1e15", "-1e12", "292277025-08-18T07:12:54.999999999Z"])
def test_our_own_api_keeps_to_the_calendar(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time that a calendar has"):
        parse_own_time(text)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("15", 15000),
        ("0.5", 500),
        ("1m30s", 90000),
        ("1d", 86_400_000),
        ("250ms", 250),
        ("1y2w3d4h5m6s7ms", 33019506007),
    ],
)
def test_a_duration_is_seconds_or_prometheus_notation(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "-1", "1x", "s", "1s1m", "1.5m", "9" * 99 + "y", "nan", "1 m"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/api/events?start=x", "start"),
        ("/api/incidents?end=x", "end"),
        ("/api/events?start=20&end=10", "start"),
        ("/api/requests?limit=1001", "limit"),
        ("/api/requests?limit=-1", "limit"),
        ("/api/requests?limit=٣", "limit"),
        ("/api/requests?outcome=great", "outcome"),
        ("/api/alerts?state=silent", "state"),
        ("/api/export.csv?step=0", "step"),
        ("/api/export.csv?step=x", "step"),
        ("/api/export.csv?format=xml", "format"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(calm: House, query: str, field: str) -> None:
    answer = calm.visitor().get(query, headers=calm.token("viewer"))
    assert answer.status_code == 422
    document = answer.get_json()
    assert document["field"] == field
    assert document["detail"].startswith(f"{field}: ")
