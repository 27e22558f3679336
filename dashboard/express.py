"""``POST /predict`` without WSGI: what the express lane of the server process answers (``supervisor/express.py``).

It takes the requests of programs that need no login, in the plainest form there is, and says what the view in
``dashboard/predict.py`` would say, by the same functions; a test compares the two. All else is left to the view.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from socket import socket
from typing import Any, Protocol, cast

import structlog
from flask import Flask

from dashboard import access, predict, problem, request_id
from dashboard.header import CACHE_CONTROL, HEADERS, REFERRER_POLICY
from dashboard.inference import BUDGET, recording
from dashboard.mark import headers_of
from dashboard.peer import LOOKOUT, Lookout, watched
from dashboard.problem import Problem
from dashboard.services import EXTENSION, Services
from dashboard.terms import read_terms
from dashboard.traffic import Exchange, write

log = structlog.get_logger(__name__)

PATH = "/predict"
#: Headers that are understood here, or mean nothing. One that is not among them may mean something to the view.
_KNOWN = frozenset(
    {
        *("host", "user-agent", "accept", "accept-encoding", "accept-language", "cache-control", "pragma"),
        *("connection", "content-type", "content-length", "traceparent", "tracestate", "x-request-id"),
        *("x-priority", "x-request-timeout", "x-request-timeout-seconds", "x-envoy-expected-rq-timeout-ms"),
        *("x-model-version", "x-sticky-key"),
    }
)
_ALWAYS = [*HEADERS.items(), ("Referrer-Policy", REFERRER_POLICY), ("Cache-Control", CACHE_CONTROL)]
_STATUS = {status.value: f"{status.value} {status.phrase.upper()}" for status in HTTPStatus}


class PlainRequest(Protocol):
    """As ``supervisor/plain.py`` reads it; names of headers are in lower case."""

    @property
    def path(self) -> str: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def peer(self) -> Any: ...


class _Fields:
    """Headers by names in any case."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def get(self, name: str, /) -> str | None:
        return self._headers.get(name.lower())


class Express:
    """The lane of one application. Any thread may ask."""

    def __init__(self, app: Flask) -> None:
        self._rooms = cast(Services, app.extensions[EXTENSION])
        self._budget = app.extensions[BUDGET]
        self._lookout = cast(Lookout, app.extensions[LOOKOUT])

    def takes(self, request: PlainRequest) -> bool:
        """Whether this is a request that the view would let in, and in which nothing is out of the ordinary."""
        headers, settings = request.headers, self._rooms.settings
        kind = headers.get("content-type", "").lower()
        return (
            request.path == PATH
            and headers.keys() <= _KNOWN
            and 0 < len(request.body) <= settings.model.max_body_bytes
            and "multipart" not in kind
            and "event-stream" not in headers.get("accept", "")
            and not settings.server.trusted_proxies
            and "host" in headers
            and access.answers_to(settings, headers["host"])
            and access.is_open(settings, "predict", _address(request))
        )

    def prompt(self) -> bool:
        """Whether nothing on a request's way takes long but the wait for the model: no code of a plug-in's own."""
        return self._rooms.model.prompt()

    def answer(
        self, request: PlainRequest, connection: socket
    ) -> tuple[str, list[tuple[str, str]], bytes, Callable[[], None]]:
        """Status, headers and body; and what counts and logs the request as every one is, for when it is answered."""
        meters = self._rooms.meters
        found = Exchange(
            request_id=request_id.accept_request_id(request.headers.get("x-request-id")),
            method="POST",
            peer=_address(request),
            websocket=False,
            started=time.perf_counter(),
            route=PATH,
            actor="anonymous",
        )
        meters.http_active.inc()
        structlog.contextvars.bind_contextvars(request_id=found.request_id)
        try:
            found.status, headers, body = self._result(request, connection, found.request_id)
        except Exception:  # a bug of ours, as in dashboard/problem.py
            log.exception("unhandled_error", route=PATH)
            bug = Problem(500, "internal-error", problem.UNEXPECTED)
            found.status, headers, body = _problem(bug, found.request_id)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")

        def account() -> None:
            meters.http_active.dec()
            seconds = time.perf_counter() - found.started
            meters.http("POST", PATH, found.status, seconds)
            write(found, seconds)

        status = _STATUS.get(found.status, f"{found.status} UNKNOWN")
        return status, [*headers, *_ALWAYS, (request_id.HEADER, found.request_id)], body, account

    def _result(
        self, request: PlainRequest, connection: socket, request_id: str
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        try:
            with recording(self._rooms, request_id, PATH) as record:
                terms = read_terms(_Fields(request.headers), watched(connection, self._lookout))
                with self._budget.reading() as share:
                    share.take(len(request.body))
                    kind = request.headers.get("content-type", "application/octet-stream")
                    record.came(len(request.body), kind, request.headers.get("user-agent"))
                    answer = self._rooms.model.infer(request.body, kind, request_id, terms)
                record(answer, answer.reason)
        except Problem as error:
            return _problem(error, request_id)
        headers = [("Content-Type", "application/json"), *headers_of(answer).items()]
        return 200, headers, predict.document(answer, request_id)


def _problem(error: Problem, request_id: str) -> tuple[int, list[tuple[str, str]], bytes]:
    title = problem.TITLES[error.type]
    body = problem.document(error.status, error.type, title, error.detail, request_id, error.extra)
    return error.status, [("Content-Type", problem.CONTENT_TYPE), *error.headers.items()], body


def _address(request: PlainRequest) -> str | None:
    return request.peer[0] if isinstance(request.peer, tuple) else None
