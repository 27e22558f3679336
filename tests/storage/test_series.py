from __future__ import annotations

import errno
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from collectors.sample import STALE, Matcher, Sample, Series, Tick, make_labels, stale_mask
from storage.engine import open_database
from storage.error import StorageError
from storage.series import SeriesStore

T0 = 1_795_000_000_000
ALL: list[Matcher] = []


def tick(time_ms: int, source: str = "nvml", **values: float) -> Tick:
    return Tick(source, time_ms, tuple(Sample(name, (), value) for name, value in values.items()))


def named(name: str) -> list[Matcher]:
    return [Matcher("__name__", "=", name)]


def read(store: SeriesStore, name: str, start_ms: int = 0, end_ms: int = T0 * 2) -> list[tuple[int, float | str]]:
    """Times since T0 and values of the one series of this name."""
    found = store.select(named(name), start_ms, end_ms)
    if not found:
        return []
    (series,) = found
    ends = stale_mask(series.values)
    return [
        (time - T0, "end" if end else value)
        for time, value, end in zip(series.times.tolist(), series.values.tolist(), ends.tolist(), strict=True)
    ]


def reopened(engine: Engine, head_minutes: float = 2) -> SeriesStore:
    store = SeriesStore(engine, head_minutes)
    store.load()
    return store


def test_it_answers_with_what_was_written(store: SeriesStore) -> None:
    labels = make_labels(gpu=0, host="a")
    store.append([Tick("nvml", T0, (Sample("gpu_power_watts", labels, 250.0),))])
    store.append([Tick("nvml", T0 + 1000, (Sample("gpu_power_watts", labels, 0.0),))])
    (series,) = store.select(named("gpu_power_watts"), T0, T0 + 1000)
    assert series.labels == (("__name__", "gpu_power_watts"), ("gpu", "0"), ("host", "a"))
    assert series.times.tolist() == [T0, T0 + 1000]
    assert series.values.tolist() == [250.0, 0.0]


def test_a_window_includes_both_of_its_ends(store: SeriesStore) -> None:
    for second in range(5):
        store.append([tick(T0 + second * 1000, up=second)])
    assert read(store, "up", T0 + 1000, T0 + 3000) == [(1000, 1), (2000, 2), (3000, 3)]
    assert read(store, "up", T0 + 1001, T0 + 2999) == [(2000, 2)]
    assert read(store, "up", T0 + 3000, T0 + 1000) == []


