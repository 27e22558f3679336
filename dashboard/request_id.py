"""The request id: taken from ``X-Request-ID`` if it is harmless, else made here; on every answer and log line."""

from __future__ import annotations

import re
import secrets

from flask import has_request_context, request

from dashboard import moment

HEADER = "X-Request-ID"
#: Key of the id in the WSGI environment.
ENVIRON = "wakeless.request_id"

_HARMLESS = re.compile(r"[A-Za-z0-9._-]{1,64}")


def make_request_id(now_ms: int | None = None) -> str:
    """A new id: 22 hex digits that sort by time (12 of milliseconds, 10 at random)."""
    return f"{moment.now_ms() if now_ms is None else now_ms:012x}{secrets.token_hex(5)}"


def accept_request_id(offered: str | None) -> str:
    """The caller's id if it can do no harm in a log or a header, otherwise a new one."""
    return offered if offered is not None and _HARMLESS.fullmatch(offered) else make_request_id()


def current_request_id() -> str | None:
    """The id of the request at hand."""
    return request.environ.get(ENVIRON) if has_request_context() else None
