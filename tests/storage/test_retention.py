from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from collectors.sample import Sample, Tick
from storage.layout import LAYOUT_MASK, LayoutCatalogue
from storage.series import SeriesStore

T0 = 1_795_000_000_000
SECOND = 1000


def small_head(engine: Engine) -> SeriesStore:
    store = SeriesStore(engine, head_minutes=0.1)
    store.load()
    return store


def tick(second: int, *names: str, source: str = "nvml") -> Tick:
    return Tick(source, T0 + second * SECOND, tuple(Sample(name, (), float(second)) for name in names))


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_old_ticks_go_and_newer_ones_stay(engine: Engine) -> None:
    store = small_head(engine)
    for second in range(100):
        store.append([tick(second, "a"), tick(second, "b", source="host")])
    assert store.expire(T0 + 40 * SECOND) == 80
    (a, b) = store.select([], 0, T0 * 2)
    assert a.times.tolist() == b.times.tolist() == [T0 + second * SECOND for second in range(40, 100)]
    assert store.expire(T0 + 40 * SECOND) == 0


def test_many_rows_go_in_several_transactions(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.retention._ROWS", 7)
    store = small_head(engine)
    for second in range(30):
        store.append([tick(second, "a")])
    assert store.expire(T0 + 29 * SECOND) == 29
    assert count(engine, "ticks") == 1


def test_series_and_layouts_go_with_their_last_tick(engine: Engine) -> None:
    store = small_head(engine)
    store.append([tick(0, "gone", "kept")])
    for second in range(1, 50):
        store.append([tick(second, "kept")])
    assert store.expire(T0 + 20 * SECOND) == 20
    assert count(engine, "layouts") == 1
    assert count(engine, "series") == 1
    assert [series.labels for series in store.select([], 0, T0 * 2)] == [(("__name__", "kept"),)]


def test_a_series_that_was_forgotten_may_come_back(engine: Engine) -> None:
    store = small_head(engine)
    store.append([tick(0, "a", "b")])
    store.append([tick(1, "a")])
    store.expire(T0 + 10 * SECOND)
    store.append([tick(20, "a", "b")])
    found = {series.labels[0][1]: series.times.tolist() for series in store.select([], 0, T0 * 2)}
    assert found == {"a": [T0 + 20 * SECOND], "b": [T0 + 20 * SECOND]}
    again = small_head(engine)
    assert {series.labels[0][1] for series in again.select([], 0, T0 * 2)} == {"a", "b"}


def test_what_is_still_written_stays_even_when_all_its_ticks_are_old(engine: Engine) -> None:
    store = small_head(engine)
    store.append([tick(0, "slow", source="disk")])
    for second in range(100):
        store.append([tick(second, "fast")])
    store.expire(T0 + 50 * SECOND)
    store.append([tick(100, "slow", source="disk")])
    assert [series.labels for series in store.select([], T0 + 100 * SECOND, T0 * 2)] == [(("__name__", "slow"),)]


def test_ticks_written_in_between_wait_for_one_small_transaction_only(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that retention lets go of the lock, another writer gets in."""
    monkeypatch.setattr("storage.retention._ROWS", 10)
    store = small_head(engine)
    for second in range(50):
        store.append([tick(second, "a")])
    written: list[int] = []

    def write(_seconds: float) -> None:
        written.append(100 + len(written))
        store.append([tick(written[-1], "a")])

    monkeypatch.setattr("storage.retention.time.sleep", write)
    assert store.expire(T0 + 50 * SECOND) == 50
    assert len(written) >= 4
    (series,) = store.select([], 0, T0 * 2)
    assert series.times.tolist() == [T0 + second * SECOND for second in written]


def test_the_file_shrinks_when_much_is_deleted(engine: Engine, path: Path) -> None:
    store = small_head(engine)
    names = [f"series_{number}" for number in range(200)]
    for second in range(2000):
        store.append([tick(second, *names)])
    with engine.begin() as connection:
        before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    store.expire(T0 + 1900 * SECOND)
    with engine.begin() as connection:
        after = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert after < before / 2
    assert len(store.select([], 0, T0 * 2)[0].times) == 100


def test_ids_of_layouts_are_used_again_once_the_highest_is_taken(engine: Engine) -> None:
    catalogue = LayoutCatalogue()
    with engine.begin() as connection:
        first = catalogue.begin(connection, "a", (1,), T0)
        connection.exec_driver_sql(
            "INSERT INTO layouts (id, source, series, begun_ms) VALUES (?, 'b', x'', 0)", (LAYOUT_MASK,)
        )
        second = catalogue.begin(connection, "a", (2,), T0)
        third = catalogue.begin(connection, "a", (1, 2), T0)
    assert [layout.id for layout in (first, second, third)] == [1, 2, 3]
