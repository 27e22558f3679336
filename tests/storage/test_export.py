from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, Matcher, Sample, Series, Tick, make_labels
from storage.dump import dump_lines, openmetrics
from storage.export import csv_long, csv_wide, format_values, quote, selector_text
from storage.openmetrics import OpenMetricsReader
from storage.row import long_rows, wide_rows
from storage.series import SeriesStore

T0 = 1_795_248_000_000  # 2026-11-21T08:00:00Z
EVERYTHING: list[list[Matcher]] = [[]]


def text(parts: Iterator[bytes]) -> str:
    return b"".join(parts).decode()


@pytest.fixture
def two_gpus(store: SeriesStore) -> SeriesStore:
    def tick(second: int, **values: float) -> Tick:
        samples = [Sample("gpu_utilization_ratio", make_labels(gpu=name[1:]), value) for name, value in values.items()]
        return Tick("nvml", T0 + second * 1000, tuple(samples))

    store.append([tick(0, g0=0.5, g1=0.25)])
    store.append([tick(1, g0=1.0)])  # the other one ends here
    store.append([tick(2, g0=float("nan"), g1=float("inf")), Tick("host", T0 + 2500, (Sample("up", (), 1.0),))])
    return store


def test_wide_has_one_column_for_each_series_and_empty_cells(two_gpus: SeriesStore) -> None:
    assert text(csv_wide(two_gpus, EVERYTHING, T0, T0 + 9000)) == (
        'time,"gpu_utilization_ratio{gpu=""0""}","gpu_utilization_ratio{gpu=""1""}",up\n'
        "2026-11-21T08:00:00.000Z,0.5,0.25,\n"
        "2026-11-21T08:00:01.000Z,1,,\n"
        "2026-11-21T08:00:02.000Z,NaN,+Inf,\n"
        "2026-11-21T08:00:02.500Z,,,1\n"
    )


def test_long_has_one_line_for_each_sample(two_gpus: SeriesStore) -> None:
    assert text(csv_long(two_gpus, EVERYTHING, T0 + 1000, T0 + 2500)) == (
        "time,series,value\n"
        '2026-11-21T08:00:01.000Z,"gpu_utilization_ratio{gpu=""0""}",1\n'
        '2026-11-21T08:00:02.000Z,"gpu_utilization_ratio{gpu=""0""}",NaN\n'
        '2026-11-21T08:00:02.000Z,"gpu_utilization_ratio{gpu=""1""}",+Inf\n'
        "2026-11-21T08:00:02.500Z,up,1\n"
    )


def test_several_selectors_give_each_series_once(two_gpus: SeriesStore) -> None:
    selectors = [[Matcher("__name__", "=", "up")], [Matcher("__name__", "=~", "u.*")]]
    assert text(csv_wide(two_gpus, selectors, T0, T0 + 9000)) == "time,up\n2026-11-21T08:00:02.500Z,1\n"
    assert text(csv_long(two_gpus, selectors, T0, T0 + 9000)).count("\n") == 2


def test_without_samples_there_is_only_the_header(store: SeriesStore) -> None:
    assert text(csv_wide(store, EVERYTHING, 0, T0)) == "time\n"
    assert text(csv_long(store, EVERYTHING, 0, T0)) == "time,series,value\n"


def test_a_step_takes_the_newest_sample_of_each(store: SeriesStore) -> None:
    for second in range(10):
        store.append([Tick("a", T0 + second * 1000 + 100, (Sample("x", (), float(second)),))])
    rows = text(csv_wide(store, EVERYTHING, T0 + 2000, T0 + 9000, step_ms=3000)).splitlines()
    assert rows[1:] == [
        "2026-11-21T08:00:02.000Z,1",  # (-1 s, 2 s]: the newest is that of 1.1 s
        "2026-11-21T08:00:05.000Z,4",
        "2026-11-21T08:00:08.000Z,7",
    ]


