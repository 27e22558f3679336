"""Every error answer: a problem document (RFC 9457) for programs, ``error.html`` for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from flask import Flask, Response, make_response, render_template, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException

from dashboard.request_id import current_request_id
from storage.error import StorageError

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
#: A problem's ``type`` is this prefix and a slug of :data:`TITLES`. It names a kind of error for good.
TYPE_PREFIX = "urn:wakeless:problem:"

#: Every kind of problem and its title. ``docs/api.md`` lists them; a test compares the two.
TITLES = {
    "bad-request": "The request is malformed",
    "unauthorized": "You are not logged in",
    "forbidden": "Your role does not allow this",
    "cross-site": "The request came from another site",
    "csrf": "The form has expired",
    "not-found": "There is nothing here",
    "method-not-allowed": "This method is not allowed here",
    "not-acceptable": "The answer cannot be had in this form",
    "canceled": "The caller hung up",
    "conflict": "Not possible in the current state",
    "too-large": "The body is too large",
    "unsupported-media-type": "This kind of content is not supported",
    "misdirected-request": "Wrong host name",
    "invalid-parameter": "A parameter is not valid",
    "too-many-attempts": "Too many attempts",
    "bad-input": "The model cannot use this input",
    "no-such-version": "This version is not loaded",
    "refused": "The model did not take the request",
    "queue-full": "The queue is full",
    "uploads-full": "Too many uploads at once",
    "request-timeout": "The request came too slowly",
    "not-ready": "The model is not ready",
    "breaker-open": "The model is given a rest",
    "draining": "The server is stopping",
    "deadline-exceeded": "The deadline has passed",
    "out-of-memory": "The input needs more memory than there is",
    "inference-failed": "The model failed",
    "storage-unavailable": "The database does not answer",
    "target-down": "The target is down",
    "internal-error": "Something went wrong in the server",
    "http-error": "The request failed",
}

#: What plain HTTP errors are called.
_TYPE_OF_STATUS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    421: "misdirected-request",
    422: "invalid-parameter",
    429: "too-many-attempts",
    500: "internal-error",
}

#: Paths whose errors are read by programs.
_PROGRAM_PATHS = ("/api", "/predict", "/v1", "/v2", "/health", "/metrics", "/live", "/go")
#: Paths of the Open Inference Protocol, which has a form of its own for errors.
_INFERENCE_PATH = "/v2"
#: Pages below those paths.
_PAGES = ("/api/",)


class Problem(Exception):
    """An error answer on its way out. ``detail`` is a sentence for a person; ``extra`` are further members."""

    def __init__(
        self,
        status: int,
        type: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra


def problem(status: int, type: str, title: str, detail: str, **extra: Any) -> Response:
    """Build a problem document. ``type`` is a slug of :data:`TITLES`; ``extra`` are further members, None left out."""
    found = document(status, type, title, detail, current_request_id(), extra)
    return Response(found, status, content_type=CONTENT_TYPE)


def document(
    status: int, type: str, title: str, detail: str, request_id: str | None, extra: Mapping[str, object]
) -> bytes:
    """The problem document itself."""
    found = {
        "type": TYPE_PREFIX + type,
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        **{name: value for name, value in extra.items() if value is not None},
    }
    return orjson.dumps(found, default=str)


def for_program(path: str) -> bool:
    """Whether errors at ``path`` are read by a program rather than a person."""
    if path in _PAGES:
        return False
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in _PROGRAM_PATHS)


def retry_after(seconds: float) -> dict[str, str]:
    """The header ``Retry-After``: whole seconds, at least one."""
    return {"Retry-After": str(max(1, round(seconds)))}


def render(error: Problem) -> Response:
    """Answer with ``error``, as a document or as a page."""
    title = TITLES[error.type]
    if f"{request.path}/".startswith(f"{_INFERENCE_PATH}/"):
        response = _inference_error(error)
    elif for_program(request.path):
        response = problem(error.status, error.type, title, error.detail, **error.extra)
    else:
        response = _page(error.status, title, error.detail, error.extra.get("suggestion"))
    response.headers.update(error.headers)
    return response


def _inference_error(error: Problem) -> Response:
    """An error as the Open Inference Protocol has it: one text."""
    parts = (error.detail, error.extra.get("reason"), error.extra.get("suggestion"))
    text = " ".join(str(part) for part in parts if part)
    return Response(orjson.dumps({"error": text}), error.status, content_type="application/json")


def install(app: Flask) -> None:
    """Answer every error of ``app`` through this module."""
    app.register_error_handler(Problem, render)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StorageError, _storage_error)
    app.register_error_handler(ParseException, _malformed)
    app.register_error_handler(Exception, _unexpected)


def _http_error(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < 400:  # a redirect, or an answer made by hand
        return make_response(error.get_response())
    status = error.code
    headers = {name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")}
    kind = _TYPE_OF_STATUS.get(status, "http-error")
    detail = _PLAIN_DETAILS.get(status) or error.description or TITLES[kind]
    return render(Problem(status, kind, detail, headers=headers))


#: What is told of a bug of ours: nothing about the inside.
UNEXPECTED = "The error has been logged under this request id."

#: Sentences of our own where werkzeug's are about the server's insides.
_PLAIN_DETAILS = {
    404: "No page and no call has this address.",
    405: "This address exists, but not for this method; the header Allow lists those it has.",
    500: UNEXPECTED,
}


def _malformed(_: ParseException) -> Response:
    """A body in chunks that are none: noticed only by who reads it."""
    return render(Problem(400, "bad-request", "The chunked body is malformed.", headers={"Connection": "close"}))


def _unexpected(error: Exception) -> Response:
    """A bug of ours: log it with its traceback."""
    log.error("unhandled_error", exc_info=error, route=request.url_rule.rule if request.url_rule else None)
    return render(Problem(500, "internal-error", UNEXPECTED))


def _storage_error(error: StorageError) -> Response:
    """The database is busy or broken: say so, without the path that its message names."""
    log.error("storage_error", exc_info=error)
    headers = {} if error.permanent else retry_after(5)
    return render(Problem(503, "storage-unavailable", "What was asked for could not be read or kept.", headers=headers))


def _page(status: int, title: str, detail: str, suggestion: object) -> Response:
    try:
        text = render_template(
            "error.html",
            status=status,
            title=title,
            detail=detail,
            suggestion=suggestion,
            request_id=current_request_id(),
        )
    except Exception as error:  # the page about an error must not be the next error
        log.error("error_page_failed", exc_info=error)
        text = f"{status} {title}. {detail} Request id: {current_request_id()}"
        return Response(text, status, content_type="text/plain; charset=utf-8")
    return Response(text, status, content_type="text/html; charset=utf-8")
