"""The express lane: plain requests are answered by the event loop itself, without a thread for each.

A thread of its own costs a request four handovers of the interpreter, and with a hundred of them at once each has to
wait for all the others, the model's thread included. So the loop reads what a client has sent; where that is a request
that the lane takes, it runs right here, set aside in a greenlet (see ``pause.py``) while it waits for the model.
Everything else goes to gunicorn's threads with the bytes that have been read, and knows no difference.
"""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from selectors import EVENT_READ
from socket import socket
from typing import Any, Protocol

from gunicorn.http.wsgi import SERVER
from gunicorn.util import http_date
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn

from pause import Hub
from supervisor.linger import LingeringWorker
from supervisor.plain import WHOLE_BYTES, PlainRequest, read_plain
from supervisor.pool import LastingQueue, ThriftyPool

log = logging.getLogger("wakeless.express")

#: Connections taken in one turn of the loop. One each turn, as gunicorn does, would keep a crowd waiting for seconds.
_ACCEPTS = 256
#: How long requests of the lane are begun in one turn of the loop, however many there are: in a flood of them a page's
#: request would not be read for seconds.
_TURN_SECONDS = 0.01
#: How often the supervisor is told that the loop is alive.
_NOTIFY_SECONDS = 0.5
#: What the kernel says when it has no room for another connection, and how long it is left alone then.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_REST_SECONDS = 1.0


#: Status line, headers (those that speak of the answer, not of the connection or the server) and body; and what is
#: left to do once the answer is on its way.
Reply = tuple[str, list[tuple[str, str]], bytes, Callable[[], None]]


class Lane(Protocol):
    """What the application answers without WSGI."""

    def takes(self, request: PlainRequest) -> bool:
        """Whether :meth:`answer` says the same as the WSGI application would."""

    def prompt(self) -> bool:
        """Whether :meth:`answer` takes long over nothing but waiting for a bell, so that a loop may run it."""

    def answer(self, request: PlainRequest, connection: socket) -> Reply:
        """Answer a request that it takes. Raises nothing."""


