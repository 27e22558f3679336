"""What runs on this machine: processes, units of systemd and containers of Docker, where they are there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import pytest

from config_target import DockerProbe, ProcessProbe, SystemdProbe
from targets.probe import container, process, unit
from targets.probe.outcome import Outcome
from tests.running import eventually

MARK = "wakeless-test-of-processes"


@contextmanager
def _sleeper() -> Iterator[subprocess.Popen[bytes]]:
    code = "import time; time.sleep(60)"
    running = subprocess.Popen([sys.executable, "-c", code, f"{MARK}-{os.getpid()}"])
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at all processes each time."""
    monkeypatch.setattr(process, "_FRESH_SECONDS", 0.0)


def _process(**settings: Any) -> Outcome:
    return process.look(ProcessProbe.model_validate(settings))


def test_a_process_is_found_by_its_command_line_as_long_as_it_runs() -> None:
    command = f"{MARK}-{os.getpid()}$"
    assert _process(command=command).reason == "no such process runs"
    with _sleeper() as running:
        outcome = eventually(lambda: (it := _process(command=command)).success and it, what="it runs")
        assert isinstance(outcome, Outcome)
        assert outcome.detail == {"pids": [running.pid], "count": 1}
        assert _process(command=command, count=2).reason == "fewer than 2 such processes run"
        with _sleeper():
            eventually(lambda: _process(command=command, count=2).success, what="both run")
    assert _process(command=command).success is False
    assert _process(command="(").success is None


def test_a_process_is_found_by_its_name() -> None:
    with _sleeper() as running:
        name = Path(f"/proc/{running.pid}/comm").read_text().strip()
        outcome = _process(name=name)
    assert outcome.success
    assert _process(name="no-such-program").success is False


def test_a_process_that_has_died_and_waits_for_its_parent_runs_no_more() -> None:
    with _sleeper() as running:
        command = f"{MARK}-{os.getpid()}$"
        eventually(lambda: _process(command=command).success, what="it runs")
        running.kill()
        eventually(lambda: Path(f"/proc/{running.pid}/stat").read_text().split()[2] == "Z", what="it is a zombie")
        assert _process(command=command).success is False


def test_a_pid_file_is_believed_only_as_long_as_its_process_runs(tmp_path: Path) -> None:
    file = tmp_path / "service.pid"
    assert _process(pid_file=file).reason == "the pid file is not there"
    for text in ("", "abc", "-1", "9" * 50):
        file.write_text(text)
        assert _process(pid_file=file).reason == "the pid file holds no process id"
    with _sleeper() as running:
        file.write_text(f"{running.pid}\n")
        assert eventually(lambda: _process(pid_file=file, command=MARK).success)
        other = _process(pid_file=file, command="postgres: checkpointer")
        assert other.reason == "the number in the pid file is another program's by now"
    assert _process(pid_file=file).reason == "the process of the pid file has ended"
    file.unlink()
    file.mkdir()
    assert _process(pid_file=file).reason.startswith("the pid file cannot be read")


# --- systemd ------------------------------------------------------------------------------------------------------

