from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from collectors.sample import Sample, Tick
from storage.block import Block
from storage.cost import DAY_MS, SourceCost, disk_bytes, growth, reaches_limit_ms, source_costs
from storage.head import Section, SectionView
from storage.series import SeriesStore

T0 = 1_795_000_000_000
SECOND = 1000
GB = 1_000_000_000


def block(source: str, start_ms: int, end_ms: int, samples: int, size: int, *, resolution_ms: int = 0) -> Block:
    return Block(1, source, 1, resolution_ms, start_ms, end_ms, samples, samples, frozenset((1, 2)), size)


def write(store: SeriesStore, seconds: range) -> None:
    for second in seconds:
        time_ms = T0 + second * SECOND
        ticks = [Tick("fast", time_ms, tuple(Sample(name, (), second * 1.1) for name in "abc"))]
        if second % 10 == 0:
            ticks.append(Tick("slow", time_ms, (Sample("d", (), float(second)),)))
        store.append(ticks)


def test_every_source_has_its_bytes_and_its_pace(engine: Engine, store: SeriesStore) -> None:
    write(store, range(1000))
    store.seal(everything=True)
    fast, slow = store.costs()
    assert (fast.source, fast.series, slow.source, slow.series) == ("fast", 3, "slow", 1)
    assert fast.samples_per_second == pytest.approx(3, rel=0.01)
    assert slow.samples_per_second == pytest.approx(0.1, rel=0.01)
    assert fast.bytes_per_sample == pytest.approx(fast.bytes / 3000)
    with engine.connect() as connection:
        lying = connection.exec_driver_sql('SELECT sum(length("values")) FROM chunks').scalar_one()
    assert fast.bytes + slow.bytes == lying


def test_what_is_not_sealed_yet_has_a_pace_and_no_bytes(store: SeriesStore) -> None:
    write(store, range(100))
    fast, slow = store.costs()
    assert (fast.series, fast.bytes, fast.bytes_per_sample) == (3, 0, None)
    assert fast.samples_per_second == pytest.approx(3, rel=0.05)
    assert slow.samples_per_second == pytest.approx(0.1, rel=0.05)


def test_memory_is_looked_at_while_nobody_writes(store: SeriesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that appears meanwhile would break the look."""
    store.append([Tick("fast", T0, (Sample("a", (), 1.0),))])
    view = Section.view

    def appended(section: Section) -> SectionView:
        assert store._timeline._lock.locked()
        return view(section)

    monkeypatch.setattr(Section, "view", appended)
    assert [cost.source for cost in store.costs()] == ["fast"]


def test_the_pace_is_that_of_the_last_day() -> None:
    day = [block("a", T0 + 2 * DAY_MS, T0 + 3 * DAY_MS, samples=864_000, size=GB)]
    before = [block("a", T0, T0 + DAY_MS, samples=86_400, size=GB)]
    (cost,) = source_costs([*before, *day], [])
    assert cost.samples_per_second == pytest.approx(10)
    assert cost.bytes == 2 * GB


def test_a_block_that_reaches_into_the_last_day_counts_in_part() -> None:
    (cost,) = source_costs([block("a", T0, T0 + 2 * DAY_MS, samples=2 * 86_400, size=1)], [])
    assert cost.samples_per_second == pytest.approx(1)


def test_what_was_imported_has_bytes_and_no_pace() -> None:
    day = block("a", T0, T0 + DAY_MS, samples=864_000, size=GB)
    future = replace(block("import", T0 + 9999 * DAY_MS, T0 + 9999 * DAY_MS, samples=1, size=20), segment=None)
    found = {cost.source: cost for cost in source_costs([day, future], [])}
    assert found["a"].samples_per_second == pytest.approx(10)
    assert (found["import"].samples_per_second, found["import"].bytes, found["import"].series) == (0, 20, 2)


def test_the_coarser_tier_costs_bytes_and_counts_no_samples() -> None:
    fine = block("a", T0, T0 + DAY_MS, samples=86_400, size=86_400)
    (cost,) = source_costs([fine, block("a", T0, T0 + DAY_MS, 1440, 10_000, resolution_ms=60_000)], [])
    assert cost.samples_per_second == pytest.approx(1)
    assert cost.bytes == 96_400


def test_sources_that_carry_a_moment_in_their_name_are_told_as_one() -> None:
    costs = source_costs([block(f"dropped@{moment}", T0, T0 + DAY_MS, 10, 5) for moment in (1, 2)], [])
    assert [(cost.source, cost.bytes) for cost in costs] == [("dropped", 10)]


def test_without_history_there_are_no_costs(store: SeriesStore) -> None:
    assert store.costs() == []


def test_growth_counts_what_has_no_blocks_yet_as_the_others() -> None:
    known = SourceCost("a", 1, samples_per_second=10.0, bytes=100, bytes_per_sample=2.0)
    fresh = SourceCost("b", 1, samples_per_second=5.0, bytes=0, bytes_per_sample=None)
    assert growth([known, fresh]) == pytest.approx(30.0)
    assert growth([fresh]) == 0.0


def when(
    bytes: int, growth_a_day: float, *, age_days: float, limit: int = 10 * GB, retention: float = 30
) -> float | None:
    """Days until the limit."""
    found = reaches_limit_ms(
        bytes,
        limit,
        growth_a_day / 86_400,
        oldest_ms=T0 - int(age_days * DAY_MS),
        now_ms=T0,
        retention_ms=retention * DAY_MS,
    )
    return None if found is None else (found - T0) / DAY_MS


def test_the_limit_is_reached_when_growth_has_filled_what_is_left() -> None:
    assert when(4 * GB, growth_a_day=GB, age_days=4) == pytest.approx(6, abs=0.01)


def test_it_is_never_reached_where_what_is_old_leaves_before() -> None:
    assert when(1 * GB, growth_a_day=0.1 * GB, age_days=10) is None
    assert when(3 * GB, growth_a_day=0.1 * GB, age_days=30) is None
    assert when(1 * GB, growth_a_day=0.0, age_days=10) is None


def test_faster_growth_reaches_it_although_what_is_old_leaves() -> None:
    """Thirty days at 0.1 GB a day are there, and 0.5 GB come for every 0.1 GB that goes."""
    assert when(3 * GB, growth_a_day=0.5 * GB, age_days=30) == pytest.approx(7 / 0.4, abs=0.01)


def test_a_limit_that_is_reached_is_in_the_present() -> None:
    assert when(10 * GB, growth_a_day=GB, age_days=10) == 0
    assert when(11 * GB, growth_a_day=0, age_days=10) == 0


def test_a_minute_of_history_foretells_nothing() -> None:
    assert when(1000, growth_a_day=GB * GB, age_days=0.0001) is None


def test_the_size_is_that_of_all_files(path: Path, store: SeriesStore) -> None:
    write(store, range(50))
    journal = path.with_suffix(".journal")
    assert store.size() == sum(
        file.stat().st_size for file in [*journal.iterdir(), *path.parent.glob("wakeless.db*")]
    ) - (path.with_name("wakeless.db-shm").stat().st_size)
    assert disk_bytes(path.with_name("nothing.db"), path.with_name("nowhere")) == 0
