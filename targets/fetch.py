"""One HTTP request to something that nobody vouches for: bounded in time and size, redirects included.

Our own connection under :mod:`http.client`, which then tells where the time went, connects to the very address that
was vetted (:mod:`targets.address`), and lets nothing take longer than the deadline: not a server that sends a byte a
second, nor one whose headers never end. Proxies that the environment names are not used.
"""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urldefrag, urljoin, urlsplit

from targets.connection import Connection, FetchError, connect, timed

__all__ = ["FetchError", "Kind", "Request", "Response", "fetch"]

MiB = 1024 * 1024
Kind = Literal[
    "timeout", "refused", "unreachable", "dns", "tls", "redirect", "forbidden_address", "protocol", "too_large", "url"
]
#: Headers of an answer may have so many bytes in all; http.client allows 100 of 64 KiB each.
MAX_HEAD_BYTES = 256 * 1024
_CHUNK = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Headers that go to another host as well; all others may be secrets.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_PHASES = ("resolve", "connect", "tls", "processing", "transfer")


@dataclass(frozen=True)
class Request:
    """What to ask. ``timeout_seconds`` is for all of it, redirects included; of a body, ``max_bytes`` are read.

    ``redirects`` is how many are followed; with 0 the redirect itself is the answer. A user and a password in the URL
    are sent as basic authentication.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout_seconds: float = 5.0
    max_bytes: int = MiB
    redirects: int = 5
    verify: bool = True


@dataclass(frozen=True)
class Response:
    """What was answered. ``truncated`` says that the body was longer than was to be read.

    ``phases`` are seconds by name (resolve, connect, tls, processing, transfer), summed over redirects; ``headers`` has
    lower-case names. ``certificate_ends_ms`` is when the certificate expires, None without TLS.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool
    phases: Mapping[str, float]
    certificate_ends_ms: int | None
    url: str
    address: str


def fetch(request: Request) -> Response:
    """Ask, and follow redirects. Raises :class:`FetchError` where there is no whole answer within the time.

    A redirect is not followed from https to http, nor with a body to another host; headers that may be secrets stay
    with the host that they are for.
    """
    deadline = time.monotonic() + request.timeout_seconds
    phases = dict.fromkeys(_PHASES, 0.0)
    seen: set[tuple[str, str]] = set()
    while True:
        seen.add((request.method, request.url))
        try:
            response = _exchange(request, deadline, phases)
        except FetchError as error:
            if error.kind == "timeout":
                raise FetchError("timeout", _late(request, phases), error.certificate_ends_ms) from error
            raise
        target = _target(request, response)
        if target is None:
            return response
        if len(seen) > request.redirects:
            raise FetchError("redirect", f"redirects more than {request.redirects} times")
        request = _follow(request, response.status, target)
        if (request.method, request.url) in seen:
            raise FetchError("redirect", "redirects in a circle")


def _late(request: Request, phases: Mapping[str, float]) -> str:
    doing = {"resolve": "resolving the name", "connect": "connecting", "tls": "the TLS handshake"}
    began = [phase for phase in _PHASES if phases[phase] > 0]
    last = began[-1] if began else "resolve"
    where = doing.get(last, "waiting for the answer" if last == "processing" else "receiving the answer")
    return f"no answer within {request.timeout_seconds:g} s, while {where}"


def _exchange(request: Request, deadline: float, phases: dict[str, float]) -> Response:
    """Ask once, without following."""
    url = _split(request.url)
    assert url.hostname is not None
    host, port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
    connection = connect(host, port, deadline, phases, tls=url.scheme == "https", verify=request.verify)
    try:
        return _ask(request, url, connection, phases)
    except http.client.HTTPException as error:
        raise FetchError("protocol", _protocol(error), connection.certificate_ends_ms) from error
    except TimeoutError as error:
        raise FetchError("timeout", "no answer in time", connection.certificate_ends_ms) from error
    except OSError as error:
        text = f"the connection broke: {error.strerror or error}"
        raise FetchError("protocol", text, connection.certificate_ends_ms) from error
    except (ValueError, UnicodeError) as error:  # of what we were to send
        raise FetchError("url", f"cannot be asked: {error}", connection.certificate_ends_ms) from error
    finally:
        connection.close()


