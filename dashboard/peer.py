"""Notices callers that hang up while their answer is being made: one thread waits for the kernel to tell.

A connection whose other end has been shut down is one whose caller has gone: HTTP clients and proxies close theirs
when they give up. What a pipelining client has sent ahead does not hide that, nor is it mistaken for it. Behind a proxy
the connection is the proxy's, which closes it when its own client leaves (nginx, Envoy and HAProxy do unless told
otherwise); as long as it stays open, so does the request.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: Key of the app's :class:`Lookout`.
LOOKOUT = "wakeless.lookout"
#: Where gunicorn keeps the connection in the WSGI environment.
_SOCKET = "gunicorn.socket"


class Lookout:
    """Watches connections with one epoll and one thread, which starts with the first of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None
        self._watched: dict[int, Callable[[], None]] = {}

    @contextmanager
    def watch(self, descriptor: int, on_gone: Callable[[], None]) -> Iterator[None]:
        """Call ``on_gone``, once, if the other end is shut down before the block ends."""
        watched = self._begin(descriptor, on_gone)
        try:
            yield
        finally:
            if watched:
                self._end(descriptor)

    def _begin(self, descriptor: int, on_gone: Callable[[], None]) -> bool:
        with self._lock:
            if self._epoll is None:
                self._epoll = select.epoll()
                threading.Thread(target=self._look, args=(self._epoll,), name="lookout", daemon=True).start()
            if descriptor in self._watched:
                return False
            try:
                self._epoll.register(descriptor, select.EPOLLRDHUP | select.EPOLLONESHOT)
            except (OSError, ValueError) as error:  # the kernel's limit; the request goes on unwatched
                log.warning("caller_not_watched", error=str(error))
                return False
            self._watched[descriptor] = on_gone
            return True

    def _end(self, descriptor: int) -> None:
        with self._lock:
            del self._watched[descriptor]
            if self._epoll is not None:
                with suppress(OSError):  # closed already, which takes it out as well
                    self._epoll.unregister(descriptor)

    def _look(self, epoll: select.epoll) -> None:
        while True:
            for descriptor, _ in epoll.poll():
                with self._lock:
                    on_gone = self._watched.get(descriptor)
                    if on_gone is not None:
                        self._call(on_gone)

    @staticmethod
    def _call(on_gone: Callable[[], None]) -> None:
        try:
            on_gone()
        except Exception:
            log.exception("on_gone_raised")


class Connection:
    """The connection of one request; a :class:`model.terms.Caller`."""

    def __init__(self, connection: socket.socket, lookout: Lookout) -> None:
        self._socket = connection
        self._lookout = lookout

    def gone(self) -> bool:
        """Whether the caller has hung up."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    @contextmanager
    def watch(self, on_gone: Callable[[], None]) -> Iterator[None]:
        """Call ``on_gone`` from another thread if the caller hangs up before the block ends."""
        with self._lookout.watch(self._socket.fileno(), on_gone):
            yield


def connection_of(environ: Mapping[str, Any], lookout: Lookout) -> Connection | None:
    """The connection that a request came by; ``None`` where the server or the platform does not let us see it."""
    found = environ.get(_SOCKET)
    return watched(found, lookout) if isinstance(found, socket.socket) else None


def watched(connection: socket.socket, lookout: Lookout) -> Connection | None:
    """A connection whose end is noticed; ``None`` where the platform does not tell."""
    return Connection(connection, lookout) if hasattr(select, "EPOLLRDHUP") else None