def test_all_ticks_of_a_call_are_written_or_none(
    store: SeriesStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([tick(T0, up=1), tick(T0, "host", cpu=1)])
    whole = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(descriptor, data[: len(data) // 2], offset)  # half of it fits, then half of the rest …

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        store.append([tick(T0 + 1000, up=2), tick(T0 + 1000, "host", cpu=2)])
        assert read(reopened(engine), "up", T0, T0 + 1000) == [(0, 1), (1, "end")]  # as after a kill
    for name in ("up", "cpu"):
        assert read(store, name) == [(0, 1), (1000, 2)]  # in memory, it is there


def test_a_source_that_cannot_be_written_does_not_take_the_others_with_it(store: SeriesStore) -> None:
    not_utf8 = Tick("bad", T0, (Sample("x", (("name", "\udc80"),), 1.0),))
    not_a_number: Any = Tick("worse", T0, (Sample("y", (), "much"),))  # type: ignore[arg-type]
    with capture_logs() as logs:
        store.append([not_utf8, tick(T0, up=1), not_a_number])
        store.append([not_utf8, tick(T0 + 1000, up=2)])
    assert read(store, "up") == [(0, 1), (1000, 2)]
    assert [(line["event"], line["source"]) for line in logs] == [("tick_unusable", "bad"), ("tick_unusable", "worse")]
    assert store.dropped == 3


def test_nan_infinity_and_zero_are_values(store: SeriesStore) -> None:
    for second, value in enumerate([float("nan"), float("inf"), float("-inf"), 0.0, -0.0]):
        store.append([tick(T0 + second, x=value)])
    (series,) = store.select(named("x"), T0, T0 + 10)
    assert not stale_mask(series.values).any()
    assert np.array_equal(series.values, [np.nan, np.inf, -np.inf, 0.0, -0.0], equal_nan=True)
    assert np.signbit(series.values[4])


def test_a_series_that_vanishes_gets_an_end_and_the_others_go_on(store: SeriesStore) -> None:
    store.append([tick(T0, a=1, b=1)])
    store.append([tick(T0 + 1000, a=2)])
    store.append([tick(T0 + 2000, a=3)])
    assert read(store, "a") == [(0, 1), (1000, 2), (2000, 3)]
    assert read(store, "b") == [(0, 1), (1000, "end")]


def test_a_series_that_comes_back_goes_on_after_its_end(store: SeriesStore) -> None:
    store.append([tick(T0, a=1, b=1)])
    store.append([tick(T0 + 1000, a=2)])
    store.append([tick(T0 + 2000, a=3, b=3)])
    store.append([tick(T0 + 3000, b=4)])
    assert read(store, "b") == [(0, 1), (1000, "end"), (2000, 3), (3000, 4)]
    assert read(store, "a") == [(0, 1), (1000, 2), (2000, 3), (3000, "end")]


def test_an_empty_tick_ends_all_series_of_its_source_once(store: SeriesStore) -> None:
    store.append([tick(T0, a=1, b=2), tick(T0, "host", c=3)])
    store.append([Tick("nvml", T0 + 1000, ()), tick(T0 + 1000, "host", c=4)])
    store.append([Tick("nvml", T0 + 2000, ())])
    assert read(store, "a") == [(0, 1), (1000, "end")]
    assert read(store, "b") == [(0, 2), (1000, "end")]
    assert read(store, "c") == [(0, 3), (1000, 4)]


def test_a_gap_between_two_processes_stays_a_gap(store: SeriesStore, engine: Engine) -> None:
    store.append([tick(T0, up=1), tick(T0, "host", cpu=5)])
    store.append([tick(T0 + 1000, up=1)])
    later = reopened(engine)
    later.append([tick(T0 + 60_000, up=2), tick(T0 + 60_000, "host", cpu=6)])
    assert read(later, "up") == [(0, 1), (1000, 1), (1001, "end"), (60_000, 2)]
    assert read(later, "cpu") == [(0, 5), (1001, "end"), (60_000, 6)]  # its process was there until then


def test_starting_twice_ends_nothing_twice(store: SeriesStore, engine: Engine) -> None:
    store.append([tick(T0, up=1)])
    reopened(engine)
    again = reopened(engine)
    assert read(again, "up") == [(0, 1), (1, "end")]


def test_what_ended_before_the_restart_keeps_its_end(store: SeriesStore, engine: Engine) -> None:
    store.append([tick(T0, a=1), tick(T0, "host", b=1)])
    store.append([Tick("nvml", T0 + 1000, ())])
    store.append([tick(T0 + 9000, "host", b=2)])
    again = reopened(engine)
    assert read(again, "a") == [(0, 1), (1000, "end")]
    assert read(again, "b") == [(0, 1), (9000, 2), (9001, "end")]


def test_the_last_tick_is_known_after_a_restart(store: SeriesStore, engine: Engine) -> None:
    assert store.last_tick_ms() is None
    store.append([Tick("absent", T0, ())])  # a source that never had anything
    assert store.last_tick_ms() is None
    store.append([tick(T0 + 5000, up=1), tick(T0 + 4000, "host", cpu=1)])
    assert store.last_tick_ms() == T0 + 5000
    assert reopened(engine).last_tick_ms() == T0 + 5000


def test_a_tick_that_is_not_newer_is_dropped_counted_and_logged_once(store: SeriesStore) -> None:
    store.append([tick(T0 + 5000, up=1)])
    with capture_logs() as logs:
        store.append([tick(T0 + 4000, up=2)])
        store.append([tick(T0 + 5000, up=3), tick(T0 + 4500, "host", cpu=1)])
    assert read(store, "up") == [(5000, 1)]
    assert read(store, "cpu") == [(4500, 1)]  # each source has its own time
    assert store.dropped == 2
    assert [(line["event"], line["source"]) for line in logs] == [("tick_dropped", "nvml")]
    store.append([tick(T0 + 6000, up=4)])
    with capture_logs() as logs:
        store.append([tick(T0, up=5)])
    assert len(logs) == 1


def test_while_the_clock_is_behind_the_records_the_count_of_dropped_ticks_is_written(engine: Engine) -> None:
    store = reopened(engine)
    hour = 3_600_000
    store.append([tick(T0 + hour, up=1), tick(T0 + hour, "host", cpu=1)])
    for second in range(3):  # the clock has been set right
        store.append([tick(T0 + second * 1000, up=2), tick(T0 + second * 1000, "host", cpu=2)])
        store.append([tick(T0 + second * 1000, "host", cpu=2)])  # as a rule's own tick of the same moment
    name = "wakeless_ticks_dropped_total"
    assert read(store, name) == [(0, 2), (1000, 5), (2000, 8)]
    assert read(store, "up", 0, T0 + hour - 1) == []
    again = reopened(engine)  # the series ends with the process, whose newest tick lies in the future
    again.append([tick(T0 + 60_000, up=2)])
    again.append([tick(T0 + 30_000, up=2)])  # and back once more
    again.append([tick(T0 + hour + 10_000, up=3)])
    (series,) = again.select(named(name), T0, T0 + hour + 60_000)
    ended = stale_mask(series.values)
    assert [(t - T0, v) for t, v in zip(series.times[~ended], series.values[~ended], strict=True)] == [
        (0, 2), (1000, 5), (2000, 8), (30_000, 2), (60_000, 1),
    ]  # fmt: skip
    assert (series.times[ended] - T0).tolist() == [hour + 1, hour + 10_000]
    assert read(again, "up", T0 + hour) == [(hour, 1), (hour + 1, "end"), (hour + 10_000, 3)]


def test_of_samples_that_come_twice_the_last_counts(store: SeriesStore) -> None:
    twice = (Sample("b", (), 1.0), Sample("a", (), 2.0), Sample("b", (), 3.0))
    with capture_logs() as logs:
        store.append([Tick("nvml", T0, twice)])
        store.append([Tick("nvml", T0 + 1000, twice)])
    assert read(store, "b") == [(0, 3), (1000, 3)]
    assert read(store, "a") == [(0, 2), (1000, 2)]
    assert [line["event"] for line in logs] == ["samples_duplicated"]


def test_samples_may_come_in_any_order(store: SeriesStore, engine: Engine) -> None:
    store.append([tick(T0, a=1, b=2, c=3)])
    store.append([tick(T0 + 1000, c=30, a=10, b=20)])
    store.append([tick(T0 + 2000, b=200, c=300, a=100)])
    assert read(store, "a") == [(0, 1), (1000, 10), (2000, 100)]
    assert read(store, "c") == [(0, 3), (1000, 30), (2000, 300)]
    store.seal(everything=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM layouts").scalar() == 1


def test_a_series_that_moves_to_another_source_has_no_end_between(store: SeriesStore) -> None:
    store.append([tick(T0, "old", a=1, b=1)])
    store.append([tick(T0 + 1000, "old", b=2), tick(T0 + 1000, "new", a=2)])
    store.append([tick(T0 + 2000, "new", a=3)])
    assert read(store, "a") == [(0, 1), (1000, 2), (2000, 3)]


def test_history_older_than_the_head_comes_from_the_file(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 10)
    store = reopened(engine, head_minutes=0.1)  # six seconds
    for second in range(100):
        store.append([tick(T0 + second * 1000, a=second, b=-second)])
        store.seal()
    assert read(store, "a") == [(second * 1000, second) for second in range(100)]
    assert read(store, "b", T0 + 80_000, T0 + 96_000) == [(second * 1000, -second) for second in range(80, 97)]
    assert sum(section.samples for section in store._timeline._sections) < 60
    again = reopened(engine)
    assert read(again, "a", 0, T0 + 99_000) == [(second * 1000, second) for second in range(100)]


def test_memory_lets_go_of_old_history_though_new_is_sealed_more_often_than_it_ages(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 10)
    store = reopened(engine, head_minutes=1)  # six segments long
    for second in range(200):
        store.append([tick(T0 + second * 1000, a=second)])
        store.seal()
    assert 60 <= sum(section.samples for section in store._timeline._sections) < 90
    assert read(store, "a") == [(second * 1000, second) for second in range(200)]


def test_a_list_of_blocks_that_was_read_before_they_were_sealed_is_no_news(engine: Engine) -> None:
    store = reopened(engine, head_minutes=0)
    store.append([tick(T0, a=1)])
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM blocks")  # a reader sees the file as it is now
        store.seal(everything=True)
        store._timeline.read(connection)
    assert len(store._timeline.view().catalogue) == 1
    assert read(store, "a")[0] == (0, 1)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM blocks")
        store.expire(T0 + 1)
        store._timeline.read(connection)
    assert len(store._timeline.view().catalogue) == 0


def test_a_block_is_not_taken_for_one_that_has_expired(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.reader._LOOK_SECONDS", 0)
    store = reopened(engine, head_minutes=0)
    for second in (0, 1, 100, 101):
        store.append([tick(T0 + second * 1000, a=second)])
        if second in (1, 101):
            store.seal(everything=True)
            assert read(store, "a")[-1] == (second * 1000, second)
            store.expire(T0 + 50_000)  # the first time all blocks there are
    assert read(store, "a") == [(100_000, 100), (101_000, 101)]


def test_the_answers_arrays_cannot_be_changed(store: SeriesStore) -> None:
    store.append([tick(T0, a=1)])
    (series,) = store.select(ALL, T0, T0)
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        series.times[0] = 5


def test_an_earlier_answer_does_not_change_when_more_is_written(store: SeriesStore) -> None:
    store.append([tick(T0, a=1)])
    (before,) = store.select(ALL, T0, T0 * 2)
    for second in range(1, 40):
        store.append([tick(T0 + second * 1000, a=second)])
    assert before.values.tolist() == [1]


def test_labels_name_the_series_of_a_window(engine: Engine) -> None:
    store = reopened(engine, head_minutes=0.1)
    store.append([tick(T0, old=1, kept=1)])
    store.append([tick(T0 + 1000, kept=1)])
    store.append([tick(T0 + 60_000, kept=1, new=1)])
    name = {labels[0][1] for labels in store.labels(ALL, T0, T0 * 2)}
    assert name == {"old", "kept", "new"}
    assert {labels[0][1] for labels in store.labels(ALL, T0 + 50_000, T0 * 2)} == {"kept", "new"}
    assert {labels[0][1] for labels in store.labels(ALL, T0, T0 + 900)} == {"old", "kept"}
    assert store.labels(named("new"), T0, T0 + 30_000) == []


def test_no_sample_is_there_twice_when_sealing_is_cut_short(
    store: SeriesStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(5):
        store.append([tick(T0 + second * 1000, a=second), tick(T0 + second * 1000, "host", b=second)])

    def fail(*_: object) -> None:
        raise StorageError("the disk says no", permanent=False)

    with monkeypatch.context() as broken:
        broken.setattr(store, "_publish", fail)
        with pytest.raises(StorageError, match="the disk says no"):
            store.seal(everything=True)
    expected = [(second * 1000, second) for second in range(5)]
    assert read(store, "a") == expected
    for one in (reopened(engine), store):  # as after a kill; and in the process that goes on
        assert read(one, "a", 0, T0 + 4000) == read(one, "b", 0, T0 + 4000) == expected
        one.seal(everything=True)
        assert read(one, "a", 0, T0 + 4000) == read(one, "b", 0, T0 + 4000) == expected
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blocks WHERE NOT ready").scalar() == 0


def test_memory_stays_bounded_for_as_long_as_nothing_can_be_sealed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 10)
    monkeypatch.setattr("storage.shelf.UNSEALED_BYTES", 8 * 50)
    store = reopened(engine)

    def refuse(*_: object) -> None:
        raise StorageError("the disk says no", permanent=False)

    with monkeypatch.context() as broken:
        broken.setattr(store, "_publish", refuse)
        for second in range(300):
            store.append([tick(T0 + second * 1000, a=second)])
            with suppress(StorageError):
                store.seal()
            assert sum(section.samples for section in store._timeline.unsealed()) <= 60
    assert store.dropped == 0
    store.seal(everything=True)
    assert read(store, "a", 0, T0 + 299_000) == [(second * 1000, second) for second in range(300)]


def test_readers_see_whole_ticks_in_order_while_a_writer_appends(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.series.BLOCK_SAMPLES", 50)
    store = reopened(engine, head_minutes=0.02)  # a second and a fifth, so that readers use memory and file
    troubles: list[str] = []
    done = threading.Event()

    def check(answer: list[Series]) -> None:
        for series in answer:
            if not (np.diff(series.times) == 10).all():
                troubles.append("a hole or a sample out of order")
            if not np.array_equal(series.values, (series.times - T0) // 10):
                troubles.append("a value of another time")
        if len({len(series.times) for series in answer}) > 1:
            troubles.append("half a transaction")

    def read_on() -> None:
        while not done.is_set():
            try:
                check(store.select(ALL, T0, T0 * 2))
            except Exception as error:  # noqa: BLE001 - reported below
                troubles.append(repr(error))

    readers = [threading.Thread(target=read_on) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(600):
        store.append([tick(T0 + number * 10, a=number, b=number), tick(T0 + number * 10, "host", c=number)])
        if number % 20 == 0:
            store.seal()
    done.set()
    for reader in readers:
        reader.join()
    assert set(troubles) == set()
    assert len(store.select(ALL, T0, T0 * 2)[0].times) == 600


def test_a_store_on_a_fresh_file_is_empty(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "new.db")
    store = reopened(engine)
    assert store.select(ALL, 0, T0) == []
    assert store.labels(ALL, 0, T0) == []
    assert store.span() is None
    assert store.expire(T0) == 0
    engine.dispose()


def test_a_stale_marker_keeps_its_bits_through_file_and_memory(store: SeriesStore, engine: Engine) -> None:
    store.append([tick(T0, a=1)])
    store.append([Tick("nvml", T0 + 1000, ())])
    for one in (store, reopened(engine)):
        (series,) = one.select(ALL, T0, T0 * 2)
        assert series.values.view(np.uint64)[-1] == 0x7FF0000000000002
    one.append([tick(T0 + 3000, b=STALE)])
    one.close()
    read_back = reopened(engine)
    for name in "ab":
        (series,) = read_back.select(named(name), T0, T0 * 2)
        assert series.values.view(np.uint64)[-1] == 0x7FF0000000000002


def test_a_clean_stop_leaves_everything_in_the_one_file(store: SeriesStore, engine: Engine, path: Path) -> None:
    for second in range(3):
        store.append([tick(T0 + second * 1000, up=second)])
    store.close()
    shutil.rmtree(path.with_suffix(".journal"))
    again = reopened(engine)
    assert again.last_tick_ms() == T0 + 2000
    assert read(again, "up") == [(0, 0), (1000, 1), (2000, 2), (2001, "end")]
    again.append([tick(T0 + 2000, up=9), tick(T0 + 3000, up=3)])
    assert read(again, "up")[-2:] == [(2001, "end"), (3000, 3)]


def test_series_whose_moments_differ_share_a_block(store: SeriesStore, engine: Engine) -> None:
    """Processes come and go: each change is a new layout, not a new block."""
    for second in range(40):
        names = ["always", *([f"p{second // 8}"] if second % 8 < 5 else [])]
        store.append([Tick("nvml", T0 + second * 1000, tuple(Sample(name, (), second) for name in names))])
    before = {
        series.labels: (series.times.tolist(), series.values.tobytes()) for series in store.select(ALL, 0, T0 * 2)
    }
    store.close()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM blocks").scalar() == 1
    again = reopened(engine).select(ALL, 0, T0 + 39_000)
    assert {series.labels: (series.times.tolist(), series.values.tobytes()) for series in again} == before
