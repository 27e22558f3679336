"""The follower is killed at any moment while logs are written and rotated: every line is counted once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import ROOT, eventually


class Writer(threading.Thread):
    """Writes numbered lines to a file, and rotates it as logrotate does, at moments of its own."""

    def __init__(self, path: Path, rotations: int, seconds: float, seed: int) -> None:
        super().__init__()
        self.path = path
        self.written = 0
        self.finish = threading.Event()
        self._left = rotations
        self._pause = seconds / (rotations + 1)
        self._random = random.Random(seed)

    def run(self) -> None:
        file = self.path.open("a")
        rotate_at = time.monotonic() + self._pause
        while not self.finish.is_set() or self._left:
            for _ in range(self._random.randint(1, 30)):
                file.write(f"number {self.written}\n")
                self.written += 1
            file.flush()
            if self._random.random() < 0.2:  # half a line, and the other half a little later
                file.write(f"number {self.written}")
                file.flush()
                time.sleep(0.01)
                file.write(" is whole\n")
                self.written += 1
                file.flush()
            if self._left and time.monotonic() >= rotate_at:
                file = self._rotate(file)  # type: ignore[assignment]
                self._left -= 1
                rotate_at = time.monotonic() + self._pause * self._random.uniform(0.5, 1.5)
            time.sleep(0.02)
        file.close()

    def _rotate(self, file: object) -> object:
        copies = sorted(self.path.parent.glob(self.path.name + ".*"), key=lambda one: -int(one.name.split(".")[2]))
        for one in copies:
            parts = one.name.split(".")
            os.rename(one, one.with_name(".".join([*parts[:2], str(int(parts[2]) + 1), *parts[3:]])))
        first = self.path.with_name(self.path.name + ".1")
        if self._random.random() < 0.5:
            os.rename(self.path, first)
            file.close()  # type: ignore[attr-defined]
            file = self.path.open("a")
        else:
            shutil.copyfile(self.path, first)
            os.truncate(self.path, 0)
        second = self.path.with_name(self.path.name + ".2")
        if second.exists():
            subprocess.run(["gzip", str(second)], check=True)
        return file


def seen(database: Path) -> Counter[int]:
    """How often each number was committed."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return Counter(number for (number,) in connection.execute("SELECT number FROM seen"))
        except sqlite3.OperationalError:  # no table yet
            return Counter()


def followed(database: Path) -> bool:
    """Whether a position was committed."""
    if not database.exists():
        return False
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return bool(connection.execute("SELECT count(*) FROM log_sources").fetchone()[0])
        except sqlite3.OperationalError:  # no table yet
            return False


def start(database: Path, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.targets.logfile.writing", "follow", str(database), str(path)], cwd=ROOT
    )


def prove(folder: Path, *, kills: int, rotations: int, seconds: float, seed: int = 7) -> None:
    """Write, rotate and kill; then compare."""
    path, database = folder / "app.log", folder / "wakeless.db"
    path.touch()
    moments = random.Random(seed)
    writer = Writer(path, rotations, seconds, seed)
    child = start(database, path)
    try:
        eventually(lambda: followed(database), what="the first look: what was rotated away before it is history")
        writer.start()
        for _ in range(kills):
            time.sleep(moments.uniform(0.5, 1.5) * seconds / kills)
            child.send_signal(signal.SIGKILL)
            child.wait()
            time.sleep(moments.choice([0.0, 0.5]))
            child = start(database, path)
        writer.finish.set()
        writer.join()
        eventually(
            lambda: child.poll() is not None or len(seen(database)) >= writer.written,
            within=60,
            what=f"the last of {writer.written} lines",
        )
        assert child.poll() is None, "the follower ended by itself"
    except AssertionError:
        missing = sorted(set(range(writer.written)) - set(seen(database)))
        print("missing:", missing[:50], "of", writer.written, "in", sorted(one.name for one in folder.iterdir()))
        raise
    finally:
        writer.finish.set()
        child.kill()
        child.wait()
    numbers = seen(database)
    assert [number for number, times in numbers.items() if times > 1] == []
    assert sorted(numbers) == list(range(writer.written))


def test_no_line_is_lost_or_doubled_over_kills_and_rotations(tmp_path: Path) -> None:
    prove(tmp_path, kills=5, rotations=10, seconds=6)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_line_is_lost_or_doubled_over_a_hundred_kills_and_rotations(tmp_path: Path) -> None:
    prove(tmp_path, kills=100, rotations=100, seconds=250)
