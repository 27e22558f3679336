"""No line lost, none doubled: logs are written and rotated while their follower is killed, and every number is counted.

    python -m bench.logs [--seconds 300] [--files 20] [--lines 5000] [--rotations 100] [--kills 100]

The follower is a real LogWatch on a real database, in a process of its own. Each line carries a number; each hundredth
says so, and a matcher notes these numbers in the same transaction that takes the position. Rotation is by rename and by
copying and truncating, in turns. A line written between copying and truncating would be lost to any reader: the writer
rests meanwhile. CPU is that of all followers, as a share of one core; what starting Python costs after each kill is
left out by measuring before the kills begin.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import psutil

#: Lines with a number that the matcher notes.
MARKED = 100
CALM_SECONDS = 15.0
LAST_SECONDS = 60.0


class Log:
    """One file, its writer and its rotation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._file = path.open("a")

    def write(self, count: int) -> None:
        for number in range(self.written, self.written + count):
            mark = "number" if number % MARKED == 0 else "line"
            self._file.write(f"2026-01-31 12:00:00,123 INFO worker: {mark} {number} of {self.path.name} was written\n")
        self._file.flush()
        self.written += count

    def rotate(self, *, copy: bool) -> None:
        copies = sorted(self.path.parent.glob(self.path.name + ".*"), key=lambda one: -int(one.suffix[1:]))
        for one in copies:
            os.rename(one, one.with_suffix(f".{int(one.suffix[1:]) + 1}"))
        if copy:
            shutil.copyfile(self.path, f"{self.path}.1")
            os.truncate(self.path, 0)
        else:
            os.rename(self.path, f"{self.path}.1")
            self._file.close()
            self._file = self.path.open("a")

    def close(self) -> None:
        self._file.close()


def start(database: Path, logs: list[Log]) -> subprocess.Popen[bytes]:
    paths = [str(log.path) for log in logs]
    return subprocess.Popen([sys.executable, "-m", "tests.targets.logfile.writing", "follow", str(database), *paths])


def totals(database: Path) -> tuple[int, int, int]:
    """Lines counted, bytes and sources."""
    if not database.exists():
        return 0, 0, 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            row = connection.execute(
                "SELECT coalesce(sum(lines), 0), coalesce(sum(bytes), 0), count(*) FROM log_sources"
            )
            lines, size, sources = row.fetchone()
        except sqlite3.OperationalError:  # no tables yet
            return 0, 0, 0
    return int(lines), int(size), int(sources)


def marked(database: Path) -> Counter[tuple[str, int]]:
    """How often each marked number was committed."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return Counter((source, number) for source, number in connection.execute("SELECT source, number FROM seen"))


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Write, rotate, kill, compare; returns whether nothing is lost or doubled."""
    logs = [Log(folder / f"service{index:02}.log") for index in range(options.files)]
    database = folder / "wakeless.db"
    child = start(database, logs)
    while totals(database)[2] < len(logs):
        time.sleep(0.1)
    chance = random.Random(1)
    began = time.monotonic()
    ends = began + CALM_SECONDS + options.seconds
    kills = sorted(chance.uniform(CALM_SECONDS, CALM_SECONDS + options.seconds) for _ in range(options.kills))
    turns = sorted(chance.uniform(CALM_SECONDS, CALM_SECONDS + options.seconds) for _ in range(options.rotations))
    at_begin, share, rotated = cpu_seconds(psutil.Process(child.pid)), None, 0
    sent = 0
    while time.monotonic() < ends or kills or turns:
        passed = time.monotonic() - began
        due = min(int(passed * options.lines), int((CALM_SECONDS + options.seconds) * options.lines))
        each = (due - sent) // len(logs)
        for log in logs:
            log.write(each)
        sent += each * len(logs)
        if share is None and passed >= CALM_SECONDS:
            share = (cpu_seconds(psutil.Process(child.pid)) - at_begin) / passed
        if turns and passed >= turns[0]:
            turns.pop(0)
            logs[rotated % len(logs)].rotate(copy=rotated % 2 == 0)
            rotated += 1
        if kills and passed >= kills[0]:
            kills.pop(0)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child = start(database, logs)
        time.sleep(0.02)
    written = sum(log.written for log in logs)
    deadline = time.monotonic() + LAST_SECONDS
    while totals(database)[0] < written and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(3.0)  # one more than there are would come now
    child.kill()
    child.wait()
    for log in logs:
        log.close()
    return report(database, logs, written, share or 0.0, options)


def report(database: Path, logs: list[Log], written: int, share: float, options: argparse.Namespace) -> bool:
    counted = totals(database)[0]
    found = marked(database)
    expected = {(str(log.path), number) for log in logs for number in range(0, log.written, MARKED)}
    missing, doubled = expected - found.keys(), [one for one, times in found.items() if times > 1]
    print(f"{options.rotations} rotations, {options.kills} kills, {len(logs)} files, {options.lines} lines/s in all")
    print(f"lines written {written}, counted {counted}, difference {counted - written}")
    print(f"numbered lines written {len(expected)}, lost {len(missing)}, doubled {len(doubled)}")
    print(f"CPU of the follower before the kills: {share:.1%} of a core")
    return counted == written and not missing and not doubled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("seconds", 300), ("files", 20), ("lines", 5000), ("rotations", 100), ("kills", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    with tempfile.TemporaryDirectory(prefix="logs-") as folder:
        sys.exit(not run(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    main()
