"""What goes through the front door: every request gets an id, is measured and leaves one log line.

This wraps the whole application, so that an answer that no view made (404, a crash, a stream that ends late) is
counted and logged like any other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import structlog
from flask import Flask, request
from werkzeug.wsgi import ClosingIterator

from dashboard import request_id
from dashboard.log import write_line
from dashboard.services import EXTENSION, Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

ENVIRON = "wakeless.exchange"
#: The status that began a websocket; flask-sock sends it past WSGI.
SWITCHED = 101
#: The route of everything that is only a file.
STATIC = "static"


@dataclass(slots=True)
class Exchange:
    """One request and its answer, as far as logs and meters care."""

    request_id: str
    method: str
    peer: str | None
    websocket: bool
    started: float
    status: int = 500  # stands if the application dies before it answers
    route: str | None = None  # where no view matches
    actor: str | None = None
    quiet: bool = False
    finished: bool = False


def exchange() -> Exchange | None:
    """The exchange at hand; None outside the middleware (a bare request context)."""
    return request.environ.get(ENVIRON)


def name_actor(actor: str) -> None:
    """Let the log line of the request at hand say who made it."""
    found = exchange()
    if found is not None:
        found.actor = actor


class Traffic:
    """WSGI middleware around the application."""

    def __init__(self, app: Flask, inner: WSGIApplication) -> None:
        self._app = app
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = self._begin(environ)
        meters = self._services().meters
        if not found.websocket:
            meters.http_active.inc()

        def finish() -> None:
            if found.finished:
                return
            found.finished = True
            seconds = time.perf_counter() - found.started
            if not found.websocket:  # an open page is not a request in flight, nor is an hour its latency
                meters.http_active.dec()
                meters.http(found.method, found.route, found.status, seconds)
            write(found, seconds)
            structlog.contextvars.clear_contextvars()

        try:
            body = self._inner(environ, _recording(found, start_response))
        except BaseException as error:  # not swallowed
            if found.websocket and isinstance(error, StopIteration):  # how flask-sock ends one that was opened
                found.status = SWITCHED
            finish()
            raise
        return ClosingIterator(body, [finish])

    def _begin(self, environ: WSGIEnvironment) -> Exchange:
        found = Exchange(
            request_id=request_id.accept_request_id(environ.get("HTTP_X_REQUEST_ID")),
            method=environ["REQUEST_METHOD"][:20],
            peer=environ.get("REMOTE_ADDR"),
            websocket=environ.get("HTTP_UPGRADE", "").lower() == "websocket",
            started=time.perf_counter(),
        )
        environ[request_id.ENVIRON] = found.request_id
        environ[ENVIRON] = found
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=found.request_id)
        return found

    def _services(self) -> Services:
        return cast(Services, self._app.extensions[EXTENSION])


def _recording(found: Exchange, start_response: StartResponse) -> StartResponse:
    """A ``start_response`` that notes the status and adds the request id."""

    def start(
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        found.status = int(status[:3])
        headers = [*headers, (request_id.HEADER, found.request_id)]
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return cast("StartResponse", start)


def write(found: Exchange, seconds: float) -> None:
    """One line of the log. The route, never the path or the query: those may carry a secret."""
    facts: dict[str, Any] = {
        "request_id": found.request_id,
        "method": found.method,
        "route": found.route,
        "status": found.status,
        "duration_ms": round(seconds * 1000, 3),
        "peer": found.peer,
        "actor": found.actor,
    }
    quiet = (found.quiet or found.websocket) and found.status < 500
    write_line(log, logging.DEBUG if quiet else logging.INFO, "request", facts)
