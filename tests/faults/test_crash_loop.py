"""A model that keeps taking its process with it ends in safe mode, says why, and comes back when it is mended."""

from __future__ import annotations

import json
import subprocess
from http.client import HTTPException
from pathlib import Path

import pytest

from ledger import Ledger
from tests.faults.doom import CURSE
from tests.running import RunningServer, eventually


def in_safe_mode(server: RunningServer) -> bool:
    try:
        status, body = server.get("/health/ready")
    except (OSError, HTTPException):  # the process that answered died on the way
        return False
    return status == 503 and b"safe_mode" in body


def crashing(tmp_path: Path, model: str) -> RunningServer:
    return RunningServer(
        tmp_path / "data",
        MODEL__PATH=model,
        MODEL__DEVICE="cpu",
        SUPERVISOR__CRASH_LOOP_COUNT=2,
        SUPERVISOR__BACKOFF_SECONDS=0.1,
        AUTH__ANONYMOUS="viewer",
    )


def test_an_import_that_ends_the_process_ends_in_safe_mode_with_the_page_alive(tmp_path: Path) -> None:
    with crashing(tmp_path, "tests.faults.doomed_import:Never") as server:
        eventually(lambda: in_safe_mode(server), within=60, what="safe mode")
        assert server.get("/login")[0] == 200
        assert {(end.reason, end.code) for end in Ledger(server.data_dir).exits()} == {("crash", 9)}


def test_safe_mode_is_left_by_a_restart_once_the_cause_is_gone(tmp_path: Path) -> None:
    curse = tmp_path / "curse"
    curse.touch()
    server = crashing(tmp_path, "tests.faults.doom:Cursed")
    server.environment[CURSE] = str(curse)
    with server:
        eventually(lambda: in_safe_mode(server), within=60, what="safe mode")
        assert "segfault: the program crashed with SIGSEGV" in server.command("why", "--brief")
        curse.unlink()
        headers = {**server.token(), "Content-Type": "application/json"}
        assert server.request("POST", "/api/process/restart", b'{"reason": "mended"}', headers)[0] == 202
        server.wait_until_ready()
        *crashes, last = Ledger(server.data_dir).exits()
        assert {end.reason for end in crashes} == {"segfault"}
        assert (last.reason, last.detail["reason"]) == ("restart", "mended")


def test_the_command_line_restarts_a_running_server_and_refuses_where_there_is_none(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", MODEL__ENABLED="false")
    with server:
        first = server.worker.pid
        server.command("restart", "--reason", "a new driver")
        server.wait_until_alive()
        assert server.worker.pid != first
        (end,) = Ledger(server.data_dir).exits()
        assert (end.reason, end.detail) == ("restart", {"reason": "a new driver"})
    with pytest.raises(subprocess.CalledProcessError) as refused:
        server.command("restart")
    assert refused.value.returncode == 2
    assert b"no server is running" in refused.value.stderr


def test_a_crash_at_a_later_request_is_told_with_the_request_and_the_last_words(tmp_path: Path) -> None:
    with crashing(tmp_path, "tests.faults.doom:Countdown") as server:
        server.wait_until_ready()
        for name in ("one", "two"):
            assert server.request("POST", "/predict", b'{"a": 1}', {"X-Request-ID": name})[0] == 200
        with pytest.raises(OSError, match=r".*"):
            server.request("POST", "/predict", b'{"a": 1, "secret": "swordfish"}', {"X-Request-ID": "three"})
        server.wait_until_ready()
        (end,) = Ledger(server.data_dir).exits()
        assert (end.reason, end.signal) == ("signal", "SIGABRT")
        assert end.detail["batch"]["request_ids"] == ["three"]
        assert end.detail["batch"]["inputs"] == ["dict of 2"]
        assert end.detail["batch"]["finished"] is False
        assert "terminate called after throwing an instance of 'c10::Error'" in end.detail["stderr"]
        assert any("doom.py" in line and "predict" in line for line in end.detail["stderr"])
        assert end.detail["peak_memory_mb"] > 50
        assert end.detail["memory_mb"]
        assert "swordfish" not in json.dumps(end.detail)
        told = server.command("why")
        assert "last batch of 1 (dict of 2), requests three: running for" in told
        eventually(lambda: server.json("/api/incidents")["incidents"], what="the incident")
        (incident,) = server.json("/api/incidents")["incidents"]
        assert incident["detail"]["batch"]["request_ids"] == ["three"]
        (event,) = [event for event in server.json("/api/events?start=0")["events"] if event["kind"] == "incident"]
        assert "requests three" in event["detail"]


def test_missing_weights_are_no_crash_and_the_reason_is_told(tmp_path: Path) -> None:
    with crashing(tmp_path, "tests.faults.doom:Weightless") as server:
        eventually(lambda: b"load_failed" in server.get("/health/ready")[1], within=60, what="a failed load")
        assert server.get("/health/live")[0] == 200
        assert Ledger(server.data_dir).exits() == []
        assert server.command("why") == "no server process has ended unexpectedly"