def _ask(request: Request, url: SplitResult, connection: Connection, phases: dict[str, float]) -> Response:
    client = http.client.HTTPConnection(url.hostname or "", url.port)
    client.auto_open = 0
    client.sock = connection.stream
    connection.allow(MAX_HEAD_BYTES)
    with timed(phases, "processing"):
        _send(client, request, url)
        answer = client.getresponse()
    connection.allow(None)
    with answer, timed(phases, "transfer"):
        body, truncated = _read(answer, request.max_bytes)
    return Response(
        status=answer.status,
        headers=MappingProxyType({name.lower(): value for name, value in reversed(answer.getheaders())}),
        body=body,
        truncated=truncated,
        phases=MappingProxyType(phases),
        certificate_ends_ms=connection.certificate_ends_ms,
        url=request.url,
        address=connection.address.ip,
    )


def _send(client: http.client.HTTPConnection, request: Request, url: SplitResult) -> None:
    path = quote(url.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(url.query, safe='/%:@!$&()*+,;=?~-._')}" if url.query else ""
    )
    own = {name.lower() for name in request.headers}
    client.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
    defaults = {
        "Host": _host_header(url),
        "User-Agent": "Wakeless",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # what grows when it is unpacked is not asked for
        "Connection": "close",
    }
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        defaults["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if request.body is not None or request.method in ("POST", "PUT"):
        defaults["Content-Length"] = str(len(request.body or b""))
    for name, value in defaults.items():
        if name.lower() not in own:
            client.putheader(name, value)
    for name, value in request.headers.items():
        if name.lower() not in ("content-length", "transfer-encoding", "connection"):
            client.putheader(name, value.encode())
    client.endheaders(request.body)


def _read(answer: http.client.HTTPResponse, limit: int) -> tuple[bytes, bool]:
    """As much of the body as is wanted, and whether there is more. A body that is cut off is an error."""
    parts: list[bytes] = []
    room = limit + 1
    while room > 0 and (part := answer.read(min(_CHUNK, room))):
        parts.append(part)
        room -= len(part)
    if room > 0 and answer.length:  # what Content-Length promised
        raise FetchError("protocol", "ended its answer before it was whole")
    body = b"".join(parts)
    return body[:limit], len(body) > limit


def _target(request: Request, response: Response) -> str | None:
    """Where an answer redirects to, if it does and is to be followed."""
    if response.status not in _REDIRECTS or not request.redirects:
        return None
    location = response.headers.get("location")
    if not location:
        return None
    try:
        return urldefrag(urljoin(request.url, location)).url
    except ValueError as error:
        raise FetchError("redirect", "redirects to what is no URL") from error


def _follow(request: Request, status: int, target: str) -> Request:
    """The request that a redirect asks for."""
    before, after = _split(request.url), _split(target)
    if (before.scheme, after.scheme) == ("https", "http"):
        raise FetchError("redirect", "redirects from https to http")
    method, body = request.method, request.body
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
    headers = request.headers
    if _origin(before) != _origin(after):
        if body:
            raise FetchError("redirect", f"redirects a {method} to another host, which is not sent its body")
        headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
    elif before.username is not None and after.username is None:
        userinfo = before.netloc.rpartition("@")[0]
        target = after._replace(netloc=f"{userinfo}@{after.netloc}").geturl()
    return replace(request, url=target, method=method, body=body, headers=headers)


def _origin(url: SplitResult) -> tuple[str, str | None, int]:
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _split(text: str) -> SplitResult:
    """The parts of a URL whose host can be resolved. Raises :class:`FetchError` where it is none."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
        if url.scheme not in ("http", "https"):
            raise FetchError("url", f"leads to {url.scheme or 'no'}:, which is not http or https")
        if not host:
            raise FetchError("url", "names no host")
        if not host.isascii():
            name = host.encode("idna").decode()
            url = url._replace(netloc=url.netloc.replace(host, name))
    except (ValueError, UnicodeError) as error:
        raise FetchError("url", f"is no URL: {error}") from error
    return url


def _host_header(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]


def _protocol(error: http.client.HTTPException) -> str:
    """What an error of http.client means, without what the server sent."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "ended the connection without an answer"
    if isinstance(error, http.client.LineTooLong):
        return "sends a header line of more than 64 KiB"
    if isinstance(error, http.client.IncompleteRead):
        return "ended its answer before it was whole"
    if isinstance(error, http.client.InvalidURL):
        return "cannot be asked: its URL holds control characters"
    if "headers" in str(error):
        return "sends more than 100 headers"
    return "does not answer in HTTP"
