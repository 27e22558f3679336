"""Pages that go away: at once, in the middle of things, in order. None of them is a failure of the server."""

from __future__ import annotations

import json
import re
import socket
import struct
from pathlib import Path
from typing import Any

from tests.running import RunningServer, eventually

SHAKE = (
    b"GET /live?page=overview HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
GOOD_BYE = b"\x88\x82\0\0\0\0\x03\xe9"
PAGES = 24


def test_pages_that_leave_are_forgotten_and_logged_as_what_they_were(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"MODEL__ENABLED": "false", "LOG__LEVEL": "debug", "AUTH__ANONYMOUS": "viewer"}
    with RunningServer(tmp_path / "data", **chosen) as server:
        for number in range(PAGES):
            with socket.create_connection(("127.0.0.1", server.port), 10) as page:
                page.sendall(SHAKE)
                if number % 3:
                    assert page.recv(12) == b"HTTP/1.1 101"
                if number % 3 == 2:
                    page.sendall(GOOD_BYE)
                elif number % 2:
                    page.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: len(visits(server)) == PAGES, what="the end of every visit")
        assert {visit["status"] for visit in visits(server)} <= {101, 499}
        eventually(lambda: viewers(server) == 0, what="an empty house")
        assert [line for line in lines(server) if line.get("level") in ("error", "critical")] == []
        assert "Bad file descriptor" not in server.log.read_text()


def lines(server: RunningServer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def visits(server: RunningServer) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line.get("event") == "request" and line.get("route") == "/live"]


def viewers(server: RunningServer) -> float:
    found = re.search(rb"^wakeless_viewers (\S+)$", server.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else -1.0
