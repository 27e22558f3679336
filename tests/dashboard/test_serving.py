"""A real server and real connections: callers that hang up, and steps as they come."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningServer, eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data: Path = tmp_path_factory.mktemp("serving") / "data"
    with RunningServer(
        data, MODEL__PATH="tests.dashboard.steps:Counter", MODEL__DEVICE="cpu", MODEL__BATCH_SIZE=1
    ) as running:
        running.wait_until_ready()
        yield running


def ask(server: RunningServer, given: dict[str, object], **headers: str) -> socket.socket:
    """Send one request and do not wait for the answer."""
    body = json.dumps(given).encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}", *lines]
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    return connection


def metric(server: RunningServer, name: str, *labels: str) -> float:
    """The sum of a metric's samples that carry all these labels."""
    lines = server.get("/metrics")[1].decode().splitlines()
    found = [line for line in lines if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def until(connection: socket.socket, mark: bytes) -> bytes:
    """Read until ``mark`` has come."""
    found = b""
    while mark not in found:
        found += connection.recv(65536)
    return found


def test_a_caller_that_hangs_up_in_the_queue_is_noticed_and_its_work_never_reaches_the_model(
    server: RunningServer,
) -> None:
    eventually(lambda: metric(server, "inference_streams_open") == 0)
    canceled = metric(server, "inference_requests_total", 'outcome="canceled"')
    with ask(server, {"to": 1, "pause": 4.0}) as held:
        eventually(lambda: metric(server, "inference_in_flight") == 1)
        leavers = [ask(server, {"to": number}) for number in range(5)]
        stayer = ask(server, {"to": 7})
        eventually(lambda: metric(server, "inference_queue_depth") == 6)
        batches = metric(server, "inference_batch_size_count")  # the ticks since have counted what was before
        for connection in leavers:
            connection.close()
        eventually(lambda: metric(server, "inference_requests_total", 'outcome="canceled"') == canceled + 5)
        with stayer:
            assert b'"at":7' in until(stayer, b"timings")
        assert b'"at":1' in until(held, b"timings")
    eventually(lambda: metric(server, "inference_batch_size_count") == batches + 2)


def test_a_client_that_sends_ahead_gets_all_its_answers(server: RunningServer) -> None:
    with ask(server, {"to": 1, "pause": 0.3}) as connection:
        body = b'{"to": 2}'
        head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
        connection.sendall(head + body)
        found = until(connection, b'"at":2')
        assert found.count(b"HTTP/1.1 200 OK") == 2


def test_steps_arrive_one_by_one_and_a_reader_that_leaves_stops_them(server: RunningServer) -> None:
    steps = metric(server, "inference_stream_steps_total")
    with ask(server, {"to": 1000, "pause": 0.02}, Accept="text/event-stream") as connection:
        found = until(connection, b'"at":2')
        assert b"Content-Type: text/event-stream" in found
        eventually(lambda: metric(server, "inference_streams_open") == 1)
    eventually(lambda: metric(server, "inference_streams_open") == 0)
    assert 2 <= metric(server, "inference_stream_steps_total") - steps < 1000


def test_a_stream_leaves_the_connection_usable(server: RunningServer) -> None:
    with ask(server, {"to": 2}, Accept="text/event-stream") as connection:
        until(connection, b"\r\n0\r\n\r\n")
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200 OK" in until(connection, b"\r\n\r\n")
