"""Buckets of days that are over: made of what the store has, used where they are true, and never in the way."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, STALE, Hints, Labels, Matcher, Sample, Series, Tick
from promql import Engine as Promql
from promql import Matrix
from storage.block import MOMENTS, chunk_id
from storage.engine import open_database
from storage.export import csv_long
from storage.importer import Importer
from storage.openmetrics import Column
from storage.series import SeriesStore
from storage.tier import Tier

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
D0 = 20_000 * DAY  # a midnight
FOREVER = 2 * D0
FUNCTIONS = ("count_over_time", "min_over_time", "max_over_time", "sum_over_time", "avg_over_time")
A: Labels = ((METRIC_NAME, "a"),)


class Plain:
    """The store as if it had no buckets."""

    def __init__(self, store: SeriesStore) -> None:
        self._store = store

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[Series]:
        return self._store.stream(matchers, hints)


class Counted(SeriesStore):
    """A store that counts what queries get."""

    bucketed = 0
    streamed = 0

    def buckets(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[object] | None:  # type: ignore[override]
        found = super().buckets(matchers, hints)
        self.bucketed += found is not None
        return found

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        self.streamed += 1
        return super().stream(matchers, hints)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 50)
    monkeypatch.setattr("storage.reader._LOOK_SECONDS", 0)
    monkeypatch.setattr("storage.tier._STRETCH_SECONDS", 0)
    monkeypatch.setattr("storage.block._PAUSE_SECONDS", 0)
    monkeypatch.setattr("storage.retention._PAUSE_SECONDS", 0)


@pytest.fixture
def store(engine: Engine) -> Counted:
    made = Counted(engine, head_minutes=1)
    made.load()
    return made


@pytest.fixture
def tier(engine: Engine, store: Counted) -> Tier:
    return Tier(engine, store)


def fill(store: SeriesStore, days: range, *names: str, step_ms: int = 10 * MINUTE, source: str = "nvml") -> None:
    """Some days of ticks, all sealed."""
    for time_ms in range(D0 + days.start * DAY + SECOND, D0 + days.stop * DAY, step_ms):
        value = float((time_ms - D0) // MINUTE)
        store.append([Tick(source, time_ms, tuple(Sample(name, (), value) for name in names))])
        store.seal()
    store.seal(everything=True)


def make(tier: Tier, resolution_ms: int = HOUR) -> int:
    """Make all buckets that can be made; returns the days."""
    days = 0
    while tier.step(resolution_ms, FOREVER):
        days += 1
    return days


def blocks(engine: Engine, which: str = "ready AND resolution_ms > 0") -> list[tuple[int, int, int | None]]:
    """Day after ``D0``, resolution and segment of blocks."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(
            f"SELECT (end_ms - 1) / {DAY}, resolution_ms, segment FROM blocks WHERE {which} ORDER BY 1, id"
        )
        return [(day - D0 // DAY, resolution, segment) for day, resolution, segment in rows]


def ask(source: object, query: str, start_ms: int, end_ms: int, step_ms: int) -> Matrix:
    return Promql(source).range(query, start_ms, end_ms, step_ms)  # type: ignore[arg-type]


def assert_same(store: SeriesStore, start_ms: int, end_ms: int, step_ms: int, range_ms: int, selector: str) -> None:
    """Buckets give what samples give; sums up to rounding, which grows with the size of what is added."""
    for name in FUNCTIONS:
        query = f"{name}({selector}[{range_ms}ms])"
        mine, plain = (ask(source, query, start_ms, end_ms, step_ms) for source in (store, Plain(store)))
        assert mine.labels == plain.labels, query
        np.testing.assert_array_equal(mine.present, plain.present, query)
        if name in ("sum_over_time", "avg_over_time"):
            high = _largest(store, selector, range_ms, start_ms, end_ms)
            count = 1 if name == "avg_over_time" else len(range(start_ms, end_ms + 1, step_ms)) * 10_000
            np.testing.assert_allclose(mine.values, plain.values, rtol=1e-9, atol=high * count * 1e-15, err_msg=query)
        else:
            np.testing.assert_array_equal(mine.values, plain.values, query)


def _largest(store: SeriesStore, selector: str, range_ms: int, start_ms: int, end_ms: int) -> float:
    found = [
        float(np.abs(series.values[np.isfinite(series.values)]).max(initial=0.0))
        for series in store.select([Matcher(METRIC_NAME, "=", selector)], start_ms - range_ms, end_ms)
    ]
    return min(max(found, default=0.0), 1e290)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_aligned_windows_are_answered_by_buckets_and_say_what_samples_say(store: Counted, tier: Tier) -> None:
    fill(store, range(3), "a", "b")
    assert make(tier) == 3
    assert_same(store, D0 + 2 * HOUR, D0 + 3 * DAY + 5 * HOUR, HOUR, HOUR, "a")
    assert_same(store, D0 - DAY, D0 + 4 * DAY, 6 * HOUR, DAY, "b")
    assert_same(store, D0 + DAY, D0 + 3 * DAY, DAY, 2 * HOUR, "a")
    assert store.bucketed == 3 * len(FUNCTIONS)
    assert store.streamed == 3 * len(FUNCTIONS)  # the plain way, beside them


@pytest.mark.parametrize(
    ("query", "start_ms", "step_ms"),
    [
        ("avg_over_time(a[90m])", D0, HOUR),
        ("avg_over_time(a[1h])", D0 + MINUTE, HOUR),
        ("avg_over_time(a[1h])", D0, 30 * MINUTE),
        ("avg_over_time(a[1h] offset 1m)", D0, HOUR),
        ("stddev_over_time(a[1h])", D0, HOUR),
        ("a", D0, HOUR),
    ],
)
def test_windows_that_cut_buckets_are_answered_by_samples(
    store: Counted, tier: Tier, query: str, start_ms: int, step_ms: int
) -> None:
    fill(store, range(1), "a")
    make(tier)
    mine, plain = (ask(one, query, start_ms, start_ms + DAY, step_ms) for one in (store, Plain(store)))
    np.testing.assert_array_equal(mine.values, plain.values)
    assert store.bucketed == 0


@pytest.mark.parametrize("query", ["max_over_time(a[1d] @ {end})", "max_over_time(a[1d] offset 1h)"])
def test_moments_that_a_query_names_may_be_aligned_as_well(store: Counted, tier: Tier, query: str) -> None:
    fill(store, range(2), "a")
    make(tier)
    query = query.format(end=(D0 + DAY) // 1000)
    at = D0 + DAY + HOUR
    mine, plain = (Promql(one).instant(query, at) for one in (store, Plain(store)))
    np.testing.assert_array_equal(mine.values, plain.values)  # type: ignore[union-attr]
    assert store.bucketed == 1


def test_minutes_serve_windows_of_hours(store: Counted, tier: Tier) -> None:
    fill(store, range(1), "a", step_ms=40 * SECOND)
    make(tier, MINUTE)
    assert_same(store, D0 + HOUR, D0 + DAY + HOUR, HOUR, HOUR, "a")
    assert_same(store, D0 + HOUR, D0 + 2 * HOUR, MINUTE, 5 * MINUTE, "a")
    assert store.bucketed == 2 * len(FUNCTIONS)


def test_nobody_else_sees_buckets(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(2), "a", "b")
    before = as_told(store)
    make(tier)
    assert as_told(store) == before
    again = SeriesStore(engine)
    again.attach()
    assert as_told(again) == before


def as_told(store: SeriesStore) -> object:
    everything = [(one.labels, one.times.tolist(), one.values.tolist()) for one in store.select([], 0, FOREVER)]
    costs = [cost for cost in store.costs() if cost.source != "buckets"]
    return everything, store.labels([], 0, FOREVER), store.span(), costs, list(csv_long(store, [[]], 0, FOREVER))


def test_what_buckets_take_is_told_apart(store: Counted, tier: Tier) -> None:
    fill(store, range(2), "a", "b")
    make(tier)
    (cost,) = (cost for cost in store.costs() if cost.source == "buckets")
    assert cost.bytes > 0
    assert (cost.samples_per_second, cost.bytes_per_sample) == (0.0, None)


def test_values_whose_sum_may_overflow_are_read_one_by_one(store: Counted, tier: Tier) -> None:
    for hour in range(25):
        store.append([Tick("nvml", D0 + hour * HOUR + SECOND, (Sample("a", (), 1.7e308), Sample("b", (), 1.0)))])
    store.seal(everything=True)
    make(tier)
    for name in ("avg_over_time", "sum_over_time", "max_over_time"):
        text = f"{name}(a[1d])"
        mine, plain = (ask(one, text, D0 + DAY, D0 + DAY, HOUR) for one in (store, Plain(store)))
        np.testing.assert_array_equal(mine.values, plain.values)
    assert store.bucketed == 3


# --- which days ------------------------------------------------------------------------------------------------------


def test_a_day_is_made_once_it_is_over_and_all_of_it_is_in_the_file(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(1), "a")
    store.append([Tick("nvml", D0 + DAY + HOUR, (Sample("a", (), 1.0),))])
    assert not tier.step(HOUR, D0 + DAY - 1)
    assert not tier.step(HOUR, D0 + DAY)  # this very millisecond is of the day as well
    assert tier.step(HOUR, D0 + DAY + 1)
    assert not tier.step(HOUR, FOREVER)  # its successor is in the journal still
    assert [day for day, _, _ in blocks(engine)] == [0]


def test_a_day_without_samples_is_looked_at_once(engine: Engine, store: Counted, tier: Tier) -> None:
    store.append([Tick("nvml", D0 + HOUR, (Sample("a", (), 1.0),))])
    store.append([Tick("nvml", D0 + 3 * DAY + HOUR, (Sample("a", (), 1.0),))])
    store.seal(everything=True)
    assert make(tier) == 4  # two of them lie within the block, and are empty
    assert make(tier) == 0
    assert [day for day, _, _ in blocks(engine)] == [0, 3]
    assert_same(store, D0, D0 + 4 * DAY, HOUR, HOUR, "a")


def test_an_import_into_a_day_lets_it_be_made_anew(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(3), "a")
    make(tier)
    bring(engine, "b", D0 + DAY + HOUR, [5.0])
    bring(engine, "a", D0 + DAY + HOUR + 7, [-9.0])
    assert [day for day, _, _ in blocks(engine)] == [0, 2]
    for _ in range(2):
        assert_same(store, D0, D0 + 3 * DAY, HOUR, HOUR, "a")
        assert_same(store, D0, D0 + 3 * DAY, HOUR, HOUR, "b")
        tier.step(HOUR, D0 + 3 * DAY)
    assert [day for day, _, _ in blocks(engine)] == [0, 1, 2]
    assert blocks(engine, "NOT ready") == []
    found = ask(store, "min_over_time(a[1d])", D0 + 2 * DAY, D0 + 2 * DAY, DAY)
    assert found.values[0, 0] == -9


def bring(engine: Engine, name: str, first_ms: int, values: Sequence[float]) -> None:
    """Import some samples, a second apart."""
    importer = Importer(engine)
    times = first_ms + SECOND * np.arange(len(values), dtype=np.int64)
    importer.take([Column(((METRIC_NAME, name),), times, np.array(values))])
    importer.flush()


def test_an_import_while_a_day_is_made_is_not_missed(
    engine: Engine, store: Counted, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, range(1), "a")
    make_rows = Tier._rows

    def disturbed(self: Tier, *args: object) -> object:
        rows = list(make_rows(self, *args))  # type: ignore[arg-type]
        bring(engine, "a", D0 + HOUR + 7, [-9.0])
        return rows

    with monkeypatch.context() as patched:
        patched.setattr(Tier, "_rows", disturbed)
        assert tier.step(HOUR, FOREVER)
    assert blocks(engine) == []
    assert make(tier) == 1
    assert_same(store, D0, D0 + DAY, HOUR, HOUR, "a")


def test_a_late_tick_lets_its_day_be_made_anew(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(2), "a")
    make(tier)
    store.append([Tick("late", D0 + HOUR + 5, (Sample("a", (("late", "1"),), 7.0),))])
    assert_same(store, D0, D0 + DAY, HOUR, HOUR, "a")  # while it is in memory
    store.seal(everything=True)
    assert [day for day, _, _ in blocks(engine)] == [1]
    assert_same(store, D0, D0 + DAY, HOUR, HOUR, "a")
    assert make(tier) == 1
    assert_same(store, D0, D0 + DAY, HOUR, HOUR, "a")


def test_another_resolution_replaces_the_one_before(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(3), "a")
    make(tier, MINUTE)
    store.expire(D0 + HOUR)
    assert tier.step(HOUR, FOREVER)
    assert blocks(engine) == [(0, MINUTE, 0), (1, HOUR, None), (2, MINUTE, None)]  # the first day's samples are gone
    assert_same(store, D0 + DAY + HOUR, D0 + 3 * DAY, HOUR, HOUR, "a")
    assert make(tier) == 1
    assert make(tier, HOUR) == 0
    assert blocks(engine, "NOT ready") == [(2, MINUTE, None)]  # for the next one to clear away


def test_a_killed_making_leaves_nothing(
    engine: Engine, store: Counted, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, range(1), "a")
    with monkeypatch.context() as patched:
        patched.setattr("storage.block.BlockWriter.publish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tier.step(HOUR, FOREVER)
    assert blocks(engine) == []
    assert len(blocks(engine, "NOT ready")) == 1
    fill(store, range(1, 2), "a")  # sealing leaves it alone
    assert len(blocks(engine, "NOT ready")) == 1
    make(tier)
    assert blocks(engine, "NOT ready") == []
    assert_same(store, D0, D0 + 2 * DAY, HOUR, HOUR, "a")


# --- after samples have expired --------------------------------------------------------------------------------------


def test_series_in_memory_keep_their_own_moments_however_many_are_read_at_once(
    store: Counted, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.coarse._PORTION", 1)
    fill(store, range(1), "a")
    make(tier)
    for source, minutes in (("early", 0), ("late", 150)):
        for tick in range(8):
            sample = Sample("a", (("of", source),), float(tick))
            store.append([Tick(source, D0 + DAY + SECOND + (minutes + tick) * MINUTE, (sample,))])
    assert_same(store, D0 + DAY, D0 + DAY + 4 * HOUR, HOUR, HOUR, "a")
    assert store.bucketed


def test_buckets_outlive_their_samples(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(3), "a")
    make(tier)
    query = "max_over_time(a[1h])"
    before = ask(store, query, D0 + HOUR, D0 + 3 * DAY, HOUR)
    store.expire(D0 + 2 * DAY + 90 * MINUTE)
    after = ask(store, query, D0 + HOUR, D0 + 3 * DAY, HOUR)
    np.testing.assert_array_equal(after.values, before.values)
    assert after.infos == ()
    again = SeriesStore(engine)
    again.load()
    np.testing.assert_array_equal(ask(again, query, D0 + HOUR, D0 + 3 * DAY, HOUR).values, before.values)


def test_what_needs_samples_is_told_that_they_are_gone(store: Counted, tier: Tier) -> None:
    fill(store, range(3), "a", "b")
    make(tier)
    store.expire(D0 + 2 * DAY)
    found = ask(store, "stddev_over_time(a[1h])", D0 + HOUR, D0 + 3 * DAY, HOUR)
    assert found.infos == (
        "PromQL info: history before 2024-10-06T00:00:00Z is kept per hour only: "
        "ask for avg_over_time(…[1h]), or min, max, sum or count, at whole hours",
    )
    assert int(found.times[found.present[0]][0]) == D0 + 2 * DAY + HOUR
    assert ask(store, "stddev_over_time(a[1h])", D0 + 2 * DAY + HOUR, D0 + 3 * DAY, HOUR).infos == ()
    assert ask(store, "stddev_over_time(none[1h])", D0 + HOUR, D0 + 3 * DAY, HOUR).infos == ()


def test_buckets_expire_by_their_own_age_and_their_series_with_them(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(2), "a", "gone")
    fill(store, range(2, 4), "a")
    make(tier)
    store.expire(D0 + 3 * DAY)
    assert series(engine) == {"a", "gone"}
    store.expire_buckets(D0 + DAY + HOUR)
    assert [day for day, _, _ in blocks(engine)] == [1, 2, 3]
    store.expire_buckets(D0 + 3 * DAY + HOUR)
    assert [day for day, _, _ in blocks(engine)] == [3]
    assert series(engine) == {"a"}
    assert blocks(engine, "NOT ready") == []


def series(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.exec_driver_sql("SELECT name FROM series").scalars())


def test_the_buckets_of_a_day_expire_together(
    engine: Engine, store: Counted, tier: Tier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or samples that are still there would be left out of answers, for series of which only the buckets are gone."""
    monkeypatch.setattr("storage.tier.PORTION", 1)
    for hour in range(24):
        ticks = [Tick("long", D0 + hour * HOUR + SECOND, (Sample("a", (), float(hour)),))]
        if hour < 8:
            ticks.append(Tick("short", D0 + hour * HOUR + SECOND, (Sample("b", (), float(hour)),)))
        store.append(ticks)
    fill(store, range(1, 2), "a")
    make(tier)
    assert len(blocks(engine)) == 3
    store.expire_buckets(D0 + 12 * HOUR)
    assert_same(store, D0 + HOUR, D0 + DAY, HOUR, HOUR, "b")
    store.expire_buckets(D0 + DAY + 1)
    assert len(blocks(engine)) == 1
    assert_same(store, D0 + HOUR, D0 + DAY, HOUR, HOUR, "b")


def test_an_import_where_samples_have_expired_keeps_the_buckets_and_is_seen_beside_them(
    engine: Engine, store: Counted, tier: Tier
) -> None:
    fill(store, range(3), "a")
    make(tier)
    store.expire(D0 + 2 * DAY)
    bring(engine, "b", D0 + HOUR + 5, [5.0])
    again = SeriesStore(engine)  # a running store shows nothing again that has expired
    again.load()
    at = D0 + DAY
    found = ask(again, '{__name__=~"a|b"}', at, at, DAY)
    assert found.labels == []
    counts = {
        name: ask(again, f"count_over_time({name}[1d])", at, at, DAY).values.tolist() for name in ("a", "b", "none")
    }
    assert counts == {"a": [[144.0]], "b": [[1.0]], "none": []}
    assert [day for day, _, _ in blocks(engine)] == [0, 1, 2]


def test_what_takes_more_makes_room_for_the_other(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(6), *(f"m{number}" for number in range(40)), step_ms=30 * MINUTE)
    make(tier, MINUTE)
    fill(store, range(6, 7), "m0")
    with engine.connect() as connection:
        pages, free, page = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    store.limit((pages - free) * page * 3 // 4)
    days = [day for day, _, _ in blocks(engine)]
    assert days
    assert days[0] > 0  # buckets of thirty minutes' samples are larger than those
    assert store.span() is not None


# --- damage ----------------------------------------------------------------------------------------------------------


def test_damaged_buckets_are_made_of_samples_again(engine: Engine, store: Counted, tier: Tier) -> None:
    fill(store, range(2), "a", "b")
    make(tier)
    with engine.connect() as connection:
        block, own = connection.exec_driver_sql(
            "SELECT blocks.id, series.id FROM blocks, series WHERE resolution_ms > 0 AND name = 'a' ORDER BY 1"
        ).first() or (0, 0)
    for id in (chunk_id(block, own), chunk_id(block, MOMENTS)):
        with engine.begin() as connection:
            connection.exec_driver_sql('UPDATE chunks SET "values" = ? WHERE id = ?', (b"torn", id))
        fresh = Counted(engine)
        fresh.load()
        assert_same(fresh, D0, D0 + 2 * DAY, HOUR, HOUR, "a")
        assert_same(fresh, D0, D0 + 2 * DAY, HOUR, HOUR, "b")
        assert fresh.unreadable == 1


# --- whatever the samples are ----------------------------------------------------------------------------------------

numbers = st.one_of(
    st.floats(-1e6, 1e6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf, STALE]),
)
moments = st.one_of(
    st.integers(0, 3 * DAY),
    st.builds(lambda hour, off: hour * HOUR + off, st.integers(0, 72), st.integers(-2, 2)),
)
rows = st.dictionaries(
    moments.filter(lambda time: time >= 0),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), numbers, min_size=1),
    min_size=1,
    max_size=40,
)


@contextmanager
def fresh_store() -> Iterator[tuple[Engine, SeriesStore]]:
    with tempfile.TemporaryDirectory() as folder, patch("storage.engine.SYNCHRONOUS", "OFF"):
        database = open_database(Path(folder) / "wakeless.db")
        store = SeriesStore(database, head_minutes=1440)
        store.load()
        try:
            yield database, store
        finally:
            store.close()
            database.dispose()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ticks=rows,
    split=st.integers(0, 3 * DAY),
    resolution_ms=st.sampled_from([MINUTE, HOUR]),
    length=st.sampled_from([(HOUR, HOUR), (HOUR, DAY), (3 * HOUR, HOUR), (DAY, 6 * HOUR), (DAY, DAY)]),
    late=rows,
)
def test_buckets_say_what_samples_say(
    ticks: dict[int, dict[str, float]],
    split: int,
    resolution_ms: int,
    length: tuple[int, int],
    late: dict[int, dict[str, float]],
) -> None:
    with fresh_store() as (database, store), patch("storage.tier.PORTION", 100):
        tier = Tier(database, store)
        for time_ms, found in sorted(ticks.items()):
            # Series move from one source to another in the middle; some stay in memory at the end.
            source = "one" if time_ms < split else "two"
            store.append([Tick(source, D0 + time_ms, tuple(Sample(name, (), one) for name, one in found.items()))])
            if time_ms < split:
                store.seal(everything=True)
        make(tier, resolution_ms)
        step_ms, range_ms = length
        for name in "abc":
            assert_same(store, D0, D0 + 3 * DAY, step_ms, range_ms, name)
        importer = Importer(database)
        for time_ms, found in late.items():
            times = np.array([D0 + time_ms], dtype=np.int64)
            importer.take(Column(((METRIC_NAME, name),), times, np.array([one])) for name, one in found.items())
        importer.flush()
        for _ in range(2):
            for name in "abc":
                assert_same(store, D0, D0 + 3 * DAY, step_ms, range_ms, name)
            make(tier, resolution_ms)
