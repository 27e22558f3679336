"""Writers are killed while they write, seal, delete, vacuum and import; what they said was written must be there."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collectors.sample import Matcher, stale_mask
from storage.engine import open_database
from storage.series import SeriesStore
from tests.running import ROOT, eventually
from tests.storage.victim import KEPT_MS, PHASES, Phase, Strip, imported

FOREVER = 2**43 - 1
START_MS = 1_795_000_000_000
#: The longest time between the begin of a phase and the kill. Most are far shorter: so are some of the phases.
LONGEST_SECONDS = 0.01
GIVE_UP_SECONDS = 60.0


class Victim:
    """A process of :mod:`tests.storage.victim`."""

    def __init__(self, kind: str, path: Path, strip: Path, first: int) -> None:
        command = [sys.executable, "-m", "tests.storage.victim", kind, str(path), str(strip), str(first)]
        self.said = strip.with_suffix(f".{kind}")
        with self.said.open("wb") as told:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=subprocess.DEVNULL)

    def last_words(self) -> list[int]:
        """Wait for its end by a kill; returns all that it said was written."""
        assert self.process.wait() == -signal.SIGKILL, "it ended by itself"
        return [int(line) for line in self.said.read_bytes().split(b"\n")[:-1] if line != b"0"]


def kill_during(phase: Phase, path: Path, dice: random.Random, now_ms: int, number: int) -> tuple[list[int], list[int]]:
    """Let a writer and an import run, and kill both once one is in this phase.

    Returns the times of the ticks and the numbers of the imports that were said to be done.
    """
    strip_path = path.with_name("strip")
    strip = Strip.make(strip_path)
    victims = [Victim("write", path, strip_path, now_ms), Victim("import", path, strip_path, number)]
    try:
        eventually(lambda: all(victim.said.stat().st_size for victim in victims), what="the begin of both")
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while phase not in strip.current():  # without a pause: a phase may last a millisecond
            assert time.monotonic() < deadline, f"{phase} never began"
        moment = time.perf_counter() + LONGEST_SECONDS * dice.random() ** 8
        while time.perf_counter() < moment:
            pass
    finally:
        for victim in victims:
            victim.process.kill()
        ticks, imports = [victim.last_words() for victim in victims]
    STRUCK.update(strip.current())
    return ticks, imports


#: How often a kill struck which phase, of all kills of a test.
STRUCK: Counter[Phase] = Counter()


def check(path: Path, ticks: list[int], imports: list[int], number: int) -> None:
    """Look at what is left: ``ticks`` and ``imports`` were said to be written, ``number`` was the next import."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database = open_database(path)
    store = SeriesStore(database, head_minutes=1)
    store.attach()
    if ticks:
        last = store.last_tick_ms() or 0
        assert last - ticks[-1] in (0, 1000)  # what was said is there; at most the tick under way is there as well
        for source in "xy":
            for name in "ab":
                values = samples(store, f"{source}_{name}")
                kept = [time_ms for time_ms in ticks if time_ms >= ticks[-1] - KEPT_MS // 2]
                assert all(values[time_ms] == time_ms / 1000 for time_ms in kept)
    for one in range(number, max(imports, default=number) + 2):
        for column in imported(one):
            found = samples(store, dict(column.labels)["__name__"], int(column.times[0]), int(column.times[-1]))
            expected = dict(zip(column.times.tolist(), column.values.tolist(), strict=True))
            assert found.items() <= expected.items()
            assert one not in imports or found == expected
    database.dispose()
    assert_nothing_is_there_twice(path)


def samples(store: SeriesStore, name: str, start_ms: int = 0, end_ms: int = FOREVER) -> dict[int, float]:
    found = store.select([Matcher("__name__", "=", name)], start_ms, end_ms)
    return {time: value for one in found for time, value in zip(one.times.tolist(), one.values.tolist(), strict=True)}


def assert_nothing_is_there_twice(path: Path) -> None:
    """What blocks hold in all is what an answer shows, which has each moment once in any case.

    Looked at in a copy: all that the journal has is sealed into blocks, and what has expired is shown again.
    """
    copied = path.parent.with_name("copied") / path.name
    shutil.copytree(path.parent, copied.parent)
    database = open_database(copied)
    store = SeriesStore(database)
    store.load()
    store.close()
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM facts WHERE name = 'horizon_ms'")
        held = connection.exec_driver_sql(_HELD).scalar_one()
    store = SeriesStore(database)
    store.attach()
    assert held == sum(int((~stale_mask(one.values)).sum()) for one in store.select([], 0, FOREVER))
    database.dispose()
    shutil.rmtree(copied.parent)


#: Samples in all blocks; chunks of the series 0 hold the moments.
_HELD = """
    SELECT sum(chunks.count) FROM blocks JOIN chunks ON chunks.id >> 32 = blocks.id
    WHERE blocks.ready AND blocks.resolution_ms = 0 AND chunks.id & 0xFFFFFFFF
"""


def kill_often(path: Path, phases: Iterator[Phase], seed: int) -> Counter[Phase]:
    """Kill during one phase after the other; returns which phases the kills struck."""
    path.parent.mkdir()
    dice = random.Random(seed)
    now_ms, number = START_MS, 0
    STRUCK.clear()
    for phase in phases:
        ticks, imports = kill_during(phase, path, dice, now_ms, number)
        check(path, ticks, imports, number)
        now_ms = max([now_ms, *ticks]) + 10_000
        number = max(imports, default=number)  # what was done last is imported once more: all of it is there already
    return STRUCK


def test_a_killed_writer_loses_nothing_and_doubles_nothing(path: Path) -> None:
    kill_often(path, iter(("seal", "delete", "vacuum", "import")), seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_200_kills_lose_nothing_and_double_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    struck = kill_often(path, (PHASES[number % len(PHASES)] for number in range(200)), seed=2)
    with capfd.disabled():
        print(f"\nof 200 kills {', '.join(f'{struck[phase]} struck {phase}' for phase in PHASES)}")
    assert set(struck) == set(PHASES)
