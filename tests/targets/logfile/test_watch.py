"""Logs of targets, with the real thread, the real database, and programs that play journalctl and Docker."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, text

from collectors.sample import Tick
from config_target import TargetSettings
from storage.engine import Database, open_database
from storage.error import StorageError
from targets.logfile.entry import LogState
from targets.logfile.watch import LogWatch
from targets.target import Target
from tests.running import eventually
from tests.targets.logfile.writing import TABLE, NumberMatcher


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(tmp_path / "wakeless.db")
    with found.begin() as connection:
        connection.execute(text(TABLE))
    yield found
    found.dispose()


@pytest.fixture
def watch(database: Database) -> Iterator[LogWatch]:
    one = LogWatch(database, lambda: time.time_ns() // 1_000_000, matcher=NumberMatcher)
    yield one
    one.stop()


def target(*logs: dict[str, Any], name: str = "app") -> Target:
    return Target(TargetSettings.model_validate({"name": name, "log": list(logs)}))


def numbers(database: Database) -> list[int]:
    with database.connect() as connection:
        return sorted(connection.execute(text("SELECT number FROM seen")).scalars())


def states(watch: LogWatch) -> dict[str, LogState]:
    return {state.source.rsplit("/", 1)[-1]: state for state in watch.states()}


def values(ticks: list[Tick]) -> dict[str, float]:
    return {sample.name: sample.value for tick in ticks for sample in tick.samples}


def test_lines_are_counted_and_told_as_series(tmp_path: Path, watch: LogWatch) -> None:
    path = tmp_path / "app.log"
    path.write_text("number 1\nnumber 2\n")
    watch.replace([target({"path": str(path), "begin": "start"})])
    assert watch.collect(1) == []
    watch.start()
    eventually(lambda: values(watch.collect(time.time_ns())).get("log_lines_total") == 2, what="both lines")
    told = values(watch.collect(time.time_ns()))
    assert told["log_up"] == 1
    assert told["log_bytes_total"] == 18
    assert told["log_behind_bytes"] == told["log_gaps_total"] == 0


def test_series_end_when_nothing_is_followed_any_more(tmp_path: Path, watch: LogWatch) -> None:
    (tmp_path / "app.log").touch()
    watch.replace([target({"path": str(tmp_path / "app.log")})])
    watch.start()
    eventually(lambda: watch.states(), what="a source")
    assert watch.collect(10)[0].samples
    watch.replace([])
    eventually(lambda: not watch.states(), what="the end of the source")
    assert watch.collect(20) == [Tick("logs", 20, ())]
    assert watch.collect(30) == []


def test_without_logs_there_is_no_thread(watch: LogWatch) -> None:
    before = threading.active_count()
    watch.replace([])
    watch.start()
    assert threading.active_count() == before
    assert watch.collect(1) == []


def test_files_of_a_pattern_are_followed_as_they_come(tmp_path: Path, database: Database, watch: LogWatch) -> None:
    (tmp_path / "a.log").write_text("number 1\n")
    watch.replace([target({"path": f"{tmp_path}/*.log"})])
    watch.start()
    eventually(lambda: "a.log" in states(watch), what="the first file")
    (tmp_path / "b.log").write_text("number 2\n")
    eventually(lambda: numbers(database) == [2], what="the line of the file that came late")
    (tmp_path / "b.log").rename(tmp_path / "b2.log")  # the same file by another name that matches
    (tmp_path / "b.log").write_text("number 3\n")
    eventually(lambda: numbers(database) == [2, 3], what="the line of the file that replaced it")


def test_what_cannot_be_read_says_why_and_holds_up_nobody(tmp_path: Path, database: Database, watch: LogWatch) -> None:
    os.mkfifo(tmp_path / "fifo.log")
    (tmp_path / "app.log").write_text("number 1\n")
    logs = [{"path": f"{tmp_path}/{name}.log", "begin": "start"} for name in ("fifo", "app")]
    watch.replace([target(*logs)])
    watch.start()
    eventually(lambda: numbers(database) == [1], what="the line")
    assert states(watch)["fifo.log"].up is False
    assert "FIFO" in (states(watch)["fifo.log"].error or "")


def test_an_expression_that_is_none_is_said(tmp_path: Path, watch: LogWatch) -> None:
    class Wrong(NumberMatcher):
        multiline = "("  # type: ignore[assignment]

    watch = LogWatch(watch._database, lambda: 1, matcher=Wrong)
    watch.replace([target({"path": str(tmp_path / "app.log")})])
    watch.round(1)
    assert "multiline" in (watch.states()[0].error or "")
    assert watch.states()[0].up is False


def test_while_the_database_takes_nothing_nothing_advances(tmp_path: Path, database: Database, watch: LogWatch) -> None:
    path = tmp_path / "app.log"
    path.write_text("number 1\n")
    watch.replace([target({"path": str(path), "begin": "start"})])
    watch.round(1_000)
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        watch.round(5_000)
        assert watch.states()[0].lines == 0
        assert "nothing can be stored" in (watch.states()[0].error or "")
        path.rename(tmp_path / "app.log.1")
        path.write_text("number 2\n")
        other.rollback()
    watch._retry_at = 0.0
    for moment in range(10_000, 20_000, 2_000):
        watch.round(moment)
    assert numbers(database) == [1, 2]
    assert watch.states()[0].lines == 2


JOURNALCTL = """#!/usr/bin/env python3
import json, os, sys, time
after = next((int(one.split("=")[1]) for one in sys.argv if one.startswith("--after-cursor=")), 0)
open(os.environ["JOURNAL"] + ".asked", "a").write(" ".join(sys.argv[1:]) + "\\n")
at = 0
while True:
    lines = open(os.environ["JOURNAL"]).read().splitlines()
    for at, line in enumerate(lines[at:], at + 1):
        if at > after:
            message = line if at % 2 else list(line.encode())
            print(json.dumps({"__CURSOR": str(at), "MESSAGE": message}), flush=True)
    time.sleep(0.05)
