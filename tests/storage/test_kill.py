"""A writer is killed at random moments; what it had been told was written must be there."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.engine import open_database
from storage.series import SeriesStore

ROOT = Path(__file__).parents[2]

#: Writes ticks as fast as it can, and says the time of each once ``append`` has returned. Now and then a series comes
#: and goes, and old history is deleted, so that kills fall into those as well.
WRITER = """
import sys
from pathlib import Path
import structlog
from collectors.sample import Sample, Tick
from storage.engine import open_database
from storage.series import SeriesStore

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
database = open_database(Path(sys.argv[1]))
store = SeriesStore(database, head_minutes=1)
now = int(sys.argv[2])
store.load()
print("ready", flush=True)
while True:
    now += 1000
    names = ["a", "b"] + (["sometimes"] if now // 1000 % 7 < 3 else [])
    ticks = [Tick(source, now, tuple(Sample(f"{source}_{name}", (), now / 1000) for name in names)) for source in "xy"]
    store.append(ticks)
    print(now, flush=True)
    if now // 1000 % 50 == 0:
        store.expire(now - 200_000)
"""


def kill_after(path: Path, start_ms: int, lines: int, delay_bytes: int) -> list[int]:
    """Start the writer, read some of its lines, kill it, and return all times that it said were written."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(start_ms)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    said = process.stdout.read(
        lines * 14 + delay_bytes
    )  # a line has 14 bytes; killed in the middle of whatever is next
    process.kill()
    said += process.stdout.read()
    process.wait()
    process.stdout.close()
    return [int(line) for line in said.split(b"\n")[:-1]]


def check(path: Path, said: list[int]) -> None:
    database = open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = SeriesStore(database, head_minutes=1)
    store.load()
    last = store.last_tick_ms()
    assert last is not None
    assert last - said[-1] in (0, 1000)  # what was said is there; at most the tick being written is there as well
    found = store.select([], said[-1] - 200_000, last)
    alive = {series.labels[0][1]: series for series in found if "sometimes" not in series.labels[0][1]}
    assert set(alive) == {"x_a", "x_b", "y_a", "y_b"}
    for series in alive.values():
        values = dict(zip(series.times.tolist(), series.values.tolist(), strict=True))
        kept = [time for time in said if time >= said[-1] - 100_000]
        assert all(values[time] == time / 1000 for time in kept)
    database.dispose()


def kill_often(path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    now = 1_795_000_000_000
    for _ in range(kills):
        said = kill_after(path, now, chance.randint(1, 150), chance.randint(0, 13))
        check(path, said)
        now = said[-1] + 10_000


def test_a_killed_writer_loses_nothing_that_was_written(path: Path) -> None:
    kill_often(path, kills=5, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_writer_killed_200_times_loses_nothing_that_was_written(path: Path) -> None:
    kill_often(path, kills=200, seed=2)
