"""The wire: what services really answered while a notice was sent, over HTTP and SMTP.

Apprise says only whether it thinks that a notice was taken, and takes a refusal in a friendly status code for success.
So :func:`listen` notes the answers themselves on the thread that sends. Loads requests when it is first used.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Response

#: Bytes of an answer that are read; no service says more to a notice.
MAX_ANSWER_BYTES = 64 * 1024
#: Marks a request that carries only a file where its form does not tell.
FILE_HEADER = "X-Wakeless-Part"
#: Seconds in which an answer's body must have come.
MAX_ANSWER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said: HTTP's status, body and headers (names in lower case), or an SMTP reply's code and text.

    ``about_file``: it answers what only carried a file.
    """

    protocol: str  # http or smtp
    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    about_file: bool = False


@dataclass(slots=True)
class Wire:
    """All that was heard during one delivery, in order; ``troubles`` says why there was no answer.

    ``unclear``: what was sent may have arrived before the trouble.
    """

    answers: list[Answer] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    unclear: bool = False


#: How requests, urllib3 and Python say that there was no connection, or none that could be trusted.
_NEVER_CONNECTED = frozenset(
    {"ConnectTimeout", "ConnectTimeoutError", "NewConnectionError", "NameResolutionError", "ProxyError", "gaierror"}
    | {"ConnectionRefusedError", "SSLError", "SSLCertVerificationError"}
)

_WIRE: ContextVar[Wire | None] = ContextVar("wire", default=None)
_LOCK = threading.Lock()
_installed = False


@contextmanager
def listen() -> Iterator[Wire]:
    """Note what services answer to this thread. Redirects are the caller's business; a 429 ends what is under way."""
    _install()
    wire = Wire()
    token = _WIRE.set(wire)
    try:
        yield wire
    finally:
        _WIRE.reset(token)


def _install() -> None:
    """Wrap the calls through which all plug-ins speak; a call on a thread that does not listen is left as it is."""
    global _installed
    with _LOCK:
        if _installed:
            return
        from requests.adapters import HTTPAdapter

        HTTPAdapter.send = _noting_http(HTTPAdapter.send)  # type: ignore[method-assign]
        smtplib.SMTP.getreply = _noting_reply(smtplib.SMTP.getreply)  # type: ignore[method-assign]
        for name in ("connect", "starttls"):
            setattr(smtplib.SMTP, name, _noting_trouble(getattr(smtplib.SMTP, name)))
        _installed = True


def _noting_http(send: Callable[..., Response]) -> Callable[..., Response]:
    from requests import RequestException

    class EnoughError(RequestException):
        """Ends a plug-in's own attempts: the service has asked for a pause, and the sender keeps it."""

    @wraps(send)
    def noting(self: Any, request: Any, **options: Any) -> Response:
        wire = _WIRE.get()
        if wire is None:
            return send(self, request, **options)
        try:
            response = send(self, request, **options | {"stream": True})
            _read(response)
        except (RequestException, OSError) as error:
            wire.troubles.append(describe(error))
            wire.unclear = wire.unclear or may_have_arrived(error)
            raise
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer("http", response.status_code, response.text, headers, _carries_file(request))
        wire.answers.append(answer)
        if response.status_code == 429:
            raise EnoughError("the service asks for a pause")
        return response

    return noting


def _carries_file(request: Any) -> bool:
    """Whether it is there for a file: a form with one, or a step of Slack's way to upload."""
    if FILE_HEADER in request.headers:
        return True
    return "multipart/form-data" in str(request.headers.get("Content-Type", "")) or "/files." in str(request.url)


def _read(response: Response) -> None:
    """Read the body, so much and for so long only, and let go of the connection.

    What is there is taken: to wait for a full part would let a service that sends one byte now and then hold a thread.
    """
    from requests import ConnectionError as BrokenError
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    body = bytearray()
    try:
        while len(body) < MAX_ANSWER_BYTES and time.monotonic() < deadline:
            part = response.raw.read1(4096, decode_content=True)
            if not part:
                break
            body += part
    except HTTPError as error:
        raise BrokenError(error) from error
    finally:
        response.close()
    # requests has no public way to say: this is all of it.
    response._content = bytes(body[:MAX_ANSWER_BYTES])  # type: ignore[attr-defined, unused-ignore]
    response._content_consumed = True  # type: ignore[attr-defined, unused-ignore]
    response.encoding = response.encoding if "charset" in response.headers.get("Content-Type", "") else "utf-8"


def _noting_reply(getreply: Callable[..., tuple[int, bytes]]) -> Callable[..., tuple[int, bytes]]:
    @wraps(getreply)
    def noting(self: Any) -> tuple[int, bytes]:
        wire = _WIRE.get()
        try:
            code, words = getreply(self)
        except OSError as error:  # SMTPServerDisconnected is one
            if wire is not None:
                wire.troubles.append(describe(error))
                wire.unclear = True
            raise
        if wire is not None:
            wire.answers.append(Answer("smtp", code, words.decode("utf-8", "replace")))
        return code, words

    return noting


def _noting_trouble(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def noting(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return call(self, *arguments, **options)
        except OSError as error:
            wire = _WIRE.get()
            if wire is not None and not wire.troubles:
                wire.troubles.append(describe(error))
            raise

    return noting


def may_have_arrived(error: BaseException) -> bool:
    """Whether a request that ended like this may have reached the service: there had been a connection for it."""
    names = {type(cause).__name__ for cause in _causes(error)}
    return names.isdisjoint(_NEVER_CONNECTED)


def describe(error: BaseException) -> str:
    """Why there was no answer, without addresses: the text of such errors holds the whole URL."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the service's certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, socket.gaierror) or type(cause).__name__ == "NameResolutionError":
            return "the name of the service cannot be resolved"
    for cause in causes:
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return "no answer in time"
        if isinstance(cause, ssl.SSLError):
            return f"no encrypted connection: {(cause.reason or 'TLS failed').replace('_', ' ').lower()}"
    spoken = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return f"no connection: {spoken.lower()}" if spoken else "the connection was closed before an answer came"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that lie behind it."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen or len(seen) > 30:
            continue
        seen.add(id(one))
        yield one
        behind = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [cause for cause in behind if isinstance(cause, BaseException)]
