"""Connections that are being closed, watched by the event loop instead of waited for.

Gunicorn's thread worker waits on its main thread, for up to two seconds each, until a client has closed its end (RFC
9112 section 9.6). Clients that do not, a hundred of them, stop everything for minutes: nothing is accepted meanwhile,
and the supervisor misses the heartbeat. Here the same courtesy costs nobody anything, and goes further: a body that is
refused before it has been read is swallowed while it comes. Closing sooner would reset the connection, and most clients
read no answer before they have sent everything.
"""

from __future__ import annotations

import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding
from gunicorn.workers.gthread import ThreadWorker

#: How long a client may be silent after our last byte before its end of the connection is closed as well.
LINGER_SECONDS = 2.0
#: For how long, and how much, it may go on sending a body that nobody will read.
SWALLOW_SECONDS = 30.0
SWALLOW_BYTES = 256 * 1024 * 1024
_READ_BYTES = 256 * 1024


@dataclass(slots=True)
class _Rest:
    """What is left of a connection that has been answered for good: when it ends at the latest, and bytes swallowed."""

    until: float
    swallowed: int = 0


class LingeringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A thread worker whose main thread waits for no client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Connections that have been answered for good; the one that has been silent for longest first.
        self._lingering: dict[Any, _Rest] = {}
        self._bin = bytearray(_READ_BYTES)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that is none. A coding that nobody knows is the client's mistake, not the server's (501)."""
        if isinstance(exc, UnsupportedTransferCoding):
            exc = InvalidHeader("TRANSFER-ENCODING")
        super().handle_error(req, client, addr, exc)

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
        for conn in list(self._lingering):
            if conn.timeout > now and not force:
                break
            self._let_go(conn)

    def _linger(self, conn: Any) -> None:
        now = time.monotonic()
        conn.timeout = now + LINGER_SECONDS
        self._lingering[conn] = _Rest(now + SWALLOW_SECONDS)
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_rest, conn))
        except (OSError, ValueError, KeyError):
            self._let_go(conn)

    def _on_rest(self, conn: Any, client: socket.socket) -> None:
        """Something came that nobody will read, or the client closed its end."""
        try:
            count = client.recv_into(self._bin, _READ_BYTES, socket.MSG_TRUNC)  # on Linux not even copied
        except BlockingIOError:
            return
        except OSError:
            count = 0
        rest = self._lingering[conn]
        rest.swallowed += count
        now = time.monotonic()
        if not count or rest.swallowed >= SWALLOW_BYTES or now >= rest.until:
            self._let_go(conn)
        elif self.alive:  # a stop waits for nobody's body
            conn.timeout = now + LINGER_SECONDS
            self._lingering[conn] = self._lingering.pop(conn)

    def _let_go(self, conn: Any) -> None:
        del self._lingering[conn]
        with suppress(OSError, KeyError, ValueError):  # it never was there, or is gone already
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
