"""Callers that hang up are noticed; those that do not are left alone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from dashboard.peer import Connection, Lookout, connection_of

PATIENCE = 20.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection: the server's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server, client:
        yield server, client


Pair = tuple[socket.socket, socket.socket]


def test_a_caller_that_closes_is_gone_and_whoever_watches_is_told_once(pair: Pair) -> None:
    server, client = pair
    connection, told = Connection(server, Lookout()), threading.Semaphore(0)
    assert not connection.gone()
    with connection.watch(told.release):
        client.close()
        assert told.acquire(timeout=PATIENCE)
        assert connection.gone()
    assert not told.acquire(blocking=False)


def test_one_that_had_gone_before_the_watch_began_is_noticed_too(pair: Pair) -> None:
    server, client = pair
    client.close()
    told = threading.Event()
    with Connection(server, Lookout()).watch(told.set):
        assert told.wait(PATIENCE)


def test_what_a_pipelining_client_sends_ahead_neither_looks_like_leaving_nor_hides_it(pair: Pair) -> None:
    server, client = pair
    connection, told = Connection(server, Lookout()), threading.Event()
    client.sendall(b"POST /predict HTTP/1.1\r\n" * 100)
    with connection.watch(told.set):
        assert not connection.gone()
        assert not told.is_set()
        client.close()
        assert told.wait(PATIENCE)
    assert server.recv(4) == b"POST", "nothing of it has been read"


def test_a_watch_that_is_over_hears_nothing_and_a_connection_can_be_watched_again(pair: Pair) -> None:
    server, client = pair
    connection = Connection(server, Lookout())
    first, second = threading.Event(), threading.Event()
    with connection.watch(first.set):
        pass
    with connection.watch(second.set):
        client.close()
        assert second.wait(PATIENCE)
    assert not first.is_set()


def test_a_callback_that_raises_does_not_end_the_watch_over_others(pair: Pair) -> None:
    server, client = pair
    other_server, other_client = socket.socketpair()
    lookout, told = Lookout(), threading.Event()

    def angry() -> None:
        raise RuntimeError("no")

    watches = Connection(server, lookout).watch(angry), Connection(other_server, lookout).watch(told.set)
    with other_server, other_client, watches[0], watches[1]:
        client.close()
        other_client.close()
        assert told.wait(PATIENCE)


def test_a_closed_connection_cannot_be_watched_and_costs_nothing(pair: Pair) -> None:
    server, _ = pair
    connection = Connection(server, Lookout())
    server.close()
    with connection.watch(lambda: None):
        pass


def test_a_server_that_hides_its_connections_is_not_watched() -> None:
    assert connection_of({}, Lookout()) is None
    assert connection_of({"gunicorn.socket": "none"}, Lookout()) is None
