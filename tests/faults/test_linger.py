"""Clients that keep their end open hold nobody up."""

from __future__ import annotations

import http.client
import shutil
import socket
import struct
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import RunningServer

#: Gunicorn would wait two seconds for each of them, one after the other.
CLIENTS = 60
PATIENCE_SECONDS = 20.0
#: Far more than the kernel holds between two sockets, and than /predict takes.
LARGE = 50_000_000


def test_connections_that_their_clients_leave_open_hold_nobody_up(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server, ExitStack() as open_sockets:
        for _ in range(CLIENTS):
            client = open_sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS))
            client.sendall(request("GET"))
            assert answer(client).startswith(b"HTTP/1.1 200")
        late = open_sockets.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS))
        late.sendall(request("GET"))
        assert answer(late).startswith(b"HTTP/1.1 200")


def test_a_client_that_resets_its_connection_leaves_no_trace(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client:
                client.sendall(request("GET"))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client:
            client.sendall(
                b"POST /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\nConnection: close\r\n\r\n"
            )
            client.sendall(b"x" * 50_000)  # nobody reads it, and the answer comes all the same
            assert answer(client).startswith(b"HTTP/1.1 4")


def test_a_transfer_coding_that_nobody_knows_is_the_client_s_mistake(tmp_path: Path) -> None:
    with (
        RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server,
        socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as client,
    ):
        client.sendall(request("POST", "Transfer-Encoding: xchunked\r\n"))
        assert answer(client).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_who_sends_far_too_much_reads_that_it_was_too_much(tmp_path: Path, connection: str) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        client.request("POST", "/predict", bytes(LARGE), {"Connection": connection})  # reads nothing until all is sent
        refused = client.getresponse()
        assert (refused.status, b"too-large" in refused.read()) == (413, True)
        client.close()
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE_SECONDS) as other:
            other.sendall(request("GET"))
            assert answer(other).startswith(b"HTTP/1.1 200")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
def test_curl_is_told_as_well(tmp_path: Path, expect: str) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(LARGE))
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        command = ["curl", "-s", "-w", "%{http_code}", "-H", expect, "--data-binary", f"@{body}"]
        done = subprocess.run([*command, f"{server.url}/predict"], capture_output=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout[-3:]) == (0, b"413"), done


def request(method: str, header: str = "") -> bytes:
    return f"{method} /health/live HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n".encode()


def answer(client: socket.socket) -> bytes:
    """Everything until the server has said all that it will."""
    said = b""
    while part := client.recv(65536):
        said += part
    return said
