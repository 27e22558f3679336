"""What is done is done: real programs, a real HTTP server, Docker's API played on a socket, systemctl on PATH."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import psutil
import pytest

from config_target import Remedy
from targets.remedy.command import CommandError, environment, run
from targets.remedy.deed import RemedyFailed, carry_out, fetch_lazily, told
from tests.running import eventually


def do(**rung: Any) -> str:
    return carry_out(Remedy.model_validate(rung), fetch_lazily, run)


# --- programs -----------------------------------------------------------------------------------------------------


def test_a_program_gets_its_arguments_as_they_are_and_no_shell(tmp_path: Path) -> None:
    assert do(command=["printf", "%s|", "a b", "$HOME; touch x", "*"]) == "exit status 0: a b|$HOME; touch x|*|"
    assert not (tmp_path / "x").exists()


def test_what_it_says_on_either_channel_is_the_outcome() -> None:
    with pytest.raises(RemedyFailed, match=r"^exit status 3: one · two$"):
        do(command=["sh", "-c", "echo one; echo two >&2; exit 3"])


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(RemedyFailed, match="no-such-program cannot be started: No such file"):
        do(command=["no-such-program"])


def test_a_signal_is_told_by_its_name() -> None:
    with pytest.raises(RemedyFailed, match="was ended by SIGTERM"):
        do(command=["sh", "-c", "kill -TERM $$"])


def test_none_of_our_secrets_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAKELESS_ADMIN_PASSWORD", "hunter2")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = run(["env"], 10).output
    assert "hunter2" not in found
    assert "NOTIFY_SOCKET" not in found
    assert "CUDA_VISIBLE_DEVICES=1" in found
    assert "WAKELESS_X" not in environment({"WAKELESS_X": "1", "PATH": "/bin"})


def test_what_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; sleep 60' & echo begun; wait"
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"did not end within 1 s and was killed: begun"):
        run(["sh", "-c", script], 1)
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_of_endless_output_only_the_end_is_kept() -> None:
    ended = run(["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end"], 30)
    assert ended.output.endswith("· the end")
    assert len(ended.output) < 5000


def test_a_daemon_that_keeps_the_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    ended = run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; echo started"], 30)
    assert (ended.status, ended.output) == (0, "started")
    daemon = int((tmp_path / "pid").read_text())
    assert psutil.pid_exists(daemon), "what it started lives on"
    os.kill(daemon, signal.SIGKILL)


def test_binary_output_is_no_trouble() -> None:
    assert do(command=["printf", "\\377\\000\\033[31mred"]) == "exit status 0: �[31mred"


# --- systemd ------------------------------------------------------------------------------------------------------


def test_a_unit_is_restarted_by_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "systemctl"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert do(systemd="comfyui.service") == "exit status 0"
    assert (tmp_path / "asked").read_text() == "--no-ask-password restart -- comfyui.service\n"


def test_a_unit_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "systemctl"
    script.write_text('#!/bin/sh\necho "Failed to restart $4: Unit $4 not found." >&2\nexit 5\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(RemedyFailed, match=r"exit status 5: Failed to restart x\.service: Unit x\.service not found"):
        do(systemd="x.service")


def test_without_systemd_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemedyFailed, match="there is no systemd on this machine"):
        do(systemd="comfyui.service")


# --- URLs ---------------------------------------------------------------------------------------------------------


class Service(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, str | None, bytes]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).asked.append((self.command, self.path, self.headers.get("X-Key"), body))
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def service(status: int) -> Iterator[tuple[str, type[Service]]]:
    handler = type("Played", (Service,), {"asked": [], "status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()
            thread.join()


def test_a_url_is_called_as_it_is_described() -> None:
    with service(204) as (url, seen):
        call = {"url": f"{url}/free?all=1", "method": "PUT", "headers": {"X-Key": "k"}, "body": '{"unload": true}'}
        assert do(call=call) == "answered 204"
        assert seen.asked == [("PUT", "/free?all=1", "k", b'{"unload": true}')]


def test_an_error_is_a_failure() -> None:
    with service(503) as (url, _), pytest.raises(RemedyFailed, match="answered 503"):
        do(call={"url": url})
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(RemedyFailed, match="refuse"):
            do(call={"url": f"http://127.0.0.1:{closed.getsockname()[1]}"})


# --- containers ---------------------------------------------------------------------------------------------------


@contextmanager
def docker(path: Path, answer: bytes) -> Iterator[list[str]]:
    """Docker's API, as far as it is asked."""
    asked: list[str] = []

    class Played(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.wfile.write(answer)
            self.close_connection = True

        def address_string(self) -> str:
            return "here"

        def log_message(self, *_: object) -> None:
            pass

    with UnixStreamServer(str(path), Played) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def test_a_container_is_restarted_through_dockers_socket(tmp_path: Path) -> None:
    with docker(tmp_path / "d.sock", b"HTTP/1.1 204 No Content\r\n\r\n") as asked:
        assert do(container="comfyui", socket=tmp_path / "d.sock") == "restarted"
    assert asked == ["/containers/comfyui/restart?t=10"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "there is no container comfyui"),
        (
            b'HTTP/1.1 500 Error\r\nContent-Length: 24\r\n\r\n{"message":"driver gone"}',
            "Docker answered 500",
        ),
        (b"nonsense\r\n\r\n", "Docker does not answer"),
    ],
)
def test_what_docker_says_against_it_is_told(tmp_path: Path, answer: bytes, words: str) -> None:
    with docker(tmp_path / "d.sock", answer), pytest.raises(RemedyFailed, match=words):
        do(container="comfyui", socket=tmp_path / "d.sock")


def test_without_docker_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RemedyFailed, match="Docker's socket is not there"):
        do(container="comfyui", socket=tmp_path / "none.sock")


def test_a_docker_that_hangs_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "d.sock"))
        mute.listen()
        with pytest.raises(RemedyFailed, match="did not answer within 1 s"):
            do(container="comfyui", socket=tmp_path / "d.sock", timeout=1)


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rung", "words"),
    [
        ({"call": {"url": "http://u:p@h:1/free?token=x"}}, "POST http://h:1/free"),
        ({"command": ["a", "b c"]}, "a 'b c'"),
        ({"systemd": "x.service"}, "systemctl restart x.service"),
        ({"container": "x"}, "restart the container x"),
        ({"standby": "http://u:p@h:1/x"}, "switch to http://h:1/x"),
    ],
)
def test_a_rung_is_told_without_secrets(rung: dict[str, Any], words: str) -> None:
    assert told(Remedy.model_validate(rung)) == words
