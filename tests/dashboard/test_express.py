"""The express lane says what the view says, and holds nobody up."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dashboard.express import Express
from supervisor.plain import PlainRequest
from tests.dashboard.house import MakeHouse
from tests.dashboard.test_serving import metric, until
from tests.running import RunningServer, eventually

#: A header that the lane does not know, so that the view has the request.
ASIDE = {"X-Aside": "1"}
#: What differs from one answer to the next, whoever gives it.
OF_THE_MOMENT = {"date", "x-request-id", "vary"}  # the view has looked for a cookie


@pytest.fixture(scope="module", params=["plain", "own code"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With a model that the loop may answer for, and with one whose own code runs on threads."""
    path = {"plain": "tests.faults.slow:SlowModel", "own code": "tests.faults.slow:ExitingModel"}[request.param]
    data: Path = tmp_path_factory.mktemp("express") / "data"
    with RunningServer(data, MODEL__PATH=path, MODEL__DEVICE="cpu", MODEL__MAX_BODY_BYTES=2000) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data: Path = tmp_path_factory.mktemp("express") / "data"
    with RunningServer(
        data, MODEL__PATH="tests.faults.slow:SlowModel", MODEL__DEVICE="cpu", MODEL__QUEUE_SIZE=200
    ) as running:
        running.wait_until_ready()
        yield running


def ask(server: RunningServer, body: bytes, headers: dict[str, str]) -> tuple[int, str, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/predict", body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.reason, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def send(server: RunningServer, body: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return connection


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"seconds": 0}', {}),
        (b'{"seconds": 0, "more": [1, null, "\xc3\xa9"]}', {"Content-Type": "application/json", "X-Priority": "high"}),
        (b'{"seconds": 0', {}),
        (b"{}", {}),  # the model raises
        (b'{"seconds": 0}', {"X-Priority": "urgent"}),
        (b'{"seconds": 0}', {"X-Request-Timeout": "0"}),
        (b'{"seconds": 0.2}', {"X-Request-Timeout": "0.05"}),
        (b'{"seconds": 0}', {"X-Model-Version": "99"}),
        (b'{"seconds": 0}', {"X-Request-ID": "mine"}),
        (b'{"seconds": 0}', {"Accept": "text/event-stream"}),
        (b'{"seconds": 0}', {"Content-Type": "multipart/form-data; boundary=x"}),
        (b'{"seconds": 0}', {"Origin": "http://elsewhere"}),
        (b'{"seconds": 0}', {"Authorization": "Bearer unknown"}),
        (b'{"seconds": 0}', {"Host": "elsewhere.example"}),
        (b"", {}),
        (b'{"seconds": 0}' + b" " * 3000, {}),
    ],
)
def test_the_answer_is_that_of_the_view(server: RunningServer, body: bytes, headers: dict[str, str]) -> None:
    status, reason, said, text = ask(server, body, headers)
    if status == 504:  # the model is at it still, and the next one would wait in the queue
        assert ask(server, b'{"seconds": 0}', {})[0] == 200
    view_status, view_reason, view_said, view_text = ask(server, body, headers | ASIDE)
    assert (status, reason) == (view_status, view_reason)
    assert {**said, **dict.fromkeys(OF_THE_MOMENT, ""), "content-length": ""} == {
        **view_said,
        **dict.fromkeys(OF_THE_MOMENT, ""),
        "content-length": "",
    }
    document, view_document = json.loads(text), json.loads(view_text)
    assert document.keys() == view_document.keys()
    for changing in ("request_id", "timings"):
        document.pop(changing, None)
        view_document.pop(changing, None)
    assert document == view_document
    assert said["x-request-id"] == headers.get("X-Request-ID", said["x-request-id"])


