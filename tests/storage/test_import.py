"""Importing: what is in the file afterwards, whatever was there before, and however often it was interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, STALE, Labels, Matcher, Sample, Tick, Times, make_labels
from storage.block import BlockWriter
from storage.engine import open_database
from storage.error import StorageError
from storage.importer import Importer, Summary, only_import
from storage.openmetrics import Column
from storage.series import SeriesStore
from storage.window import Buffer, Moments, stretches
from tests.running import ROOT

T0 = 1_795_248_000_000  # 2026-11-21T08:00:00Z
FOREVER = 2**43 - 1


def labels_of(name: str, **labels: object) -> Labels:
    return tuple(sorted(((METRIC_NAME, name), *make_labels(**labels))))


def column(labels: Labels, times: Iterable[int], values: Iterable[float] | None = None) -> Column:
    moments = np.array(list(times), dtype=np.int64)
    numbers = moments / 1000 if values is None else np.array(list(values), dtype=np.float64)
    return Column(labels, moments, numbers)


def take_in(database: Engine, *columns: Column, keep_from_ms: int = 0) -> Summary:
    importer = Importer(database, keep_from_ms)
    with only_import(database):
        importer.take(columns)
        importer.flush()
    return importer.summary


def content(database: Engine) -> dict[Labels, list[tuple[int, float]]]:
    """All samples of the file, as a store that has just been opened reads them."""
    store = SeriesStore(database)
    store.attach()
    found = store.select((), 0, FOREVER)
    return {one.labels: list(zip(one.times.tolist(), one.values.tolist(), strict=True)) for one in found}


def blocks(database: Engine) -> list[tuple[int, int]]:
    """Moments and series of each block."""
    series = "SELECT count(*) - 1 FROM chunks WHERE chunks.id >> 32 = blocks.id"  # one chunk holds the moments
    query = f"SELECT count, ({series}) FROM blocks ORDER BY start_ms"
    with database.connect() as connection:
        return [(moments, series) for moments, series in connection.exec_driver_sql(query)]


CPU, GPU = labels_of("cpu_ratio", cpu=0), labels_of("gpu_ratio", gpu=1)


def test_what_was_imported_is_read(engine: Engine) -> None:
    done = take_in(engine, column(CPU, [T0, T0 + 1000], [1.5, 2.5]), column(GPU, [T0], [float("inf")]))
    assert (done.samples, done.series, done.skipped) == (3, 2, 0)
    assert content(engine) == {CPU: [(T0, 1.5), (T0 + 1000, 2.5)], GPU: [(T0, float("inf"))]}


def test_importing_twice_doubles_nothing(engine: Engine) -> None:
    columns = [column(CPU, range(T0, T0 + 50_000, 1000)), column(GPU, range(T0, T0 + 50_000, 5000))]
    first = take_in(engine, *columns)
    before = blocks(engine)
    again = take_in(engine, *columns)
    assert (first.samples, first.skipped) == (60, 0)
    assert (again.samples, again.skipped, again.series) == (0, 60, 0)
    assert blocks(engine) == before


def test_a_longer_file_adds_what_is_new_to_an_earlier_import(engine: Engine) -> None:
    take_in(engine, column(CPU, [T0, T0 + 2000], [1, 2]))
    done = take_in(engine, column(CPU, [T0, T0 + 1000, T0 + 2000, T0 + 3000], [9, 10, 11, 12]))
    assert (done.samples, done.skipped) == (2, 2)
    assert content(engine)[CPU] == [(T0, 1), (T0 + 1000, 10), (T0 + 2000, 2), (T0 + 3000, 12)]


def test_what_the_server_recorded_stays_and_gaps_are_filled(store: SeriesStore, engine: Engine) -> None:
    """One tick is in a block, the other in the journal, while the store is open."""
    tick = Sample("cpu_ratio", make_labels(cpu=0), 1.0)
    store.append([Tick("host", T0, (tick,))])
    store.seal(everything=True)
    store.append([Tick("host", T0 + 2000, (tick,))])
    done = take_in(engine, column(CPU, [T0, T0 + 1000, T0 + 2000], [7, 7, 7]))
    assert (done.samples, done.skipped) == (1, 2)
    assert content(engine)[CPU] == [(T0, 1), (T0 + 1000, 7), (T0 + 2000, 1)]


def test_an_end_that_the_server_wrote_gives_way_to_a_value(store: SeriesStore, engine: Engine) -> None:
    store.append([Tick("host", T0, (Sample("cpu_ratio", make_labels(cpu=0), 1.0),))])
    store.append([Tick("host", T0 + 1000, ())])
    for _ in range(2):
        take_in(engine, column(CPU, [T0 + 1000], [7]))
        assert content(engine)[CPU] == [(T0, 1), (T0 + 1000, 7)]
    assert blocks(engine) == [(1, 1)]


def test_a_running_store_notices_an_import(
    store: SeriesStore, engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.reader._LOOK_SECONDS", 0)
    store.append([Tick("host", T0, (Sample("up", (), 1.0),))])
    other = open_database(path)
    take_in(other, column(CPU, [T0 - 1000], [1]))
    other.dispose()
    (found,) = store.select([Matcher(METRIC_NAME, "=", "cpu_ratio")], 0, FOREVER)
    assert found.times.tolist() == [T0 - 1000]
    store.append([Tick("host", T0 + 1000, (Sample("cpu_ratio", make_labels(cpu=0), 2.0),))])
    (found,) = store.select([Matcher(METRIC_NAME, "=", "cpu_ratio")], 0, FOREVER)
    assert found.times.tolist() == [T0 - 1000, T0 + 1000]


def test_a_sample_that_comes_twice_counts_once_the_later_one(engine: Engine) -> None:
    done = take_in(engine, column(CPU, [T0 + 1000, T0], [1, 2]), column(CPU, [T0 + 1000, T0 + 2000], [3, 4]))
    assert (done.samples, done.skipped) == (3, 1)
    assert content(engine)[CPU] == [(T0, 2), (T0 + 1000, 3), (T0 + 2000, 4)]


def test_a_killed_import_leaves_nothing_half_and_is_simply_run_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies in the middle of its second block; what the first window brought is there, of the second nothing."""
    day = range(T0, T0 + 86_400_000, 5000)
    columns = [column(CPU, day), column(GPU, day)]
    insert, calls = BlockWriter._insert, []

    def dying(writer: BlockWriter, chunks: list[tuple[object, ...]]) -> None:
        calls.append(len(chunks))
        if len(calls) == 2:
            insert(writer, chunks[:1])  # type: ignore[arg-type]
            raise StorageError("killed", permanent=False)
        insert(writer, chunks)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(BlockWriter, "_insert", dying)
        with pytest.raises(StorageError, match="killed"):
            take_in(engine, *columns)
    survived = content(engine)
    assert 0 < len(survived[CPU]) == len(survived[GPU]) < len(day)
    done = take_in(engine, *columns)
    assert done.samples == 2 * (len(day) - len(survived[CPU]))
    assert done.skipped == 2 * len(survived[CPU])
    assert [time for time, _ in content(engine)[GPU]] == list(day)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blocks WHERE NOT ready").scalar() == 0
        orphans = "SELECT count(*) FROM chunks WHERE id >> 32 NOT IN (SELECT id FROM blocks)"
        assert connection.exec_driver_sql(orphans).scalar() == 0