"""


def test_a_source_and_the_database_that_fail_together_double_no_line(tmp_path: Path, database: Database) -> None:
    class Failing(NumberMatcher):
        def pending(self, connection: Connection, now_ms: int) -> None:
            if self._numbers and troubles:
                raise troubles.pop(0)
            super().pending(connection, now_ms)

    troubles: list[Exception] = [ValueError("a defect"), StorageError("the disk is full", permanent=False)]
    logs = []
    for number, name in enumerate(("a.log", "b.log")):
        (tmp_path / name).write_text(f"number {number}\nnumber {number + 2}\n")
        logs.append({"path": str(tmp_path / name), "begin": "start"})
    watch = LogWatch(database, lambda: 0, matcher=Failing)
    watch.replace([target(*logs)])
    for now_ms in range(1000, 21_000, 1000):
        watch._retry_at = 0.0  # time does not pass here
        watch.round(now_ms)
    assert not troubles
    assert numbers(database) == [0, 1, 2, 3]


def test_a_journal_is_followed_behind_its_cursor(
    tmp_path: Path, database: Database, watch: LogWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, journal = tmp_path / "bin" / "journalctl", tmp_path / "journal"
    program.parent.mkdir()
    program.write_text(JOURNALCTL)
    program.chmod(0o755)
    journal.write_text("number 1\nnumber 2\n")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("JOURNAL", str(journal))
    log = {"journal": "app.service", "begin": "start"}
    watch.replace([target(log)])
    watch.start()
    eventually(lambda: numbers(database) == [1, 2], what="both entries")
    assert watch.states()[0].up is True
    watch.stop()
    with journal.open("a") as file:
        file.write("number 3\n")
    again = LogWatch(database, lambda: time.time_ns() // 1_000_000, matcher=NumberMatcher)
    again.replace([target(log)])
    again.start()
    try:
        eventually(lambda: numbers(database) == [1, 2, 3], what="the third entry")
    finally:
        again.stop()
    asked = (tmp_path / "journal.asked").read_text().splitlines()
    assert "--unit=app.service" in asked[0]
    assert "--after-cursor=2" in asked[-1]


def test_without_journalctl_nobody_is_alarmed(watch: LogWatch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    watch.replace([target({"journal": "app.service"})])
    watch.round(1)
    assert watch.states()[0].up is None
    assert "no journalctl" in (watch.states()[0].error or "")
    assert "log_up" not in values(watch.collect(2))


class Docker(BaseHTTPRequestHandler):
    """As much of Docker's API as following a container takes: its lines, those since a second, in frames."""

    lines: ClassVar[list[tuple[float, str]]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.endswith("/version"):
            self._answer(json.dumps({"ApiVersion": "1.41"}).encode())
        elif path.endswith("/json"):
            self._answer(json.dumps({"Id": "abc", "Config": {"Tty": False}}).encode())
        else:
            self.asked.append(self.path)
            since = next((float(one[6:]) for one in self.path.split("?")[1].split("&") if one.startswith("since=")), 0)
            body = b"".join(self._frame(moment, line) for moment, line in self.lines if moment >= since)
            self._answer(body)

    def _frame(self, moment: float, line: str) -> bytes:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(moment))) + f".{int(moment % 1 * 1e9):09}Z"
        data = f"{stamp} {line}\n".encode()
        return b"\x01\0\0\0" + len(data).to_bytes(4, "big") + data

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "docker"

    def log_message(self, format: str, *args: object) -> None:
        del format, args


def test_a_container_is_followed_without_doubling_the_lines_of_a_second(
    tmp_path: Path, database: Database, watch: LogWatch
) -> None:
    Docker.lines = [(100.1, "number 1"), (100.2, "number 2"), (101.0, "number 3")]
    Docker.asked = []
    with ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Docker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            log = {"container": "app", "socket": str(tmp_path / "docker.sock"), "begin": "start"}
            watch.replace([target(log)])
            watch.start()
            eventually(lambda: numbers(database) == [1, 2, 3], what="three lines")
            watch.stop()
            Docker.lines += [(101.0, "number 4"), (100.9, "number 5"), (102.0, "number 6")]
            again = LogWatch(database, lambda: time.time_ns() // 1_000_000, matcher=NumberMatcher)
            again.replace([target(log)])
            again.start()
            eventually(lambda: len(numbers(database)) >= 6, what="the other lines")
            again.stop()
            assert numbers(database) == [1, 2, 3, 4, 5, 6]
            assert "since=99" in Docker.asked[-1]
        finally:
            server.shutdown()
            thread.join()


def test_without_docker_nobody_is_alarmed(tmp_path: Path, watch: LogWatch) -> None:
    watch.replace([target({"container": "app", "socket": str(tmp_path / "none.sock")})])
    watch.round(1)
    assert watch.states()[0].up is None
    assert "no Docker" in (watch.states()[0].error or "")


def test_docker_that_does_not_answer_is_said(tmp_path: Path, watch: LogWatch) -> None:
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(tmp_path / "docker.sock"))  # and does not listen
        watch.replace([target({"container": "app", "socket": str(tmp_path / "docker.sock")})])
        watch.start()
        eventually(lambda: watch.states() and watch.states()[0].up is False, what="the verdict")
    assert "Docker does not answer" in (watch.states()[0].error or "")