def test_the_lane_takes_what_is_plain_and_open_to_all(make_house: MakeHouse) -> None:
    def takes(house_settings: dict[str, object], headers: dict[str, str], path: str = "/predict") -> bool:
        request = PlainRequest("POST", path, {"host": "127.0.0.1", **headers}, b"x", ("127.0.0.1", 1))
        return Express(make_house(**house_settings).app).takes(request)

    assert takes({}, {"content-type": "image/png", "x-priority": "low"})
    for more in ("cookie", "authorization", "origin", "x-forwarded-for", "via", "content-encoding", "x-anything"):
        assert not takes({}, {more: "1"})
    assert takes({}, {"host": "localhost.:65535"})
    for host in ("elsewhere", "[::1", "127.0.0.1:8:9", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1/x"):
        assert not takes({}, {"host": host})
    abroad: dict[str, object] = {"server": {"host": "0.0.0.0"}, "auth": {"open_predict": True}}
    assert takes(abroad, {"host": "elsewhere.example:8000"})
    for host in (".", "a..b", "x" * 64, "elsewhere/x", "u@elsewhere"):
        assert not takes(abroad, {"host": host})
    assert not takes({}, {}, path="/api/status")
    assert not takes({"server": {"trusted_proxies": 1}}, {})
    assert not takes({"auth": {"open_predict": False}}, {})


def test_every_request_is_counted_and_logged_once(plain: RunningServer) -> None:
    def logged() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in (plain.data_dir / "wakeless.log").read_text().splitlines()]
        return [line for line in lines if line.get("route") == "/predict" and line["status"] == 200]

    def counted(name: str, *labels: str) -> bool:
        return metric(plain, name, *labels) == len(logged())

    status, _, headers, _ = ask(plain, b'{"seconds": 0}', {})
    assert status == 200
    eventually(partial(counted, "inference_requests_total", 'outcome="ok"'))
    eventually(partial(counted, "http_server_request_duration_seconds_count", 'route="/predict"', 'status="200"'))
    (line,) = (line for line in logged() if line["request_id"] == headers["x-request-id"])
    assert (line["route"], line["status"], line["actor"], line["peer"]) == ("/predict", 200, "anonymous", "127.0.0.1")


def test_a_hundred_wait_without_a_thread_each_and_pages_answer_meanwhile(plain: RunningServer) -> None:
    threads = plain.worker.num_threads()
    with ExitStack() as stack:
        callers = [stack.enter_context(send(plain, b'{"seconds": 0.4}')) for _ in range(100)]
        eventually(lambda: metric(plain, "inference_queue_depth") > 50)
        assert plain.get("/health/live")[0] == 200
        assert plain.worker.num_threads() < threads + 20
        for caller in callers:
            assert until(caller, b"timings").startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_caller_that_hangs_up_leaves_the_queue(plain: RunningServer) -> None:
    canceled = metric(plain, "inference_requests_total", 'outcome="canceled"')
    with send(plain, b'{"seconds": 4}') as held:
        eventually(lambda: metric(plain, "inference_in_flight") == 1)
        leaver = send(plain, b'{"seconds": 0}')
        eventually(lambda: metric(plain, "inference_queue_depth") == 1)
        leaver.close()
        eventually(lambda: metric(plain, "inference_queue_depth") == 0)
        eventually(lambda: metric(plain, "inference_requests_total", 'outcome="canceled"') == canceled + 1)
        assert b"200 OK" in until(held, b"timings")


def test_what_is_sent_ahead_is_answered_in_its_turn(plain: RunningServer) -> None:
    with send(plain, b'{"seconds": 0.2, "at": 1}') as connection:
        for number in (2, 3):
            body = b'{"seconds": 0, "at": %d}' % number
            head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)
        found = until(connection, b'"at":3')
        assert found.count(b"HTTP/1.1 200 OK") == 3
        assert found.index(b'"at":1') < found.index(b'"at":2') < found.index(b'"at":3')


def test_one_connection_carries_plain_and_other_requests_by_turns(plain: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", plain.port, timeout=20)
    for headers in ({}, ASIDE, {}, {}, ASIDE):
        connection.request("POST", "/predict", b'{"seconds": 0}', headers)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["result"]) == (200, {"seconds": 0})
    connection.request("GET", "/health/live")
    assert connection.getresponse().read()
    connection.close()


def test_a_request_in_pieces_is_put_together(plain: RunningServer) -> None:
    body = b'{"seconds": 0}'
    whole = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for cut in (1, 20, len(whole) - len(body), len(whole) - 1):
        with socket.create_connection(("127.0.0.1", plain.port), timeout=20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(whole[:cut])
            eventually(lambda: plain.answers("/health/live"))  # the loop has turned since
            connection.sendall(whole[cut:])
            assert until(connection, b"timings").startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_reads_nothing_holds_nobody_up(plain: RunningServer) -> None:
    large = json.dumps({"seconds": 0, "text": "x" * 60_000}).encode()
    with ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", plain.port))
            connection.settimeout(2)
            head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(large)
            try:
                for _ in range(60):  # more than the kernel holds between the two
                    connection.sendall(head + large)
            except TimeoutError:
                pass
        status, _, _, text = ask(plain, b'{"seconds": 0}', {})
        assert (status, json.loads(text)["result"]) == (200, {"seconds": 0})


def test_a_stop_answers_who_waits(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__PATH="tests.faults.slow:SlowModel", MODEL__DEVICE="cpu") as server:
        server.wait_until_ready()
        found: list[bytes] = []
        with send(server, b'{"seconds": 1.5}') as waiting:
            reader = threading.Thread(target=lambda: found.append(until(waiting, b"timings")))
            reader.start()
            eventually(lambda: metric(server, "inference_in_flight") == 1)
            server.stop()
            reader.join(20)
    assert found
    assert b"200 OK" in found[0]
    assert b"Connection: close" in found[0]