def test_a_step_leaves_out_times_without_a_sample_and_skips_ends(store: SeriesStore) -> None:
    store.append([Tick("a", T0, (Sample("x", (), 1.0),))])
    store.append([Tick("a", T0 + 500, ())])
    store.append([Tick("a", T0 + 10_000, (Sample("x", (), 2.0),))])
    rows = text(csv_wide(store, EVERYTHING, 1000, T0 * 2, step_ms=2000)).splitlines()
    assert rows[1:] == ["2026-11-21T08:00:01.000Z,1", "2026-11-21T08:00:11.000Z,2"]


def test_a_step_of_nothing_is_refused(two_gpus: SeriesStore) -> None:
    with pytest.raises(ValueError, match="step"):
        text(csv_wide(two_gpus, EVERYTHING, T0, T0 + 1, step_ms=0))


@pytest.mark.parametrize("step_ms", [None, 1, 700, 1000, 60_000, 1_000_000])
@pytest.mark.parametrize("cells", [1, 7, 100_000])
def test_windows_do_not_show(engine: Engine, monkeypatch: pytest.MonkeyPatch, step_ms: int | None, cells: int) -> None:
    """However small the windows are, the rows are those of a single one, computed here sample by sample."""
    monkeypatch.setattr("storage.export._CELLS", cells)
    store = SeriesStore(engine, head_minutes=0.5)
    store.load()
    written = [(T0 + second * 1000 + 37 * (second % 3), float(second)) for second in range(0, 90, 2)]
    for time, value in written:
        store.append([Tick("a", time, (Sample("x", (), value), Sample("y", (), -value)))])
    start, end = T0 + 500, T0 + 80_000
    expected: dict[int, float] = {}
    for time, value in written:
        at = time if step_ms is None else start - (start - time) // step_ms * step_ms
        if start <= at <= end and (step_ms is not None or time >= start):
            expected[at] = value
    rows = list(csv.reader(io.StringIO(text(csv_wide(store, EVERYTHING, start, end, step_ms)))))
    times = np.array([row[0].rstrip("Z") for row in rows[1:]], dtype="datetime64[ms]").astype(np.int64).tolist()
    assert dict(zip(times, [float(row[1]) for row in rows[1:]], strict=True)) == expected
    assert [float(row[2]) for row in rows[1:]] == [-value for value in expected.values()]
    assert times == sorted(expected)
    count = text(csv_long(store, EVERYTHING, start, end, step_ms)).count("\n")
    assert count == 1 + 2 * len(expected)


