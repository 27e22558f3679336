"""A file of the first schema, made with its own SQL, becomes what the program of today reads."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from collectors.sample import STALE_BITS, Matcher, Sample, Tick, stale_mask
from storage.engine import Database, open_database
from storage.migrations.upgrade import upgrade
from storage.retention import shrink
from storage.series import SeriesStore

ROOT = Path(__file__).parents[2]
T0 = 1_795_000_000_000
FOREVER = T0 * 2

Row = tuple[int, int, list[float]]  # time, layout, values


def old_file(path: Path, layouts: dict[int, tuple[str, list[int], bool]], rows: Iterable[Row], series: int) -> None:
    """A database as schema 0001 has it. ``layouts``: id → source, series, whether it is open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
    database = Database.open(path)
    upgrade(database, to="0001")
    database.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        names = [(id, f"metric_{id}", f'[["at","{id}"]]') for id in range(1, series + 1)]
        connection.executemany("INSERT INTO series (id, name, labels) VALUES (?, ?, ?)", names)
        connection.executemany(
            "INSERT INTO layouts (id, source, series, begun_ms, ended_ms) VALUES (?, ?, ?, ?, ?)",
            [
                (id, source, np.array(ids, dtype="<u4").tobytes(), T0, None if open else T0)
                for id, (source, ids, open) in layouts.items()
            ],
        )
        connection.executemany(
            'INSERT INTO ticks (id, "values") VALUES (?, ?)',
            ((time << 20 | layout, np.array(values, dtype="<f8").tobytes()) for time, layout, values in rows),
        )


def read(path: Path) -> dict[str, list[tuple[int, float | None]]]:
    """All samples by the metric's name, stale markers as None."""
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    found = {}
    for series in store.select([], 0, FOREVER):
        ends = stale_mask(series.values).tolist()
        pairs = zip(series.times.tolist(), series.values.tolist(), ends, strict=True)
        found[dict(series.labels)["__name__"]] = [(time, None if end else value) for time, value, end in pairs]
    store.close()
    database.dispose()
    return found


