"""Real processes on a real disk that fills up, forbids or is held: what ``test_trouble`` shows, with nothing put on."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT, RunningServer, eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

#: A disk of its own for the data folder, in a mount namespace that only this server sees.
ON_A_DISK = 'mount -t tmpfs -o size=6m,mode=700 tmpfs "$0" && exec "$@"'
#: Root may write anywhere; this root may not.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def can_mount() -> bool:
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None and not subprocess.run(command, capture_output=True, check=False).returncode
    )


class Server(RunningServer):
    """One with a model that answers at once. ``folder`` is where this process finds its files."""

    def __init__(self, data_dir: Path, command: list[str], *, apart: bool = False) -> None:
        super().__init__(data_dir, MODEL__PATH="tests.faults.slow:SlowModel", LOG__FILE="false")
        data_dir.mkdir(mode=0o700)
        self.limit = command
        self.apart = apart  # its files are not those that this process sees

    def start(self) -> None:
        super().start()
        self.wait_until_ready()
        assert self.process is not None
        self.folder = Path(f"/proc/{self.process.pid}/root{self.data_dir}")
        there = ["nsenter", "-t", str(self.process.pid), "-U", "-m", "--preserve-credentials"] if self.apart else []
        create = [*there, sys.executable, str(ROOT / "app.py"), "token", "create", "test"]
        made = subprocess.run(create, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True)
        self.headers = {"Authorization": f"Bearer {made.stdout.strip()}"}

    def predicts(self) -> bool:
        return self.request("POST", "/predict", b'{"seconds": 0}', {"Content-Type": "application/json"})[0] == 200

    def told(self) -> set[str]:
        """The kinds of what the storage page says is wrong."""
        return {problem["kind"] for problem in self.json("/api/storage", **self.headers)["problems"]}

    def firing(self) -> set[str]:
        alerts = self.json("/api/alerts", **self.headers)["alerts"]
        return {alert["rule"] for alert in alerts if alert["state"] == "firing"}

    def moments(self) -> list[float]:
        """When a series that is written every second was written."""
        found: Any = self.json("/api/v1/query?query=process_threads[1h]", **self.headers)["data"]["result"]
        return [float(time) for time, _ in found[0]["values"]]


def assert_no_second_is_missing(moments: list[float]) -> None:
    assert max(after - before for before, after in pairwise(moments)) < 1.9


@pytest.mark.skipif(not can_mount(), reason="needs a disk of its own to fill")
def test_a_full_disk_costs_nothing_that_was_safe_and_nothing_at_all_once_there_is_room(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with Server(data_dir, ["unshare", "-Urm", "sh", "-c", ON_A_DISK, str(data_dir)], apart=True) as server:
        eventually(lambda: len(server.moments()) > 3, what="some history")
        fill(server.folder / "other-program")
        eventually(lambda: "disk_full" in server.told(), what="the problem")
        eventually(lambda: server.firing() == {"HistoryNotWritten"}, what="the alert")
        assert server.predicts()
        full = server.moments()
        eventually(lambda: len(server.moments()) > len(full), what="history in memory")
        (server.folder / "other-program").unlink()
        eventually(lambda: server.told() == set(), within=60, what="the end of the problem")
        assert server.predicts()
        before = server.moments()
        assert_no_second_is_missing(before)
        server.kill_worker()
        server.wait_until_ready()
        assert set(before) <= set(server.moments())

        fill(server.folder / "other-program")  # and a process that dies while the disk is full comes back
        eventually(lambda: "disk_full" in server.told(), what="the problem")
        safe = server.moments()[:-60]
        server.kill_worker(signal.SIGKILL)
        server.wait_until_ready()
        assert server.predicts()
        assert set(before) | set(safe) <= set(server.moments())
        eventually(lambda: "disk_full" in server.told(), what="the problem again")
        (server.folder / "other-program").unlink()
        eventually(lambda: server.told() == set(), within=60, what="the end of the problem")


def fill(path: Path) -> None:
    """Take all the room that there is, to the last byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_folder_that_may_not_be_written_any_more_lets_the_server_go_on(tmp_path: Path) -> None:
    """Files that are open stay so; what needs a new file waits. A process that starts then serves as well."""
    data_dir = tmp_path / "data"
    with Server(data_dir, AS_OTHERS) as server:
        eventually(lambda: len(server.moments()) > 3, what="some history")
        data_dir.chmod(0o500)
        (data_dir / "wakeless.journal").chmod(0o500)
        try:
            before = server.moments()
            eventually(lambda: len(server.moments()) > len(before) + 3, what="history that goes on")
            assert server.predicts()
            server.kill_worker()
            server.wait_until_ready()
            assert server.predicts()
            eventually(lambda: "read_only" in server.told(), what="the problem")
            eventually(lambda: "HistoryNotWritten" in server.firing(), what="the alert")
        finally:
            data_dir.chmod(0o700)
            (data_dir / "wakeless.journal").chmod(0o700)
        eventually(lambda: server.told() == set(), within=60, what="the end of the problem")
        assert set(before) <= set(server.moments())


def test_a_lock_of_another_program_holds_up_neither_ticks_nor_predictions_nor_a_start(tmp_path: Path) -> None:
    with Server(tmp_path / "data", []) as server:
        eventually(lambda: len(server.moments()) > 3, what="some history")
        with closing(sqlite3.connect(tmp_path / "data/wakeless.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            eventually(lambda: server.told() == {"locked"}, what="the problem")
            assert server.predicts()
            eventually(lambda: server.firing() == {"DatabaseLocked"}, within=60, what="the alert")
            before = server.moments()
            assert_no_second_is_missing(before)
            server.kill_worker()
            server.wait_until_ready()
            assert server.predicts()
            eventually(lambda: server.told() == {"locked"}, what="the problem again")
            other.execute("ROLLBACK")
        eventually(lambda: server.told() == set(), within=60, what="the end of the problem")
        assert set(before) <= set(server.moments())