ACTIVE = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Type": "simple", "Result": "success"}
UNITS: dict[str, tuple[dict[str, str], bool, str]] = {
    "running": ({}, True, ""),
    "reloading": ({"ActiveState": "reloading"}, True, ""),
    "failed": (
        {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"},
        False,
        "failed, because of exit-code",
    ),
    "starting again": (
        {"ActiveState": "activating", "SubState": "auto-restart", "Result": "signal"},
        False,
        "activating (auto-restart), because of signal",
    ),
    "stopped": ({"ActiveState": "inactive", "SubState": "dead"}, False, "inactive (dead)"),
    "a job that has run": ({"ActiveState": "inactive", "SubState": "dead", "Type": "oneshot"}, True, ""),
    "a job that runs": ({"ActiveState": "activating", "SubState": "start", "Type": "oneshot"}, True, ""),
    "a job that has failed": (
        {"ActiveState": "failed", "SubState": "failed", "Type": "oneshot", "Result": "exit-code"},
        False,
        "failed, because of exit-code",
    ),
    "unknown": ({"LoadState": "not-found", "ActiveState": "inactive"}, False, "the unit is not-found"),
}


def _systemctl(folder: Path, script: str) -> str:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_what_systemctl_shows(tmp_path: Path, name: str) -> None:
    changed, success, reason = UNITS[name]
    lines = "\n".join(f"echo '{key}={value}'" for key, value in {**ACTIVE, **changed}.items())
    program = _systemctl(tmp_path, f'[ "$1" = show ] && [ "$3" = -- ] && [ "$4" = comfyui.service ] || exit 1\n{lines}')
    outcome = unit.look(SystemdProbe(unit="comfyui.service"), program=program, booted=tmp_path)
    assert (outcome.success, outcome.reason) == (success, reason)


def test_a_machine_without_systemd_is_no_reason_to_call_anything_down(tmp_path: Path) -> None:
    settings = SystemdProbe(unit="comfyui.service", timeout=0.3)
    assert unit.look(settings, booted=tmp_path / "none") == Outcome(None, unit.ABSENT)
    missing = unit.look(settings, program=str(tmp_path / "none"), booted=tmp_path)
    assert missing == Outcome(None, unit.ABSENT)
    failing = unit.look(settings, program=_systemctl(tmp_path, "exit 1"), booted=tmp_path)
    assert (failing.success, failing.reason) == (None, "systemd cannot be asked")
    hanging = unit.look(settings, program=_systemctl(tmp_path, "exec sleep 20"), booted=tmp_path)
    assert (hanging.success, hanging.reason) == (None, "systemd gives no answer within 0.3 s")


# --- Docker -------------------------------------------------------------------------------------------------------

RUNNING = {"Status": "running", "Running": True, "Paused": False, "Restarting": False, "OOMKilled": False}
CONTAINERS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "running": ({}, True, ""),
    "healthy": ({"Health": {"Status": "healthy"}}, True, ""),
    "starting": ({"Health": {"Status": "starting"}}, True, ""),
    "unhealthy": ({"Health": {"Status": "unhealthy"}}, False, "its own health check fails"),
    "paused": ({"Paused": True}, False, "it is paused"),
    "restarting": ({"Restarting": True}, False, "it is being restarted"),
    "exited": ({"Running": False, "ExitCode": 137}, False, "it has exited (137)"),
    "out of memory": ({"Running": False, "OOMKilled": True}, False, "it was killed for want of memory"),
}


class _Docker(ThreadingUnixStreamServer):
    """Docker's API over its socket, as far as one container goes."""

    daemon_threads = True

    def __init__(self, path: Path, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        super().__init__(str(path), self._handle)  # type: ignore[arg-type]  # a function serves as well as a class

    def _handle(self, request: Any, _address: object, _server: object) -> None:
        self.asked.append(request.recv(65536))
        request.sendall(self.answer)


@contextmanager
def _docker(path: Path, answer: bytes) -> Iterator[_Docker]:
    with _Docker(path, answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _json(status: str, body: object) -> bytes:
    """As Docker answers: in chunks."""
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{len(text):x}\r\n"
    return head.encode() + text + b"\r\n0\r\n\r\n"


def _container(path: Path, **settings: Any) -> Outcome:
    return container.look(DockerProbe.model_validate({"container": "comfy", "socket": path, "timeout": 1, **settings}))


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_what_docker_says(tmp_path: Path, name: str) -> None:
    changed, success, reason = CONTAINERS[name]
    path = tmp_path / "docker.sock"
    with _docker(path, _json("200 OK", {"State": {**RUNNING, **changed}})) as server:
        outcome = _container(path)
    assert (outcome.success, outcome.reason) == (success, reason)
    assert server.asked[0].startswith(b"GET /containers/comfy/json HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "success", "reason"),
    [
        (_json("404 Not Found", {"message": "No such container"}), False, "there is no such container"),
        (_json("500 Internal", {"message": "no"}), None, "Docker answers 500, which does not tell"),
        (_json("200 OK", []), None, "Docker answers 200, which does not tell"),
        (_json("200 OK", {"State": None}), None, "Docker answers 200, which does not tell"),
        (b"", None, "Docker does not answer"),
        (b"rubbish\r\n\r\n", None, "Docker does not answer"),
    ],
)
def test_what_docker_does_not_tell_is_not_known(
    tmp_path: Path, answer: bytes, success: bool | None, reason: str
) -> None:
    path = tmp_path / "docker.sock"
    with _docker(path, answer):
        outcome = _container(path)
    assert (outcome.success, outcome.reason) == (success, reason)


def test_a_machine_without_docker_is_no_reason_to_call_anything_down(tmp_path: Path) -> None:
    outcome = _container(tmp_path / "docker.sock")
    assert (outcome.success, outcome.reason) == (None, "Docker's socket is not there")
    with _docker(tmp_path / "docker.sock", b""):
        pass
    assert _container(tmp_path / "docker.sock").reason == "Docker does not answer"  # a socket that nobody serves