def test_only_one_import_at_a_time(engine: Engine) -> None:
    with only_import(engine), pytest.raises(StorageError, match="another import is running"), only_import(engine):
        pass
    with only_import(engine):
        pass


def test_what_had_expired_can_come_back_and_is_counted(store: SeriesStore, engine: Engine) -> None:
    store.append([Tick("host", T0, (Sample("up", (), 1.0),))])
    store.expire(T0 - 1000)
    done = take_in(engine, column(CPU, [T0 - 5000, T0 - 2000, T0 + 1000]), keep_from_ms=T0 - 2000)
    assert (done.samples, done.expired) == (3, 1)
    assert [time for time, _ in content(engine)[CPU]] == [T0 - 5000, T0 - 2000, T0 + 1000]


def test_series_that_share_their_moments_share_blocks(engine: Engine) -> None:
    """A dump lists one series after the other; a later start, gaps and an early end do not part them."""
    rng = np.random.default_rng(1)
    day = np.arange(T0, T0 + 86_400_000, 5000) + rng.integers(0, 12, 17280)
    holes = rng.random(17280) < 0.9
    series = [labels_of("x", n=number) for number in range(6)]
    kept: list[Times] = [day, day, day[3000:], day[holes], day[:9000], np.delete(day, slice(5000, 6000))]
    take_in(engine, *(column(labels, times.tolist()) for labels, times in zip(series, kept, strict=True)))
    found = blocks(engine)
    assert len(found) <= 7
    assert all(2000 < moments <= 4096 for moments, _ in found[1:-1])
    read = content(engine)
    for labels, times in zip(series, kept, strict=True):
        assert [time for time, _ in read[labels]] == times.tolist()


def test_a_small_buffer_writes_the_same(engine: Engine) -> None:
    importer = Importer(engine, buffer_bytes=1000)
    columns = [column(labels_of("x", n=number), range(T0, T0 + 100_000, 1000)) for number in range(10)]
    for one in columns:
        importer.take([one])
        importer.take([Column(one.labels, one.times[50:], one.values[50:])])
    importer.flush()
    assert (importer.summary.samples, importer.summary.skipped) == (1000, 500)
    assert {labels: len(samples) for labels, samples in content(engine).items()} == {c.labels: 100 for c in columns}


def test_a_series_that_the_server_deleted_meanwhile_is_put_back(engine: Engine) -> None:
    importer = Importer(engine)
    importer.take([column(CPU, [T0])])
    importer.flush()
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM series")
    importer.take([column(CPU, [T0 + 1000])])
    importer.flush()
    assert content(engine)[CPU] == [(T0, T0 / 1000), (T0 + 1000, T0 / 1000 + 1)]


