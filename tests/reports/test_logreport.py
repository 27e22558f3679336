from __future__ import annotations

import json
import math
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports.logreport as module
from reports.log_field import moment_of, seconds_of, well
from reports.log_table import table
from reports.logreport import read_lines, report_log
from reports.quantile import Quantiles

T0 = 1_795_000_000


def dumped(*lines: Any) -> list[bytes]:
    return [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]


_RECORDS = st.lists(
    st.tuples(
        st.integers(0, 10 * 86_400),
        st.floats(0, 1e5),
        st.sampled_from(["ok", "error", "timeout"]),
        st.sampled_from([None, "id_card", "passport"]),
    ),
    max_size=60,
)


@given(_RECORDS)
@settings(max_examples=150, deadline=None)
def test_figures_equal_those_of_a_plain_computation(records: list[tuple[int, float, str, str | None]]) -> None:
    lines = [
        {
            "timestamp": datetime.fromtimestamp(T0 + at, UTC).isoformat(),
            "duration_ms": took,
            "outcome": outcome,
            "class": kind,
            "error": f"{outcome} {at}" if outcome != "ok" else None,
        }
        for at, took, outcome, kind in records
    ]
    found = report_log(dumped(*lines), zone=UTC)
    assert (found.lines, found.total) == (len(records), len(records))
    if records:
        durations = sorted(one[1] / 1000 for one in records)
        assert found.mean == pytest.approx(math.fsum(durations) / len(durations))
        assert found.p95 == pytest.approx(durations[math.ceil(0.95 * len(durations)) - 1])
        assert found.longest == pytest.approx(durations[-1])
        assert found.success_ratio == pytest.approx(sum(one[2] == "ok" for one in records) / len(records))
    assert found.classes == Counter(one[3] for one in records if one[3])
    assert found.errors == Counter(f"{one[2]} <n>" for one in records if one[2] != "ok")
    hours = Counter(datetime.fromtimestamp(T0 + one[0], UTC).hour for one in records)
    assert found.busiest() == sorted(hours.items(), key=lambda one: (-one[1], one[0]))[:3]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
@settings(deadline=None)
def test_a_quantile_of_many_numbers_is_right_to_a_thousandth(numbers: list[float], share: float) -> None:
    exact, rough = Quantiles(), Quantiles(exact=10)
    for number in numbers:
        exact.add(number)
        rough.add(number)
    right = sorted(numbers)[max(1, math.ceil(share * len(numbers) - 1e-9)) - 1]
    assert exact.at(share) == right
    assert rough.at(share) == pytest.approx(right, rel=0.0011, abs=2e-9)
    assert (exact.exact, rough.exact) == (True, len(numbers) <= 10)


@pytest.mark.parametrize(
    ("line", "duration", "seconds", "outcome"),
    [
        ({"ts": T0, "latency": 1.5, "status": 200}, "latency", 1.5, "status"),
        ({"time": "2026-11-21 09:22:45,123", "elapsed_ms": 12, "success": True}, "elapsed_ms", 0.012, "success"),
        ({"@timestamp": "2026-11-21T09:22:45Z", "took": "250ms", "level": "INFO"}, "took", 0.25, "level"),
        ({"time": T0 * 1000, "metrics": {"total_seconds": 2}, "ok": True}, "metrics.total_seconds", 2.0, "ok"),
        (
            {"timestamp": "21/Nov/2026:09:22:45 +0000", "request_time": "0.004", "status": "200"},
            "request_time",
            0.004,
            "status",
        ),
    ],
)
def test_fields_are_found_by_the_names_that_people_give_them(
    line: dict[str, Any], duration: str, seconds: float, outcome: str
) -> None:
    found = report_log(dumped(line, line))
    assert (found.names.duration, found.names.outcome) == (duration, outcome)
    assert (found.total, found.success_ratio) == (2, 1.0)
    assert found.mean == pytest.approx(seconds)
    assert sum(found.hours.values()) == 2


def test_fields_may_be_named() -> None:
    lines = dumped(
        *({"when": T0, "x": {"how_long": 5}, "duration": 9, "went": code, "kind": "a"} for code in (200, 500))
    )
    given = {"time": "when", "duration": "x.how_long", "outcome": "went", "klass": "kind"}
    found = report_log(lines, given, unit="ms", zone=UTC)
    assert (found.mean, found.success_ratio, found.classes) == (0.005, 0.5, {"a": 2})
    assert found.errors == {"<n>": 1}


def test_our_own_log_is_understood() -> None:
    request = {"event": "request", "level": "info", "timestamp": "2026-11-21T09:22:45.798Z", "route": "/predict"}
    found = report_log(
        dumped(
            {"event": "model_ready", "level": "info", "timestamp": "2026-11-21T09:22:40Z", "load_seconds": 2.0},
            {**request, "status": 200, "duration_ms": 14.2},
            {"event": "decode_raised", "level": "error", "exception": "ValueError: no 7"},
            {**request, "status": 500, "duration_ms": 30.0},
        )
    )
    assert (found.total, found.success_ratio, found.longest) == (2, 0.5, 0.03)
    assert found.unused == {"no result": 1, "error without a result": 1}


