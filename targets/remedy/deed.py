"""Does what a rung says, once, and tells what came of it. Switching to a standby is not among it: that is a state."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from config_target import Remedy, RemedyCall
from mask import mask_secrets
from targets.remedy.command import CommandError, Ended, explain
from targets.remedy.container import ContainerError, restart

if TYPE_CHECKING:
    from targets.fetch import Request, Response

#: Bytes of a service's answer that are read; none of them is kept.
_ANSWER_BYTES = 4096

Fetch = Callable[["Request"], "Response"]
Run = Callable[[Sequence[str], float], Ended]


class Result(NamedTuple):
    """What the thread of a deed brings back."""

    target: str
    rung: int
    id: int
    kind: str
    state: Literal["done", "failed"]
    outcome: str
    ended_ms: int


def fetch_lazily(request: Request) -> Response:
    """:func:`targets.fetch.fetch`, imported when it is first asked: most installs never call a remedy."""
    from targets.fetch import fetch

    return fetch(request)


class RemedyFailed(Exception):
    """What was to be done could not be done, or ended badly; the message says why, in a sentence for people."""

    permanent = True


def told(rung: Remedy) -> str:
    """What a rung does, in a few words without secrets."""
    if rung.call is not None:
        return f"{rung.call.method} {plain_url(rung.call.url)}"
    if rung.command is not None:
        return mask_secrets(shlex.join(rung.command))
    if rung.systemd is not None:
        return f"systemctl restart {rung.systemd}"
    if rung.container is not None:
        return f"restart the container {rung.container}"
    return f"switch to {plain_url(rung.standby or '')}"


def plain_url(url: str) -> str:
    """A URL without what may be secret in it: user, query, fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def carry_out(rung: Remedy, fetch: Fetch, run: Run) -> str:
    """Do it now, on the thread of the caller. Raises :class:`RemedyFailed`."""
    if rung.call is not None:
        return _call(rung.call, rung.timeout, fetch)
    if rung.container is not None:
        try:
            return restart(rung.container, rung.socket, rung.timeout)
        except ContainerError as error:
            raise RemedyFailed(str(error)) from error
    if rung.systemd is not None:
        if shutil.which("systemctl") is None:
            raise RemedyFailed("there is no systemd on this machine")
        return _run(("systemctl", "--no-ask-password", "restart", "--", rung.systemd), rung.timeout, run)
    assert rung.command is not None, "a standby is switched, not carried out"
    return _run(rung.command, rung.timeout, run)


def _call(call: RemedyCall, timeout_seconds: float, fetch: Fetch) -> str:
    from targets.fetch import FetchError, Request

    body = None if call.body is None else call.body.encode()
    request = Request(call.url, call.method, dict(call.headers), body, timeout_seconds, max_bytes=_ANSWER_BYTES)
    try:
        answer = fetch(request)
    except FetchError as error:
        raise RemedyFailed(str(error)) from error
    if not 200 <= answer.status < 300:
        raise RemedyFailed(f"answered {answer.status}")
    return f"answered {answer.status}"


def _run(arguments: Sequence[str], timeout_seconds: float, run: Run) -> str:
    try:
        ended = run(arguments, timeout_seconds)
    except CommandError as error:
        raise RemedyFailed(str(error)) from error
    if ended.status != 0:
        raise RemedyFailed(explain(ended))
    return explain(ended)
