"""Connections that are being closed, watched by the event loop instead of waited for.

Gunicorn's thread worker waits on its main thread, for up to two seconds each, until a client has closed its end (RFC
9112 section 9.6). Clients that do not, a hundred of them, stop everything for minutes: nothing is accepted meanwhile,
and the supervisor misses the heartbeat. Here the same courtesy costs nobody anything.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

#: How long a client may take to close its end after our last byte.
LINGER_SECONDS = 2.0
#: What is read and thrown away of a request that was answered before its end.
_DRAIN_BYTES = 65_536
_READ_BYTES = 4096


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A thread worker whose main thread waits for no client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Connections that have been answered for good, with the bytes drained of each; the oldest first.
        self._lingering: deque[Any] = deque()
        self._drained: dict[Any, int] = {}

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """As gunicorn does, but for the connections that end here."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Called by gunicorn's loop once a second or more often."""
        super().murder_keepalived(force)
        now = time.monotonic()
        while self._lingering and (force or self._lingering[0].timeout <= now):
            self._let_go(self._lingering[0])

    def _linger(self, conn: Any) -> None:
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._lingering.append(conn)
        self._drained[conn] = 0
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_rest, conn))
        except (OSError, ValueError, KeyError):
            self._let_go(conn)

    def _on_rest(self, conn: Any, client: socket.socket) -> None:
        """Something came that nobody will read, or the client closed its end."""
        try:
            rest = client.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            rest = b""
        self._drained[conn] += len(rest)
        if not rest or self._drained[conn] >= _DRAIN_BYTES:
            self._let_go(conn)

    def _let_go(self, conn: Any) -> None:
        self._lingering.remove(conn)
        del self._drained[conn]
        with suppress(OSError, KeyError, ValueError):  # it never was there, or is gone already
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
