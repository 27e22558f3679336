"""systemd hears how the service is, over a real socket."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.systemd import Systemd


@pytest.fixture(params=["a path", "an abstract name"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd makes it, and what NOTIFY_SOCKET says of it."""
    name = str(tmp_path / "notify") if request.param == "a path" else f"@wakeless-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("\0" + name[1:] if name.startswith("@") else name)
        made.setblocking(False)
        yield made, name


def heard(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_it_tells_the_life_of_the_service(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    systemd = Systemd(environment)
    assert environment == {}
    systemd.status("starting")
    systemd.ready()
    systemd.status("serving")
    systemd.status("serving")
    systemd.ready()
    for second in range(100, 131):
        systemd.pat(float(second))
    systemd.status("restarting after crash:\nexited with code 3")
    systemd.stopping()
    assert heard(receiver) == [
        "STATUS=starting",
        "READY=1",
        "STATUS=serving",
        *["WATCHDOG=1"] * 4,
        "STATUS=restarting after crash: exited with code 3",
        "STOPPING=1",
    ]


def test_without_systemd_nothing_happens() -> None:
    systemd = Systemd({})
    systemd.ready()
    systemd.pat(1e9)
    systemd.stopping()


def test_a_watchdog_for_another_process_is_not_ours(listener: tuple[socket.socket, str]) -> None:
    receiver, name = listener
    systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    systemd.pat(1e9)
    assert heard(receiver) == []


def test_a_systemd_that_does_not_read_or_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        systemd = Systemd({"NOTIFY_SOCKET": name})
        for number in range(5000):
            systemd.status(f"status {number}")
    systemd.stopping()
