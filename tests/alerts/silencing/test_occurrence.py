"""The next time a window opens is the one that asking every minute would find."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.routing.calendar import TimeInterval, contains_any, parse_intervals
from alerts.silencing.occurrence import Occurrence, next_occurrence

MINUTE = 60_000


def moment(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def occurrence(start: str, end: str, zone: str = "UTC") -> Occurrence:
    return Occurrence(moment(start, zone), moment(end, zone))


NIGHT = {"start_time": "02:00", "end_time": "04:00"}


@pytest.mark.parametrize(
    ("entry", "now", "wanted"),
    [
        ({"times": [NIGHT], "weekdays": ["saturday"]}, "2026-11-18T12:00", ("2026-11-21T02:00", "2026-11-21T04:00")),
        ({"times": [NIGHT]}, "2026-11-18T03:00", ("2026-11-18T03:00", "2026-11-18T04:00")),
        ({"weekdays": ["saturday:saturday"]}, "2026-11-18T12:00", ("2026-11-21T00:00", "2026-11-22T00:00")),
        ({"days_of_month": ["-1"]}, "2027-02-03T12:00", ("2027-02-28T00:00", "2027-03-01T00:00")),
        ({"months": ["august"]}, "2026-11-18T12:00", ("2027-08-01T00:00", "2027-09-01T00:00")),
        (
            {"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "05:00"}]},
            "2026-11-18T12:00",
            ("2026-11-18T22:00", "2026-11-19T05:00"),  # through midnight
        ),
    ],
)
def test_it_is_found(entry: dict[str, Any], now: str, wanted: tuple[str, str]) -> None:
    assert next_occurrence(parse_intervals([entry]), moment(now)) == occurrence(*wanted)


def test_it_is_at_the_hour_of_its_place_in_winter_and_in_summer() -> None:
    intervals = parse_intervals([{"times": [NIGHT], "location": "Europe/Berlin"}])
    for day in ("2026-01-10", "2026-07-10"):
        found = next_occurrence(intervals, moment(f"{day}T01:00", "Europe/Berlin"))
        assert found == occurrence(f"{day}T02:00", f"{day}T04:00", "Europe/Berlin")


def test_it_ends_early_where_the_clock_skips_its_end() -> None:
    intervals = parse_intervals(
        [{"times": [{"start_time": "01:30", "end_time": "02:30"}], "location": "Europe/Berlin"}]
    )
    found = next_occurrence(intervals, moment("2026-03-29T00:00", "Europe/Berlin"))
    assert found == Occurrence(moment("2026-03-29T00:30"), moment("2026-03-29T01:00"))


def test_one_that_never_opens_has_none_and_one_that_never_closes_has_no_end() -> None:
    assert next_occurrence(parse_intervals([{"years": ["2001"]}]), moment("2026-01-01T00:00")) is None
    assert next_occurrence((), moment("2026-01-01T00:00")) is None
    assert next_occurrence(parse_intervals([{}]), moment("2026-01-01T00:00")) == Occurrence(
        moment("2026-01-01T00:00"), None
    )


_CLOCK = st.integers(0, 23).flatmap(
    lambda hour: st.just({"start_time": f"{hour:02}:00", "end_time": f"{hour:02}:30" if hour % 2 else "24:00"})
)
_INTERVAL = st.fixed_dictionaries(
    {},
    optional={
        "times": st.lists(_CLOCK, min_size=1, max_size=2),
        "weekdays": st.sampled_from([["monday"], ["tuesday:thursday"], ["sunday", "friday:saturday"]]),
        "location": st.sampled_from(["Asia/Shanghai", "America/New_York", "Pacific/Kiritimati"]),
    },
).map(TimeInterval.parse)


@settings(deadline=None, max_examples=40)
@given(st.lists(_INTERVAL, min_size=1, max_size=2), st.integers(0, 7 * 24 * 4))
def test_it_is_what_asking_every_quarter_of_an_hour_finds(intervals: list[TimeInterval], quarter: int) -> None:
    now = moment("2026-06-01T00:00") + quarter * 15 * MINUTE
    quarters = [now + step * 15 * MINUTE for step in range(8 * 96)]
    start = next(one for one in quarters if contains_any(intervals, one))
    end = next((one for one in quarters if one > start and not contains_any(intervals, one)), None)
    found = next_occurrence(intervals, now)
    assert found is not None
    assert found.start_ms == start
    if end is not None:
        assert found.end_ms == end
