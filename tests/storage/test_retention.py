from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from collectors.sample import Sample, Tick
from storage.engine import open_database
from storage.series import SeriesStore

T0 = 1_795_000_000_000
SECOND = 1000
FOREVER = T0 * 2


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 10)


@pytest.fixture
def store(engine: Engine) -> SeriesStore:
    made = SeriesStore(engine, head_minutes=0.1)
    made.load()
    return made


def tick(second: int, *names: str, source: str = "nvml") -> Tick:
    return Tick(source, T0 + second * SECOND, tuple(Sample(name, (), float(second)) for name in names))


def write(store: SeriesStore, seconds: range, *names: str, source: str = "nvml") -> None:
    """Write and seal as the server does."""
    for second in seconds:
        store.append([tick(second, *names, source=source)])
        store.seal()


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def times(store: SeriesStore, name: str = "a") -> list[int]:
    """Seconds after T0 at which the series has samples."""
    found = {series.labels[0][1]: series.times for series in store.select([], 0, FOREVER)}
    return [(int(time) - T0) // SECOND for time in found.get(name, ())]


def test_old_blocks_go_and_what_is_old_in_others_is_not_shown(engine: Engine, store: SeriesStore) -> None:
    for second in range(100):
        store.append([tick(second, "a"), tick(second, "b", source="host")])
        store.seal()
    assert count(engine, "blocks") == 20
    assert store.expire(T0 + 45 * SECOND) == 80  # four blocks of each source
    assert count(engine, "blocks") == 12
    assert times(store, "a") == times(store, "b") == list(range(45, 100))
    assert store.span() == (T0 + 45 * SECOND, T0 + 99 * SECOND)
    assert store.expire(T0 + 45 * SECOND) == 0


def test_what_is_not_shown_stays_so_after_a_restart(engine: Engine, path: Path, store: SeriesStore) -> None:
    write(store, range(100), "a")
    store.expire(T0 + 45 * SECOND)
    store.expire(T0 + 20 * SECOND)  # a shorter setting shows nothing again that was gone
    store.close()
    again = SeriesStore(engine)
    again.load()
    assert times(again)[0] == 45


def test_ticks_that_memory_holds_expire_as_well(store: SeriesStore) -> None:
    write(store, range(5), "a")
    assert store.expire(T0 + 3 * SECOND) == 0
    assert times(store) == [3, 4]


def test_series_and_layouts_go_with_their_last_block(engine: Engine, store: SeriesStore) -> None:
    store.append([tick(0, "gone", "kept")])
    write(store, range(1, 50), "kept")
    assert (count(engine, "series"), count(engine, "layouts")) == (2, 2)
    store.expire(T0 + 20 * SECOND)
    assert (count(engine, "series"), count(engine, "layouts")) == (1, 1)
    assert [series.labels for series in store.select([], 0, FOREVER)] == [(("__name__", "kept"),)]


def test_a_series_that_was_forgotten_may_come_back(engine: Engine, store: SeriesStore) -> None:
    store.append([tick(0, "a", "b")])
    write(store, range(1, 50), "a")
    store.expire(T0 + 30 * SECOND)
    assert times(store, "b") == []
    store.append([tick(50, "a", "b")])
    assert times(store, "b") == [50]
    store.close()
    again = SeriesStore(engine)
    again.load()
    assert times(again, "b") == [50, 50]  # the second is its end, a millisecond later


def test_where_the_lock_is_taken_series_are_forgotten_another_time(
    engine: Engine, store: SeriesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks wait meanwhile: they must not for the half minute that others may take."""
    write(store, range(20), "gone")
    write(store, range(20, 60), "kept")
    with monkeypatch.context() as patched, ExitStack() as elsewhere:
        patched.setattr("storage.series.delete_blocks", lambda *_: elsewhere.enter_context(engine.writing()))  # type: ignore[attr-defined]
        patched.setattr("storage.series.shrink", lambda *_: elsewhere.close())
        patched.setattr("storage.series._FORGET_SECONDS", 0.0)
        store.expire(T0 + 40 * SECOND)
    assert count(engine, "series") == 2
    store.append([tick(60, "kept")])
    store.expire(T0 + 40 * SECOND)
    assert count(engine, "series") == 1
    assert store.labels([], 0, FOREVER) == [(("__name__", "kept"),)]


def test_series_that_a_killed_process_left_behind_go_with_the_next_expiry(
    engine: Engine, store: SeriesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, range(20), "gone")
    write(store, range(20, 60), "kept")
    with monkeypatch.context() as dying:
        dying.setattr(store, "_forget", lambda _: None)
        store.expire(T0 + 40 * SECOND)
    assert count(engine, "series") == 2
    again = SeriesStore(engine, head_minutes=0.1)
    again.load()
    again.expire(T0 + 40 * SECOND)
    assert count(engine, "series") == 1


def test_what_is_still_written_stays_even_when_all_its_ticks_are_old(engine: Engine, store: SeriesStore) -> None:
    store.append([tick(0, "slow", source="disk")])
    write(store, range(100), "fast")
    store.expire(T0 + 50 * SECOND)
    store.append([tick(100, "slow", source="disk")])
    assert times(store, "slow") == [100]


def test_ticks_written_in_between_wait_for_one_small_transaction_only(
    store: SeriesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that retention lets go of the lock, another writer gets in."""
    write(store, range(50), "a")
    written: list[int] = []

    def write_one(_seconds: float) -> None:
        written.append(100 + len(written))
        store.append([tick(written[-1], "a", f"new_{len(written)}")])  # a new series needs the database

    monkeypatch.setattr("storage.retention.time.sleep", write_one)
    assert store.expire(T0 + 50 * SECOND) == 40
    assert len(written) >= 4
    assert times(store) == written


def test_the_file_shrinks_when_much_is_deleted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.SYNCHRONOUS", "OFF")
    fill(path, seconds=4000, series=100)
    before = path.stat().st_size
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    store.expire(T0 + 3900 * SECOND)
    store.close()
    database.dispose()
    assert path.stat().st_size < before / 2
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        assert free * 1024 <= 1 << 20  # what is kept for new history


def test_the_oldest_blocks_of_all_sources_go_until_the_limit_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.SYNCHRONOUS", "OFF")
    fill(path, seconds=2000, series=50)
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    whole = store.size()
    assert store.limit(whole * 2) == 0
    assert store.span() == (T0, T0 + 1999 * SECOND + 1)
    assert store.limit(whole // 2) > 0
    first_ms, last_ms = store.span() or (0, 0)
    assert T0 + 900 * SECOND < first_ms < T0 + 1200 * SECOND
    assert last_ms == T0 + 1999 * SECOND + 1
    assert store.limit(whole // 2) == 0
    store.close()
    database.dispose()
    assert path.stat().st_size <= whole // 2


def test_a_limit_that_all_history_is_too_large_for_deletes_what_it_can(store: SeriesStore) -> None:
    write(store, range(50), "a")
    store.limit(1)
    assert times(store) == [time for time in range(50) if time >= 40]  # what memory answers for stays
    assert store.limit(1) == 0


def test_a_kill_between_two_blocks_leaves_nothing_half_deleted(
    engine: Engine, store: SeriesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, range(50), "a", "b")
    interrupted(store.expire, T0 + 45 * SECOND, monkeypatch)
    with engine.connect() as connection:
        orphans = connection.exec_driver_sql(
            "SELECT count(*) FROM chunks WHERE id >> 32 NOT IN (SELECT id FROM blocks)"
        ).scalar_one()
    assert orphans == 0
    again = SeriesStore(engine)
    again.load()
    assert times(again)[0] == 45
    again.seal(everything=True)
    assert count(engine, "blocks") == 2  # the first thing to be written next deletes what this one did not


def fill(path: Path, seconds: int, series: int) -> None:
    """A database with history that does not compress."""
    chance = random.Random(3)
    database = open_database(path)
    store = SeriesStore(database, head_minutes=0.1)
    store.load()
    for second in range(seconds):
        samples = tuple(Sample(f"series_{number}", (), chance.random()) for number in range(series))
        store.append([Tick("nvml", T0 + second * SECOND, samples)])
        if second % 100 == 99:
            store.seal()
    store.close()
    database.dispose()


class Killed(BaseException):
    """Stands for the end of the process."""


def interrupted(expire: Callable[[int], int], before_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_seconds: float) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr("storage.retention.time.sleep", die)
        with pytest.raises(Killed):
            expire(before_ms)