def test_a_series_gets_no_id_that_an_import_may_still_hold(engine: Engine, store: SeriesStore) -> None:
    importer = Importer(engine)
    importer.take([column(CPU, [T0])])
    importer.flush()
    store.look()
    store.expire(T0 + 1)
    store.append([Tick("nvml", T0 + 2000, (Sample("power", (), 7.0),))])
    importer.take([column(CPU, [T0 + 1000])])
    importer.flush()
    (found,) = store.select([Matcher(METRIC_NAME, "=", "power")], 0, FOREVER)
    assert found.times.tolist() == [T0 + 2000]
    assert content(engine)[CPU] == [(T0 + 1000, T0 / 1000 + 1)]


def test_an_import_whose_series_came_back_under_another_id_says_so(engine: Engine) -> None:
    importer = Importer(engine)
    importer.take([column(CPU, [T0])])
    importer.flush()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE series SET id = 77")
    importer.take([column(CPU, [T0 + 1000])])
    with pytest.raises(StorageError, match="run the import again"):
        importer.flush()


def test_ends_are_imported_as_ends(engine: Engine) -> None:
    take_in(engine, column(CPU, [T0, T0 + 1], [1.0, STALE]))
    store = SeriesStore(engine)
    store.attach()
    (found,) = store.select((), 0, FOREVER)
    assert found.values.view(np.uint64).tolist()[1] == np.float64(STALE).view(np.uint64)


GAPS = st.lists(st.sampled_from([1, 999, 1000, 1000, 1000, 1001, 5000, 60_000, 10**9]), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), GAPS, st.randoms(use_true_random=False)), min_size=1, max_size=6))
def test_every_sample_is_in_exactly_one_stretch(parts: list[tuple[int, list[int], object]]) -> None:
    expected: dict[Labels, dict[int, float]] = {}
    buffer = Buffer()
    for number, gaps, random in parts:
        labels = labels_of("x", n=number)
        moments = (T0 + np.cumsum(gaps)).tolist()
        random.shuffle(moments)  # type: ignore[attr-defined]
        numbers = [float(len(expected)) + time for time in moments]
        buffer.add([column(labels, moments, numbers)])
        expected.setdefault(labels, {}).update(zip(moments, numbers, strict=True))
    found: dict[Labels, dict[int, float]] = {}
    for window in buffer.drain(Moments()):
        for times, columns in stretches(window):
            assert (np.diff(times) > 0).all()
            assert len({labels for labels, _, _ in columns}) == len(columns)
            for labels, values, present in columns:
                own: Times = times if present is None else times[present]
                samples = dict(zip(own.tolist(), values.tolist(), strict=True))
                assert len(samples) == len(values)
                assert not samples.keys() & found.setdefault(labels, {}).keys()
                found[labels].update(samples)
    assert found == expected
    assert buffer.bytes == 0


CHILD = """
import sys
from pathlib import Path
import storage.openmetrics
from storage.engine import open_database
from storage.importer import Importer, only_import
from storage.openmetrics import OpenMetricsReader

storage.openmetrics.PAGE_BYTES = 1 << 16
database = open_database(Path(sys.argv[1]))
importer = Importer(database, buffer_bytes=100_000)
with only_import(database), open(sys.argv[2], "rb") as file:
    for page in OpenMetricsReader(file).pages():
        for column in page:
            print(importer.summary.samples, flush=True)
            sys.stdin.readline()
            importer.take([column])
    importer.flush()
database.dispose()
"""


def test_kills_cost_nothing_but_the_time(path: Path, tmp_path: Path) -> None:
    """A real process, killed again and again wherever it happens to be; the last one is let through."""
    dump = tmp_path / "dump.prom"
    moments = [T0 + 5000 * number for number in range(9000)]
    names = [f'x{{n="{number}"}}' for number in range(8)]
    lines = (f"{name} {time % 9973} {time / 1000:.3f}\n" for name in names for time in moments)
    dump.write_text("".join([*lines, "# EOF\n"]))
    command = [sys.executable, "-c", CHILD, str(path), str(dump)]
    for patience in (2, 5, 12, 25, None):
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for number, _ in enumerate(child.stdout):
                child.stdin.write("go on\n")
                child.stdin.flush()
                if number == patience:
                    child.kill()
                    break
        assert child.returncode == (0 if patience is None else -signal.SIGKILL)
    database = open_database(path)
    found = content(database)
    expected = [(time, float(time % 9973)) for time in moments]
    assert found == {labels_of("x", n=number): expected for number in range(8)}
    counts = "SELECT sum(count) FROM chunks WHERE id & 0xFFFFFFFF IN (SELECT id FROM series)"
    with database.connect() as connection:
        assert connection.exec_driver_sql(counts).scalar() == 8 * len(moments)
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    database.dispose()
