"""Clocks that are corrected, changed by law, or asleep: what history has then, by rule."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from collectors.sample import Sample, Tick
from promql import Engine as QueryEngine
from storage.export import csv_long
from storage.series import SeriesStore

T0 = 1_795_248_000_000  # 2026-11-21T08:00:00Z
HOUR = 3_600_000


def tick(time_ms: int, value: float = 1.0) -> Tick:
    return Tick("host", time_ms, (Sample("a", (), value),))


def times(store: SeriesStore, start_ms: int = 0) -> list[int]:
    return [time_ms for series in store.select([], start_ms, 2 * T0) for time_ms in series.times.tolist()]


@pytest.mark.parametrize("step_ms", [-900, -200, -3, 3, 400])
def test_a_clock_that_is_corrected_by_less_than_a_tick_drops_nothing(store: SeriesStore, step_ms: int) -> None:
    """As NTP does it; ticks that are late or early by some milliseconds are the same."""
    moments = [T0 + second * 1000 + (step_ms if second >= 5 else 0) for second in range(10)]
    for moment in moments:
        store.append([tick(moment)])
    assert times(store) == moments
    assert store.dropped == 0


def test_a_clock_that_is_set_back_by_seconds_drops_the_seconds_that_come_twice(store: SeriesStore) -> None:
    for second in (0, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6):
        store.append([tick(T0 + second * 1000, second)])
    assert times(store) == [T0 + second * 1000 for second in range(7)]
    assert store.dropped == 4


def test_a_clock_that_was_years_ahead_costs_no_history_of_before_and_the_count_says_what_is_dropped_since(
    store: SeriesStore, engine: Engine
) -> None:
    """A board without a battery, for a moment; also after a restart."""
    store.append([tick(T0)])
    store.append([tick(T0 + 20 * 365 * 24 * HOUR)])
    store.append([tick(T0 + 1000)])
    assert times(store)[0] == T0
    again = SeriesStore(engine)
    again.load()
    again.append([tick(T0 + 2000)])
    dropped = [series for series in again.select([], T0, T0 + HOUR) if ("__name__", "a") not in series.labels]
    assert again.dropped == 1
    assert dropped  # and the count of what is dropped says so at today's time


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("change_s", [1_774_746_000, 1_792_890_000])  # 2026-03-29 and 2026-10-25, 01:00 UTC
def test_daylight_saving_time_neither_drops_nor_doubles_anything(store: SeriesStore, change_s: int) -> None:
    assert time.localtime(change_s).tm_isdst != time.localtime(change_s - 1).tm_isdst
    moments = [(change_s + minute * 60) * 1000 for minute in range(-90, 91)]
    for moment in moments:
        store.append([tick(moment)])
    assert times(store) == moments
    rows = b"".join(csv_long(store, [[]], moments[0], moments[-1])).decode().splitlines()[1:]
    assert len({row.split(",")[0] for row in rows}) == len(moments)
    assert rows == sorted(rows)


def test_a_machine_that_slept_leaves_a_gap_and_goes_on(store: SeriesStore, engine: Engine) -> None:
    for second in range(60):
        store.append([tick(T0 + second * 1000)])
    store.append([tick(T0 + 8 * HOUR)])
    query = QueryEngine(store)

    def seen(expression: str, time_ms: int) -> list[float]:
        values: list[float] = query.instant(expression, time_ms).values.tolist()  # type: ignore[union-attr]
        return values

    assert store.dropped == 0
    assert seen("a", T0 + 4 * HOUR) == []
    assert seen("a", T0 + 8 * HOUR) == [1]
    assert seen("count_over_time(a[9h])", T0 + 8 * HOUR) == [61]
    store.seal(everything=True)
    assert times(store) == [*(T0 + second * 1000 for second in range(60)), T0 + 8 * HOUR]