class ExpressWorker(LingeringWorker):
    """A thread worker whose loop reads first, and answers what it can."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.method_queue = LastingQueue()
        self.lane: Lane | None = None
        self.hub = Hub(lambda: self.method_queue.defer(self.hub.go_on))
        #: What has been read of a connection that goes to a thread.
        self._early: dict[Any, bytes] = {}
        #: Connections whose request is being answered on the loop, and whether the poller still watches them.
        self._busy: dict[Any, bool] = {}
        #: Requests that have been read and not begun: what goes to threads is handed over before them.
        self._line: deque[tuple[Any, PlainRequest]] = deque()
        self._notified = 0.0
        self._accept_again = 0.0

    # --- what gunicorn calls --------------------------------------------------------------------------------------

    def notify(self) -> None:
        """Called in every turn of the loop; each time is a system call."""
        now = time.monotonic()
        if now - self._notified >= _NOTIFY_SECONDS:
            self._notified = now
            super().notify()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Called once."""
        return ThriftyPool(self.cfg.threads)

    def accept(self, listener: socket) -> None:
        """Take new connections as ones that are kept alive: nobody waits for their first request either."""
        try:
            for _ in range(min(_ACCEPTS, self.worker_connections - self.nr_conns)):
                client, address = listener.accept()
                self.nr_conns += 1
                self._keep(TConn(self.cfg, client, address, listener.getsockname()), watched=False)
        except OSError as error:  # nobody is there any more, or the client's network has failed: accept(2) tells it
            if error.errno in _EXHAUSTED:
                log.warning("no new connections for a moment: %s", error)
                self._accept_again = time.monotonic() + _REST_SECONDS
                self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called in every turn of the loop as long as it should be otherwise."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._accept_again)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop; it ends in time for whoever stands aside."""
        patience = 0.0 if self._line else self.hub.patience()
        super().wait_for_and_dispatch_events(timeout if patience is None else min(timeout, patience))
        self.hub.go_on()
        until = time.monotonic() + _TURN_SECONDS
        while self._line:
            conn, request = self._line.popleft()
            self.hub.start(partial(self._answer, conn, request))
            if time.monotonic() > until:
                break

    def on_client_socket_readable(self, conn: Any, client: socket) -> None:
        """Something has come from a client; it may be the end."""
        if conn in self._busy:  # before its answer: for later, or for whoever watches for callers that hang up
            self._busy[conn] = False
            self.poller.unregister(client)
            return
        try:
            self.keepalived_conns.remove(conn)
        except ValueError:  # it has been closed since the poller said so, in this turn of the loop
            return
        try:
            data = client.recv(WHOLE_BYTES)
        except BlockingIOError:
            self._keep(conn, watched=True)
            return
        except OSError:
            data = b""
        request = self._express(data, conn.client)
        if request is not None and self._is_prompt():
            self._busy[conn] = True
            self._line.append((conn, request))
            return
        self.poller.unregister(client)
        if request is not None:
            self._aside(conn, partial(self._answer_aside, conn, request))
        elif data:
            self._early[conn] = data
            self.enqueue_req(conn)
        else:
            self._end(conn)

    def handle(self, conn: Any) -> Any:
        """On a thread: as gunicorn does, beginning with what has been read already."""
        early = self._early.pop(conn, b"")
        if early:
            conn.init()
            conn.parser.unreader.unread(early)
        return super().handle(conn)

    # --- the lane -------------------------------------------------------------------------------------------------

    def _express(self, data: bytes, peer: Any) -> PlainRequest | None:
        """The request, if it may be answered here and now."""
        request = read_plain(data, peer) if self.lane is not None and data else None
        return request if request is not None and self._says(lambda lane: lane.takes(request)) else None

    def _is_prompt(self) -> bool:
        return self._says(lambda lane: lane.prompt())

    def _says(self, ask: Callable[[Lane], bool]) -> bool:
        try:
            return self.lane is not None and ask(self.lane)
        except Exception:
            log.exception("the express lane cannot tell what it takes")
            return False

    def _answer_aside(self, conn: Any, request: PlainRequest) -> bool:
        """On a thread: whether the connection stays."""
        assert self.lane is not None
        conn.sock.setblocking(True)
        status, headers, body, account = self.lane.answer(request, conn.sock)
        try:
            keep = self._may_stay()
            conn.sock.sendall(_written(status, headers, body, keep=keep))
            return keep
        finally:
            account()

    def _may_stay(self) -> bool:
        return bool(self.alive and len(self.keepalived_conns) < self.max_keepalived)

    def _answer(self, conn: Any, request: PlainRequest) -> None:
        """In a greenlet of its own, which nothing may leave as an exception: the loop would get it."""
        try:
            assert self.lane is not None
            status, headers, body, account = self.lane.answer(request, conn.sock)
            keep = self._may_stay()
            try:
                data = _written(status, headers, body, keep=keep)
                sent = conn.sock.send(data)
            except BlockingIOError:
                sent = 0
            finally:
                account()
        except BaseException as error:  # the connection is lost, the server is not
            if not isinstance(error, OSError):
                log.exception("a request on the express lane was lost")
            self._forget(conn)
            self._end(conn)
            return
        if sent == len(data):
            self._finish(conn, keep=keep)
        else:  # a client that does not read: a thread may wait for it
            self._forget(conn)
            self._aside(conn, partial(self._send_rest, conn, data[sent:], keep))

    def _finish(self, conn: Any, *, keep: bool) -> None:
        if keep:
            self._keep(conn, watched=self._busy.pop(conn))
        else:
            self._forget(conn)
            self._linger(conn)

    def _keep(self, conn: Any, *, watched: bool) -> None:
        """Wait for the next request of a connection; when the server stops only for one that is on its way."""
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        if not watched:
            try:
                conn.sock.setblocking(False)
                self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))
            except (OSError, ValueError, KeyError) as error:  # the kernel's limit
                log.warning("a connection is not watched, and closed: %s", error)
                self._end(conn)
                return
        self.keepalived_conns.append(conn)

    def _forget(self, conn: Any) -> None:
        """The loop has no more to do with what comes from this client."""
        if self._busy.pop(conn, False):
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(conn.sock)

    def _end(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def _send_rest(self, conn: Any, rest: bytes, keep: bool) -> bool:
        conn.sock.setblocking(True)
        conn.sock.sendall(rest)
        return keep

    def _aside(self, conn: Any, work: Callable[[], bool]) -> None:
        """Do on a thread what may take a while; it says whether the connection stays."""
        future = self.tpool.submit(work)
        future.add_done_callback(lambda done: self.method_queue.defer(self._back, conn, done))

    def _back(self, conn: Any, done: Future[bool]) -> None:
        error = done.exception()
        if error is not None:
            if not isinstance(error, OSError):
                log.error("a request on the express lane was lost", exc_info=error)
            self._end(conn)
        elif done.result():
            self._keep(conn, watched=False)
        else:
            self._linger(conn)


@lru_cache(maxsize=1)
def _date(now: int) -> str:
    """The second at hand, as HTTP has it."""
    return str(http_date(now))


def _written(status: str, headers: list[tuple[str, str]], body: bytes, *, keep: bool) -> bytes:
    """The bytes of an answer. Control characters in a header are a mistake of ours, and never sent."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Server: {SERVER}",
        f"Date: {_date(int(time.time()))}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    head = "\r\n".join(lines)
    if not head.replace("\r\n", "").isprintable():
        raise ValueError("a header with control characters")
    return head.encode("latin-1") + b"\r\n\r\n" + body
