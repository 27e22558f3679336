"""Asks a URL, and looks whether the answer is what it should be."""

from __future__ import annotations

import base64
import http
import time
from email.message import Message

from config_target import HttpProbe
from targets.connection import FetchError
from targets.fetch import MiB, Request, Response, fetch
from targets.probe.outcome import Outcome

#: So much of a body is looked at.
MAX_BODY_BYTES = MiB


def look(settings: HttpProbe) -> Outcome:
    """Ask once."""
    began = time.monotonic()
    try:
        response = fetch(_request(settings))
    except FetchError as error:
        seconds = time.monotonic() - began
        detail = {"kind": error.kind}
        if error.kind == "url":  # nobody was asked
            return Outcome(None, str(error), seconds, detail)
        return Outcome(False, str(error), seconds, detail, certificate_ends_ms=error.certificate_ends_ms)
    seconds = time.monotonic() - began
    success, reason = _judge(settings, response, seconds)
    return Outcome(
        success,
        reason,
        seconds,
        {"status": response.status, "bytes": len(response.body), "url": _bare(response.url)},
        response.phases,
        response.status,
        response.certificate_ends_ms,
    )


def _request(settings: HttpProbe) -> Request:
    headers = dict(settings.headers)
    if settings.bearer_token is not None:
        headers["Authorization"] = f"Bearer {settings.bearer_token.get_secret_value()}"
    elif settings.username is not None:
        password = settings.password.get_secret_value() if settings.password is not None else ""
        headers["Authorization"] = "Basic " + base64.b64encode(f"{settings.username}:{password}".encode()).decode()
    wants_redirect = any(str(one).startswith("3") for one in settings.status)
    return Request(
        settings.url,
        settings.method,
        headers,
        None if settings.body is None else settings.body.encode(),
        settings.timeout,
        MAX_BODY_BYTES,
        0 if wants_redirect else settings.redirects,
        settings.verify,
    )


def _judge(settings: HttpProbe, response: Response, seconds: float) -> tuple[bool | None, str]:
    """Whether the answer is well, and what is not."""
    if not any(str(one) in (str(response.status), f"{response.status // 100}xx") for one in settings.status):
        return False, f"HTTP {response.status} {_phrase(response.status)}".rstrip()
    if settings.latency is not None and seconds > settings.latency:
        return False, f"took longer than {settings.latency:g} s"
    if settings.contains is None and settings.excludes is None and settings.json_path is None:
        return True, ""
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        return False, "the body is compressed, although it was not to be"
    text = _text(response)
    part = "the first MiB of the body" if response.truncated else "the body"
    if settings.contains is not None and settings.contains not in text:
        return False, f"{_short(settings.contains)} is not in {part}"
    if settings.excludes is not None and settings.excludes in text:
        return False, f"{_short(settings.excludes)} is in the body"
    if settings.json_path is None:
        return True, ""
    if response.truncated:
        return False, "the body is longer than 1 MiB: too long for a JSON condition"
    from targets.probe.condition import judge  # JSONPath takes memory

    return judge(settings.json_path, response.body)


def _text(response: Response) -> str:
    message = Message()
    message["Content-Type"] = response.headers.get("content-type", "text/plain")
    charset = message.get_content_charset("utf-8")
    try:
        return response.body.decode(charset, "replace")
    except LookupError:
        return response.body.decode("utf-8", "replace")


def _short(text: str) -> str:
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _bare(url: str) -> str:
    """A URL without what may be secret in it."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
