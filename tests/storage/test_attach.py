"""Reading a file that another process writes."""

from __future__ import annotations

from pathlib import Path

from collectors.sample import Matcher, Sample, Tick
from storage.engine import open_database
from storage.series import SeriesStore


def test_an_attached_reader_sees_all_of_file_and_journal_and_ends_no_series(tmp_path: Path) -> None:
    writing, reading = open_database(tmp_path / "w.db"), open_database(tmp_path / "w.db")
    writer, reader = SeriesStore(writing), SeriesStore(reading)
    writer.load()
    reader.attach()
    assert reader.select([], 0, 9000) == []
    for time_ms in (1000, 2000):
        writer.append([Tick("host", time_ms, (Sample("load1", (), time_ms / 1000),))])
    writer.seal(everything=True)
    writer.append([Tick("host", 3000, (Sample("load1", (), 3.0),))])
    reader.attach()
    (series,) = reader.select([Matcher("__name__", "=", "load1")], 0, 9000)
    assert series.times.tolist() == [1000, 2000, 3000]
    assert series.values.tolist() == [1.0, 2.0, 3.0]
    writing.dispose()
    reading.dispose()
