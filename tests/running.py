"""A real Wakeless in its own processes, as a person starts it: for tests that kill it, drive it or look at it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "correct horse battery staple"
Found = TypeVar("Found")


def free_port() -> int:
    """A TCP port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(look: Callable[[], Found], *, within: float = 30.0, what: str = "it") -> Found:
    """Ask until the answer is true: other processes give no event to wait for. Fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {within} s")
        time.sleep(0.05)


def _runs_errand(process: psutil.Process) -> bool:
    """Whether it is one of the supervisor's short-lived helpers."""
    try:
        return any(part.endswith("errand.py") for part in process.cmdline())
    except psutil.Error:  # it has just ended
        return False


class RunningServer:
    """``python app.py serve`` on a free port with its own data folder, and at most ``open_files`` files open.

    Use it as a context manager.
    """

    def __init__(self, data_dir: Path, *, open_files: int | None = None, **settings: object) -> None:
        self.data_dir = data_dir
        self.limit = [] if open_files is None else ["prlimit", f"--nofile={open_files}:{open_files}"]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        chosen = {
            "DATA_DIR": data_dir,
            "SERVER__PORT": self.port,
            "ADMIN_PASSWORD": PASSWORD,
            "SUPERVISOR__BACKOFF_MAX_SECONDS": 1,
            "SUPERVISOR__CRASH_LOOP_COUNT": 1000,
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAKELESS_")}
        self.environment = {**inherited, **{f"WAKELESS_{name}": str(value) for name, value in chosen.items()}}
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.limit, sys.executable, "app.py", "serve"],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until_alive()

    def wait_until_alive(self, within: float = 30.0) -> None:
        eventually(lambda: self.answers("/health/live"), within=within, what=f"an answer of {self.url}")

    def wait_until_ready(self, within: float = 60.0) -> None:
        eventually(lambda: self.answers("/health/ready"), within=within, what="readiness")

    def answers(self, path: str) -> bool:
        """Whether ``path`` answers 200 right now."""
        try:
            return self.get(path)[0] == 200
        except (OSError, http.client.HTTPException):  # no connection, or one that ended in the middle of an answer
            return False

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        return self.request("GET", path, headers=headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body; an error status is an answer, no connection or half an answer raises ``OSError``."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, self._rest(error)
        except http.client.HTTPException as error:
            raise ConnectionError(f"the server went away: {error!r}") from error

    @staticmethod
    def _rest(error: urllib.error.HTTPError) -> bytes:
        try:
            return error.read()
        except http.client.HTTPException as cut:
            raise ConnectionError(f"the server went away: {cut!r}") from cut

    def json(self, path: str, **headers: str) -> Any:
        status, body = self.get(path, **headers)
        assert status == 200, (status, body)
        return json.loads(body)

    def command(self, *arguments: str) -> str:
        """Run another ``python app.py …`` against the same data folder; returns its stdout."""
        done = subprocess.run(
            [sys.executable, "app.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def token(self, role: str = "admin") -> dict[str, str]:
        """Headers with a fresh token of that role."""
        return {"Authorization": "Bearer " + self.command("token", "create", f"test-{time.time_ns()}", "--role", role)}

    def login_link(self) -> str:
        """The one-time link that the first start printed."""
        found = re.search(r"http://\S+/login/link/\S+", self.log.read_text(errors="replace"))
        assert found, self.log.read_text(errors="replace")
        return found.group()

    @property
    def worker(self) -> psutil.Process:
        """The server process; the supervisor is its parent."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        servers = [child for child in children if not _runs_errand(child)]
        assert servers, "there is no server process right now"
        return servers[0]

    def kill_worker(self, sig: signal.Signals = signal.SIGKILL) -> int:
        """End the server process with ``sig``; returns the UTC milliseconds right before. Waits until it is gone."""
        worker = self.worker
        moment = time.time_ns() // 1_000_000
        worker.send_signal(sig)
        eventually(
            lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, what="the end of the worker"
        )
        return moment

    def stop(self, sig: signal.Signals = signal.SIGTERM, within: float = 15.0) -> int:
        """End everything in order; returns the supervisor's exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()
            raise
