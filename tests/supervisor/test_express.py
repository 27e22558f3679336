"""The express lane's loop outlives whatever happens to one connection."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from pause import Bell, make_bell
from supervisor.express import ExpressWorker, Reply
from supervisor.plain import PlainRequest

WHOLE = b"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nhi"


class ScriptedLane:
    """Answers what it is told to, and counts what is accounted for."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.body = b"hello"
        self.wait: Callable[[], None] = lambda: None
        self.is_prompt: Callable[[], bool] = lambda: True
        self.accounts = 0

    def takes(self, request: PlainRequest) -> bool:
        return True

    def prompt(self) -> bool:
        return self.is_prompt()

    def answer(self, request: PlainRequest, connection: socket.socket) -> Reply:
        self.wait()

        def account() -> None:
            self.accounts += 1

        return "200 OK", self.headers, self.body, account


class Stage:
    """A worker on a socket of its own, whose loop is turned by hand, and its clients."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.lane = ScriptedLane()
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        config = Config()
        config.set("keepalive", 15)
        config.set("threads", 2)
        self.worker = ExpressWorker(1, os.getppid(), [self.listener], None, 30, config, logging.getLogger("test"))
        self.worker.lane = self.lane
        self.worker.tpool = stack.enter_context(self.worker.get_thread_pool())
        self.worker.poller = DefaultSelector()
        self.worker.method_queue.init()
        self.worker.poller.register(
            self.worker.method_queue.fileno(), EVENT_READ, self.worker.method_queue.run_callbacks
        )
        self.worker.set_accept_enabled(True)
        stack.callback(self._close)

    def _close(self) -> None:
        self.worker.murder_keepalived(force=True)
        self.worker.poller.close()
        for end in (self.worker.method_queue._read_fd, self.worker.method_queue._write_fd):
            os.close(end)
        self.worker.tmp.close()

    def client(self) -> socket.socket:
        """A connection that the worker has taken."""
        found = self._stack.enter_context(socket.create_connection(self.listener.getsockname(), timeout=10))
        self.turn()
        return found

    def turn(self) -> None:
        """Let the loop turn once, when something has happened."""
        self.worker.wait_for_and_dispatch_events(10.0)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def test_a_request_is_answered_and_its_connection_kept(stage: Stage) -> None:
    client = stage.client()
    for _ in range(2):
        client.sendall(WHOLE)
        stage.turn()
        assert client.recv(1000).endswith(b"\r\n\r\nhello")
    assert (stage.worker.nr_conns, len(stage.worker.keepalived_conns), stage.worker._busy) == (1, 1, {})
    client.close()
    stage.turn()
    assert (stage.worker.nr_conns, len(stage.worker.keepalived_conns)) == (0, 0)


def test_an_answer_that_cannot_be_sent_is_accounted_for(stage: Stage) -> None:
    client = stage.client()
    stage.lane.headers = [("X-Broken", "a\nb")]
    client.sendall(WHOLE)
    stage.turn()
    assert client.recv(1000) == b""
    assert stage.lane.accounts == 1
    assert (stage.worker.nr_conns, stage.worker._busy) == (0, {})


def test_a_connection_that_the_kernel_will_not_watch_is_lost_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bells: list[Bell] = []

    def wait() -> None:
        bells.append(make_bell())
        bells[0].wait(60.0)

    stage.lane.wait = wait
    client = stage.client()
    client.sendall(WHOLE)
    stage.turn()
    client.sendall(b"P")  # while it waits: it is not watched any more, and would have to be again
    stage.turn()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no more watches")

    with monkeypatch.context() as patch:
        patch.setattr(stage.worker.poller, "register", full)
        bells[0].ring()
        stage.turn()
        assert client.recv(1000).endswith(b"hello")
        assert (stage.worker.nr_conns, stage.worker._busy) == (0, {})
        late = stage.client()
        assert late.recv(1000) == b""
        assert (stage.worker.nr_conns, len(stage.worker.keepalived_conns)) == (0, 0)


def test_a_lane_that_cannot_tell_leaves_the_request_to_a_thread(stage: Stage) -> None:
    def unknown() -> bool:
        raise RuntimeError("no idea")

    stage.lane.is_prompt = unknown
    client = stage.client()
    client.sendall(WHOLE)
    stage.turn()
    assert client.recv(1000).endswith(b"hello")  # said by a thread
    stage.turn()
    assert len(stage.worker.keepalived_conns) == 1


def test_too_many_open_files_cost_new_connections_and_not_the_process(
    stage: Stage,
) -> None:
    old = stage.client()

    class Exhausted:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "too many open files")

    stage.worker.accept(Exhausted())  # type: ignore[arg-type]
    stage.worker.set_accept_enabled(True)
    assert not stage.worker._accepting, "it would be told the same again and again"
    old.sendall(WHOLE)
    stage.turn()
    assert old.recv(1000).endswith(b"hello")
    stage.worker._accept_again = 0.0
    stage.worker.set_accept_enabled(True)
    stage.client()
    assert stage.worker.nr_conns == 2


def test_a_stop_waits_for_the_next_request_of_a_connection_only_briefly(stage: Stage) -> None:
    stage.client()
    (conn,) = stage.worker.keepalived_conns
    stage.worker.alive = False
    stage.worker.keepalived_conns.clear()
    stage.worker._keep(conn, watched=True)
    conn.timeout -= STOP_KEEPALIVE_LINGER
    stage.worker.murder_keepalived()
    assert stage.worker.nr_conns == 0


def test_who_rings_after_the_end_writes_into_nobody_s_file(stage: Stage) -> None:
    reader, writer = stage.worker.method_queue._read_fd, stage.worker.method_queue._write_fd
    stage.worker.method_queue.close()
    assert stage.worker.method_queue.fileno() == reader
    thread = threading.Thread(target=stage.worker.method_queue.defer, args=(print,))
    thread.start()
    thread.join(10)
    assert os.fstat(writer)  # the number still is the pipe's: nothing that is opened from here on gets it


def test_without_another_thread_requests_wait_for_those_that_there_are(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    stage.lane.is_prompt = lambda: False
    gate = threading.Event()

    def wait() -> None:
        assert gate.wait(10)

    stage.lane.wait = wait
    first, second = stage.client(), stage.client()
    first.sendall(WHOLE)
    stage.turn()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        second.sendall(WHOLE)
        stage.turn()
    gate.set()
    for client in (first, second):
        assert client.recv(1000).endswith(b"hello")
