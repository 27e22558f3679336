"""A service may answer as it likes: it is heard within bounds, and its connection let go."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from alerts.delivery import wire
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel
from tests.alerts.delivery.story import NOW_MS, message

#: More than anybody waits for: a test that gets so far has failed.
PLENTY = 5_000


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[WebhookChannel]:
    """A webhook whose service takes one call and then does as ``talk`` says."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            connection, _ = door.accept()
            with connection:
                connection.recv(65_536)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}/hook"
        yield WebhookChannel(ChannelSpec("hook", "webhook", SecretStr(url)))
        thread.join()


def test_a_service_that_never_ends_is_heard_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_SECONDS", 0.2)
    sent, gone = [0], threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
        try:
            while sent[0] < PLENTY and not gone.wait(0.01):
                connection.sendall(b"x")
                sent[0] += 1
        except OSError:
            gone.set()

    with serving(drip) as channel:
        receipt = channel.send(message(), "key", NOW_MS)
    assert gone.is_set()
    assert receipt.answer.startswith("HTTP 200: x")


def test_a_packed_answer_is_unpacked_so_far_only() -> None:
    packed = gzip.compress(b"no " * 20_000_000)

    def talk(connection: socket.socket) -> None:
        head = f"HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        connection.sendall(head.encode() + packed)

    with serving(talk) as channel, pytest.raises(DeliveryError, match=r"^HTTP 400: no no") as refused:
        channel.send(message(), "key", NOW_MS)
    assert refused.value.permanent


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 7\r\n\r\nno gzip",
    ],
)
def test_half_an_answer_is_none_and_the_notice_may_have_arrived(answer: bytes) -> None:
    with serving(lambda connection: connection.sendall(answer)) as channel, pytest.raises(DeliveryError) as trouble:
        channel.send(message(), "key", NOW_MS)
    assert trouble.value.unclear
    assert not trouble.value.permanent


def test_an_answer_in_chunks_is_read_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n8\r\n is well\r\n0\r\n\r\n"
    with serving(lambda connection: connection.sendall(answer)) as channel:
        assert channel.send(message(), "key", NOW_MS).answer == "HTTP 200: all is well"