def check_integrity(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def marker() -> float:
    return float(np.array([STALE_BITS], dtype="<u8").view("<f8")[0])


def test_every_tick_of_the_first_schema_is_in_the_blocks_of_the_second(path: Path) -> None:
    """Two sources, one of which changes its layout twice; a series that ended, and what was open ends at the end."""
    end = marker()
    rows: list[Row] = [(T0, 1, [1.0, 2.0]), (T0 + 500, 3, [7.0]), (T0 + 1000, 1, [1.5, 2.5])]
    rows += [(T0 + 2000, 1, [1.75, end]), (T0 + 3000, 2, [4.0]), (T0 + 4000, 1, [5.0, 6.0])]
    old_file(path, {1: ("a", [1, 2], True), 2: ("a", [1], False), 3: ("b", [3], True)}, rows, series=3)
    found = read(path)
    assert found == {
        "metric_1": [*zip(range(T0, T0 + 5000, 1000), [1.0, 1.5, 1.75, 4.0, 5.0], strict=True), (T0 + 4001, None)],
        "metric_2": [(T0, 2.0), (T0 + 1000, 2.5), (T0 + 2000, None), (T0 + 4000, 6.0), (T0 + 4001, None)],
        "metric_3": [(T0 + 500, 7.0), (T0 + 4001, None)],
    }
    check_integrity(path)


def test_the_bits_of_every_value_stay(path: Path) -> None:
    values = [0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1.7976931348623157e308]
    values += np.random.default_rng(7).integers(0, 1 << 63, 20, dtype=np.uint64).view("<f8").tolist()
    old_file(path, {1: ("a", [1], False)}, [(T0 + at, 1, [value]) for at, value in enumerate(values)], series=1)
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    (series,) = store.select([], 0, FOREVER)
    assert series.values.view("u8").tolist() == np.array(values).view("u8").tolist()
    database.dispose()


def test_the_history_goes_on_where_it_stopped(path: Path) -> None:
    old_file(path, {1: ("a", [1], True)}, [(T0 + second * 1000, 1, [1.0]) for second in range(10)], series=1)
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    assert store.last_tick_ms() == T0 + 9000
    assert store.span() == (T0, T0 + 9001)
    store.append([Tick("a", T0 + 5000, (Sample("metric_1", (("at", "1"),), 99.0),))])
    assert store.dropped == 1
    store.append([Tick("a", T0 + 60_000, (Sample("metric_1", (("at", "1"),), 2.0),))])
    (series,) = store.select([Matcher("__name__", "=", "metric_1")], 0, FOREVER)
    assert series.times.tolist() == [T0 + second * 1000 for second in range(10)] + [T0 + 9001, T0 + 60_000]
    database.dispose()


def test_blocks_stay_small_and_the_file_shrinks(path: Path) -> None:
    """Five blocks of a steady source; a slow source has a block for each day."""
    ids = list(range(1, 41))
    rows: list[Row] = [(T0 + second * 1000, 1, [float(second + id) for id in ids]) for second in range(20_000)]
    rows += [(T0 + hour * 3_600_000 + 7, 2, [1.0]) for hour in range(72)]
    old_file(path, {1: ("fast", ids, True), 2: ("slow", [41], True)}, sorted(rows), series=41)
    before = path.stat().st_size
    database = open_database(path)
    with database.connect() as connection:
        blocks = connection.exec_driver_sql("SELECT source, count, segment, ready FROM blocks ORDER BY id").all()
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE name LIKE '%tick%'").all()
    fast = [count for source, count, *_ in blocks if source == "fast"]
    assert fast == [
        4096,
        4096,
        4096,
        4096,
        20_000 - 4 * 4096,
        1,
    ]  # the end that is written is days later, a block of its own
    assert sum(count for source, count, *_ in blocks if source == "slow") == 73
    assert {(segment, ready) for *_, segment, ready in blocks} == {(0, 1)}
    assert tables == []
    shrink(database)
    database.dispose()  # the last connection brings the log into the file
    assert path.stat().st_size < before / 4
    check_integrity(path)


def test_rows_that_cannot_be_read_are_left_out(path: Path) -> None:
    rows: list[Row] = [(T0, 1, [1.0]), (T0 + 1000, 1, [2.0, 3.0]), (T0 + 2000, 9, [4.0]), (T0 + 3000, 1, [5.0])]
    old_file(path, {1: ("a", [1], False)}, rows, series=1)
    assert read(path) == {"metric_1": [(T0, 1.0), (T0 + 3000, 5.0)]}


def test_a_file_without_ticks_is_converted_too(path: Path) -> None:
    old_file(path, {1: ("a", [1], True)}, [], series=1)
    assert read(path) == {}


def test_what_waits_for_its_block_takes_a_bounded_amount_of_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.migrations.conversion._WAITING_BYTES", 1000)
    monkeypatch.setattr("storage.migrations.conversion._PAGE_ROWS", 10)
    old_file(path, {1: ("a", [1, 2], False)}, [(T0 + second, 1, [1.0, 2.0]) for second in range(500)], series=2)
    found = read(path)
    assert {len(samples) for samples in found.values()} == {500}


#: Converts, and is killed once it has written its second block.
KILLED = """
import os, signal, sys
from pathlib import Path
from storage.migrations import conversion
from storage.engine import open_database

write = conversion._write
left = [2]

def write_and_die(*args):
    write(*args)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

conversion._write = write_and_die
conversion.BLOCK_TICKS = 100
open_database(Path(sys.argv[1]))
"""


def test_a_kill_in_the_middle_leaves_the_old_file_and_the_next_start_converts_it(path: Path) -> None:
    old_file(path, {1: ("a", [1], False)}, [(T0 + second, 1, [float(second)]) for second in range(500)], series=1)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -9
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT count(*) FROM ticks").fetchone() == (500,)
    assert read(path) == {"metric_1": [(T0 + second, float(second)) for second in range(500)]}
    check_integrity(path)