def test_memory_does_not_grow_with_the_window(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.export._CELLS", 2000)
    store = SeriesStore(engine, head_minutes=0.1)
    store.load()
    names = [f"series_{number}" for number in range(20)]
    for second in range(1500):
        store.append([Tick("a", T0 + second * 1000, tuple(Sample(name, (), second / 3) for name in names))])

    def peak(end_ms: int) -> int:
        tracemalloc.start()
        for _ in csv_wide(store, EVERYTHING, T0, end_ms):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(T0 + 1000)  # what is made once
    assert peak(T0 + 1_500_000) < 1.5 * peak(T0 + 300_000)


def test_memory_of_a_dump_does_not_grow_with_the_number_of_series(engine: Engine) -> None:
    store = SeriesStore(engine, head_minutes=0.1)
    store.load()
    names = [f"series_{number}" for number in range(60)]
    for second in range(3000):
        store.append([Tick("a", T0 + second * 1000, tuple(Sample(name, (), second / 3) for name in names))])
    store.seal(everything=True)

    def peak(pattern: str) -> int:
        wanted = [[Matcher(METRIC_NAME, "=~", pattern)]]
        tracemalloc.start()
        lines = sum(part.count(b"\n") for part in openmetrics(store, wanted, T0, T0 + 3_000_000))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert lines % 3000 == 1
        return found

    peak("series_1")  # what is made once
    assert peak("series_.*") < 2 * peak("series_1.")


@given(st.floats())
def test_values_read_back_as_they_were(value: float) -> None:
    (shown,) = format_values(np.array([value]))
    back = float(shown)
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


@given(st.text(st.characters(codec="utf-8")))
def test_any_label_survives_the_header(value: str) -> None:
    column = selector_text((("__name__", "x"), ("label", value)))
    read = next(csv.reader(io.StringIO(f"time,{quote(column)}\n", newline="")))
    assert read == ["time", column]
    assert "\n" not in column


def test_selector_texts_are_promql() -> None:
    assert selector_text((("__name__", "up"),)) == "up"
    assert selector_text((("__name__", "x"), ("a", '1"\\\n'), ("b", "2"))) == r'x{a="1\"\\\n",b="2"}'


def test_a_step_of_a_century_reads_only_what_there_is(two_gpus: SeriesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    select, reads = two_gpus.select, []

    def counted(*window: object) -> object:
        reads.append(window)
        return select(*window)  # type: ignore[arg-type]

    monkeypatch.setattr(two_gpus, "select", counted)
    rows = text(csv_long(two_gpus, EVERYTHING, T0, T0 + 9000, 100 * 365 * 86_400_000)).splitlines()
    assert len(rows) > 1 or rows == ["time,series,value"]
    assert len(reads) < 10


# --- rows against a slow and plain writer -------------------------------------------------------------------------

CELL = st.floats(allow_subnormal=True) | st.integers(-5, 5).map(float) | st.sampled_from([1e16, 1e22, 1e-7, -0.0])
MOMENTS = st.lists(st.integers(-86_400_000, 2**43 - 1), min_size=1, max_size=12, unique=True).map(sorted)


@st.composite
def windows(draw: st.DrawFn) -> list[Series | None]:
    """Columns as a window has them: some share their array of times, some share only moments, some have nothing."""
    sources = [np.array(draw(MOMENTS), dtype=np.int64)]
    for _ in range(draw(st.integers(0, 3))):
        mine = draw(st.sets(st.sampled_from(sources[0].tolist()), min_size=1) | MOMENTS.map(set))
        sources.append(np.array(sorted(mine), dtype=np.int64))
    columns: list[Series | None] = []
    for number in range(draw(st.integers(1, 8))):
        times = draw(st.sampled_from(sources))
        values = draw(st.lists(CELL, min_size=len(times), max_size=len(times)))
        labels = ((METRIC_NAME, f"x{number}"),)
        columns.append(draw(st.sampled_from([Series(labels, times, np.array(values)), None])))
    return columns if any(columns) else [Series((), sources[0], np.zeros(len(sources[0])))]


def plain(value: float) -> str:
    """A number as the contract has it, but for the form of an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def by_hand(columns: list[Series | None]) -> list[list[str]]:
    times = sorted({int(time) for series in columns if series for time in series.times})
    cells = [
        dict(zip(series.times.tolist(), series.values.tolist(), strict=True)) if series else {} for series in columns
    ]
    return [[iso(time), *(plain(column[time]) if time in column else "" for column in cells)] for time in times]


def iso(time_ms: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def unify(cell: str) -> str:
    """The same text for the same number: only where an exponent begins and how it is written may differ."""
    return plain(float(cell)) if cell[-1:].isdigit() and not cell.endswith(".0") else cell


@given(windows(), st.integers(1, 40))
def test_wide_rows_are_those_of_a_plain_writer(columns: list[Series | None], cells: int) -> None:
    expected = by_hand(columns)
    for most_sets in (62, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("storage.row._WIDE_CELLS", cells)
            patch.setattr("storage.row._MOST_SETS", most_sets)
            lines = b"".join(wide_rows(columns)).decode().splitlines()
        assert [[unify(cell) for cell in line.split(",")] for line in lines] == expected


@given(windows(), st.integers(1, 40))
def test_long_rows_are_those_of_a_plain_writer(columns: list[Series | None], lines: int) -> None:
    present = [series for series in columns if series]
    names = [f"x{number}" for number in range(len(present))]
    expected = [
        [row[0], names[place], cell] for row in by_hand([*present]) for place, cell in enumerate(row[1:]) if cell
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.row._LONG_LINES", lines)
        found = b"".join(long_rows(present, names)).decode().splitlines()
    assert [[*line.split(",")[:2], unify(line.split(",")[2])] for line in found] == expected


def test_progress_ends_with_all_of_it(two_gpus: SeriesStore) -> None:
    for write in (csv_wide, csv_long):
        shares: list[float] = []
        list(write(two_gpus, EVERYTHING, T0, T0 + 9000, None, shares.append))
        assert shares == sorted(shares)
        assert shares[-1] == 1


# --- OpenMetrics --------------------------------------------------------------------------------------------------


def test_a_dump_holds_every_sample_and_reads_back(two_gpus: SeriesStore) -> None:
    shares: list[float] = []
    dumped = b"".join(openmetrics(two_gpus, EVERYTHING, T0, T0 + 9000, shares.append))
    assert dumped.decode() == (
        'gpu_utilization_ratio{gpu="0"} 0.5 1795248000.000\n'
        'gpu_utilization_ratio{gpu="0"} 1 1795248001.000\n'
        'gpu_utilization_ratio{gpu="0"} NaN 1795248002.000\n'
        'gpu_utilization_ratio{gpu="1"} 0.25 1795248000.000\n'
        'gpu_utilization_ratio{gpu="1"} +Inf 1795248002.000\n'
        "up 1 1795248002.500\n"
        "# EOF\n"
    )
    assert shares == [1 / 3, 2 / 3, 1]
    one = [[Matcher(METRIC_NAME, "=", "up")], [Matcher(METRIC_NAME, "=~", "u.*")]]
    assert b"".join(openmetrics(two_gpus, one, T0, T0 + 9000)) == b"up 1 1795248002.500\n# EOF\n"


@settings(deadline=None)
@given(windows(), st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_is_dumped_is_read_bit_by_bit(columns: list[Series | None], value: str, name: str) -> None:
    present = [
        Series(
            tuple(sorted({METRIC_NAME: name, "n": str(number), "l": value or "x"}.items())), series.times, series.values
        )
        for number, series in enumerate(columns)
        if series and series.times[0] >= 0
    ]
    text = b"".join(b"".join(dump_lines(series)) for series in present)
    pages = list(OpenMetricsReader(io.BytesIO(text)).pages())
    read = {column.labels: column for page in pages for column in page}
    for labels, times, values in present:
        assert read[labels].times.tolist() == times.tolist()
        assert [plain(cell) for cell in read[labels].values.tolist()] == [plain(cell) for cell in values.tolist()]
    assert len(read) == len(present)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_a_dump(two_gpus: SeriesStore, tmp_path: Path) -> None:
    (tmp_path / "dump.prom").write_bytes(b"".join(openmetrics(two_gpus, EVERYTHING, T0, T0 + 9000)))
    made = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "dump.prom", "blocks"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (tmp_path / "blocks" / "wal").mkdir()  # promtool looks for one
    dump = ["promtool", "tsdb", "dump", "blocks"]
    shown = subprocess.run(dump, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60).stdout
    assert sorted(shown.splitlines()) == sorted(
        [
            f'{{__name__="gpu_utilization_ratio", gpu="0"}} 0.5 {T0}',
            f'{{__name__="gpu_utilization_ratio", gpu="0"}} 1 {T0 + 1000}',
            f'{{__name__="gpu_utilization_ratio", gpu="0"}} NaN {T0 + 2000}',
            f'{{__name__="gpu_utilization_ratio", gpu="1"}} 0.25 {T0}',
            f'{{__name__="gpu_utilization_ratio", gpu="1"}} +Inf {T0 + 2000}',
            f'{{__name__="up"}} 1 {T0 + 2500}',
        ]
    )
