"""Time intervals hold the moments that Alertmanager's would, and refuse what it refuses."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.routing.calendar import CalendarError, TimeInterval, contains_any, parse_intervals


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("entry", "moment", "inside"),
    [
        ({}, "2026-11-21 03:00", True),
        ({"times": [{"start_time": "22:00", "end_time": "24:00"}]}, "2026-11-21 23:59:59", True),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-11-21 17:00", False),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-11-21 16:59:59.999", True),
        ({"weekdays": ["monday:friday"]}, "2026-11-21 12:00", False),  # a Saturday
        ({"weekdays": ["Saturday", "sunday"]}, "2026-11-21 12:00", True),
        ({"weekdays": ["saturday"], "location": "Asia/Shanghai"}, "2026-11-20 17:00", True),
        (
            {"times": [{"start_time": "01:00", "end_time": "02:00"}], "location": "Asia/Shanghai"},
            "2026-11-20 17:30",
            True,
        ),
        ({"days_of_month": ["-1"]}, "2026-02-28 12:00", True),
        ({"days_of_month": ["-1"]}, "2024-02-28 12:00", False),
        ({"days_of_month": ["29:31"]}, "2026-02-28 12:00", False),
        ({"days_of_month": ["20:31"]}, "2026-02-28 12:00", True),
        ({"days_of_month": ["1", "-3:-1"]}, "2026-11-28 12:00", True),
        ({"months": ["november:december", "1"]}, "2026-01-05 12:00", True),
        ({"months": ["february:3"]}, "2026-04-05 12:00", False),
        ({"years": ["2020:2025", 2027]}, "2026-04-05 12:00", False),
        ({"weekdays": []}, "2026-11-21 12:00", False),  # as Alertmanager has it: no day is in an empty list
        ({"weekdays": None}, "2026-11-21 12:00", True),
    ],
)
def test_a_moment_is_inside_when_every_field_holds_it(entry: dict[str, Any], moment: str, inside: bool) -> None:
    assert TimeInterval.parse(entry).contains(_ms(moment)) is inside


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"times": [{"start_time": "22:00", "end_time": "06:00"}]}, "times: start time cannot be equal or greater"),
        ({"times": [{"start_time": "22:00"}]}, "times: both start and end times must be provided"),
        ({"times": [{"start_time": "9:00", "end_time": "17:00"}]}, "couldn't parse timestamp 9:00"),
        ({"times": [{"start_time": "09:00", "end_time": "24:01"}]}, "couldn't parse timestamp 24:01"),
        ({"weekdays": ["friday:monday"]}, "weekdays: start day cannot be before end day"),
        ({"weekdays": ["funday"]}, "funday is not a valid weekday"),
        ({"weekdays": ["a:b:c"]}, "invalid format"),
        ({"weekdays": "monday"}, "weekdays: must be a list"),
        ({"days_of_month": ["0"]}, "out of range"),
        ({"days_of_month": ["-5:5"]}, "end day must be negative if start day is negative"),
        ({"days_of_month": ["20:10"]}, "always before start day 20"),
        ({"days_of_month": ["1_0"]}, "not a whole number"),
        ({"months": ["march:february"]}, "end month 2 is before start month 3"),
        ({"months": ["brumaire"]}, "brumaire is not a valid month"),
        ({"years": ["2026:2025"]}, "end year 2025 is before start year 2026"),
        ({"years": [True]}, "years: range: must be text"),
        ({"location": "Mars/Olympus"}, "location: unknown time zone Mars/Olympus"),
        ({"location": "../../etc/passwd"}, "location: unknown time zone"),
        ({"hours": []}, "unknown field 'hours'"),
        (["monday"], "must be a mapping"),
    ],
)
def test_what_cannot_be_is_refused_by_name(entry: Any, message: str) -> None:
    with pytest.raises(CalendarError, match=re.escape(message)) as caught:
        TimeInterval.parse(entry)
    assert "\n" not in str(caught.value)


def test_a_list_holds_a_moment_when_any_of_its_intervals_does() -> None:
    night = [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "07:00"}]
    intervals = parse_intervals([{"weekdays": ["saturday", "sunday"]}, {"times": night}])
    assert contains_any(intervals, _ms("2026-11-21 12:00"))
    assert contains_any(intervals, _ms("2026-11-20 23:00"))
    assert not contains_any(intervals, _ms("2026-11-20 12:00"))
    assert parse_intervals(None) == ()


@given(
    st.dictionaries(
        st.sampled_from(["times", "weekdays", "days_of_month", "months", "years", "location", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=12), lambda inner: st.lists(inner, max_size=3)
        ),
    )
)
def test_nothing_but_its_own_error_comes_of_bad_input(entry: dict[str, Any]) -> None:
    with suppress(CalendarError):
        assert TimeInterval.parse(entry).contains(0) in (True, False)