def test_where_results_say_nothing_of_failure_lines_with_errors_are_the_failures() -> None:
    found = report_log(
        dumped(
            *({"event": "inference_complete", "duration_ms": 10, "result": {"class": "id_card"}} for _ in range(3)),
            {"event": "inference_error", "error_type": "CUDA OOM"},
            {"event": "request_received"},
        )
    )
    assert (found.total, found.success_ratio) == (4, 0.75)
    assert found.errors == {"CUDA OOM": 1}
    assert found.classes == {"id_card": 3}
    assert found.unused == {"no result": 1}


def test_one_event_can_be_asked_for() -> None:
    lines = dumped(*({"event": one, "duration_ms": took} for one, took in (("a", 1), ("b", 100), ("a", 3))))
    found = report_log(lines, event="a")
    assert (found.total, found.longest, found.unused) == (2, 0.003, {"another event": 1})


def test_lines_that_cannot_be_used_are_counted_by_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 100)
    good = {"time": T0, "duration": 1, "status": "ok"}
    data = b"".join(
        [
            *dumped(good),
            b"no json\n\n\xff\xfe\n[1]\n",
            b'{"x": "' + b"y" * 5000 + b'"}\n',
            *dumped(good | {"time": "yesterday"}, good | {"duration": -1}, good | {"duration": None, "status": None}),
        ]
    )
    found = report_log(read_lines(BytesIO(data)))
    assert found.lines == 8
    assert found.total == 3
    assert found.unused == {
        "not JSON": 2,
        "not an object": 1,
        "longer than 1 MiB": 1,
        "time not understood (counted all the same)": 1,
        "duration not understood (counted all the same)": 1,
        "no result": 1,
    }


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(deadline=None)
def test_any_bytes_make_a_report(pieces: list[bytes]) -> None:
    found = report_log(read_lines(BytesIO(b"\n".join(pieces))))
    assert table(found)
    assert json.dumps(found.as_dict())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["status", "error", "time", "x"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["time", "duration", "status", "class", "error", "event"]), _JSON), max_size=8
    )
)
@settings(deadline=None)
def test_fields_may_hold_anything(lines: list[dict[str, Any]]) -> None:
    found = report_log(dumped(*lines))
    for language in ("en", "zh"):
        assert table(found, language)


@pytest.mark.parametrize(
    "value", [T0, str(T0), T0 * 1000, T0 * 10**6, T0 * 10**9, "2026-11-18T11:06:40Z", "2026-11-18 11:06:40+00:00"]
)
def test_moments_are_understood_in_many_forms(value: object) -> None:
    found = moment_of(value, UTC)
    assert found is not None
    assert found.timestamp() == pytest.approx(T0)


def test_a_moment_without_a_zone_is_in_that_of_the_report() -> None:
    found = moment_of("2026-11-18T19:06:40", ZoneInfo("Asia/Shanghai"))
    assert found is not None
    assert found.timestamp() == T0


@pytest.mark.parametrize("value", ["", "soon", -5, 3, True, None, [], {}, float("nan"), float("inf"), "9" * 30])
def test_what_is_no_moment_is_none(value: object) -> None:
    assert moment_of(value, UTC) is None


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (True, True), (False, False), (200, True), (404, False), ("503", False), ("OK", True), ("done", True),
        ("timeout", False),        ("WARNING", True), ("critical", False),
        (0, None), (1, None), (17, None), ("", None), (None, None), ([], None),
    ],
)  # fmt: skip
def test_outcomes_are_good_or_bad_or_say_nothing(value: object, verdict: bool | None) -> None:
    assert well(value) is verdict


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3, 3.0),
        ("3", 3.0),
        ("12ms", 0.012),
        (" 1.5 s ", 1.5),
        ("7µs", 7e-6),
        (-1, None),
        ("fast", None),
        (True, None),
        (float("nan"), None),
    ],
)
def test_durations_are_numbers_or_say_their_unit(value: object, seconds: float | None) -> None:
    assert seconds_of(value, 1.0) == (None if seconds is None else pytest.approx(seconds))


def test_the_table_is_aligned_in_both_languages() -> None:
    lines = dumped(*({"time": T0, "duration": 0.1, "status": "ok", "class": name} for name in ("身份证", "passport")))
    found = report_log(lines, zone=UTC)
    english, chinese = table(found, "en", UTC), table(found, "zh", UTC)
    assert "Success rate  100.00%" in english
    assert "  身份证    1  ███" in english
    assert "  passport  1  ███" in english
    assert "成功率      100.00%" in chinese
    assert not [word for word in ("Success", "Fields", "Busiest") if word in chinese]
