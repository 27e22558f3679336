"""What the world hears from outside the server process: channels, a heartbeat service, systemd. All for real."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.alerts.delivery.receiver import Receiver
from tests.running import RunningServer, eventually

DOWN_SECONDS = 2


class HeartbeatService:
    """Notes each call: method, path and body."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.note()

            def do_POST(self) -> None:
                self.note()

            def note(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                service.calls.append((self.command, self.path, self.rfile.read(length)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/ping/a-secret-id"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Story:
    """One server that was killed twice, down for some seconds, back, and stopped; and what everybody heard of it."""

    channel: Receiver
    heartbeat: HeartbeatService
    log: str = ""
    systemd: list[str] = field(default_factory=list)


def hear(listener: socket.socket, heard: list[str]) -> bool:
    """Take what systemd was told so far."""
    while True:
        try:
            heard.append(listener.recv(4096).decode())
        except BlockingIOError:
            return True


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("word")
    heartbeat = HeartbeatService()
    with Receiver() as channel, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.setblocking(False)
        server = RunningServer(
            folder / "data",
            NAME="photo-service",
            MODEL__ENABLED="false",
            SUPERVISOR__DOWN_SECONDS=DOWN_SECONDS,
            SUPERVISOR__CHANNELS=channel.url(),
            SUPERVISOR__HEARTBEAT_URL=heartbeat.url,
            SUPERVISOR__HEARTBEAT_SECONDS=1,
            SUPERVISOR__BACKOFF_SECONDS=5,
            SUPERVISOR__BACKOFF_MAX_SECONDS=5,
        )
        server.environment |= {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "3000000"}
        told = Story(channel, heartbeat)
        with server:
            eventually(lambda: heartbeat.calls, what="a heartbeat")
            server.kill_worker(signal.SIGSEGV)
            server.wait_until_alive()
            server.kill_worker()
            eventually(lambda: channel.titles(), what="a word that it is down")
            eventually(lambda: len(channel.titles()) == 2, within=60, what="a word that it is back")
            eventually(lambda: heartbeat.calls[-1][1] == "/ping/a-secret-id", what="a good heartbeat")
            hear(listener, told.systemd)
        hear(listener, told.systemd)
        told.log = server.log.read_text()
        yield told
    heartbeat.close()


def test_channels_hear_once_that_it_is_down_and_once_that_it_is_back(story: Story) -> None:
    down, up = story.channel.got
    assert down["title"] == "[DOWN] photo-service does not answer"
    assert "Cause: crash in native code (the program crashed with SIGSEGV)" in down["message"]
    assert "Fatal Python error: Segmentation fault" in down["message"]
    assert up["title"].startswith("[UP] photo-service is back: it was down for ")
    assert "Cause: crash in native code" in up["message"]
    assert (down["type"], up["type"]) == ("failure", "success")


def test_no_path_of_the_machine_leaves_the_house(story: Story) -> None:
    assert str(Path.cwd()) not in str(story.channel.got)


def test_the_heartbeat_service_hears_life_failure_and_life_again(story: Story) -> None:
    paths = [path for _, path, _ in story.heartbeat.calls]
    first, last = paths.index("/ping/a-secret-id/fail"), len(paths) - 1
    assert paths[0] == paths[last] == "/ping/a-secret-id"
    method, _, body = story.heartbeat.calls[first]
    assert (method, body) == ("POST", b"the program crashed with SIGSEGV")
    assert story.heartbeat.calls[0] == ("GET", "/ping/a-secret-id", b"")


def test_systemd_hears_of_start_restart_life_and_stop(story: Story) -> None:
    assert story.systemd[:2] == ["STATUS=starting", "WATCHDOG=1"] or story.systemd[0] == "STATUS=starting"
    assert story.systemd.count("READY=1") == 1
    assert any(line.startswith("STATUS=restarting after segfault") for line in story.systemd)
    assert "STATUS=serving" in story.systemd
    assert story.systemd.count("WATCHDOG=1") >= 5
    assert story.systemd[-1] == "STOPPING=1"


def test_secrets_are_not_logged(story: Story) -> None:
    assert "a-secret" not in story.log


def test_the_sudden_end_of_everything_is_told_with_its_duration_by_the_next_supervisor(tmp_path: Path) -> None:
    with Receiver() as channel:
        server = RunningServer(
            tmp_path / "data",
            MODEL__ENABLED="false",
            LANGUAGE="zh",
            SUPERVISOR__DOWN_SECONDS=1,
            SUPERVISOR__CHANNELS=channel.url(),
        )
        server.start()
        assert server.process is not None
        eventually(lambda: (server.data_dir / "alive").exists(), what="a record of life")
        worker = server.worker
        os.kill(server.process.pid, signal.SIGKILL)
        worker.kill()
        server.process.wait()
        psutil.wait_procs([worker], timeout=10)
        with server:  # its start takes longer than a second, so that was an outage
            eventually(lambda: any("恢复" in title for title in channel.titles()), within=60, what="a word")
        assert channel.titles()[-1].startswith("[恢复] wakeless 已恢复：中断了 ")
        assert "原因：被强制终止" in channel.got[-1]["message"]
