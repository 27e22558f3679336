"""Whatever a server does, a request ends in time, takes no more than it may, and tells no secrets to strangers."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from targets import connection
from targets.address import Address
from targets.connection import FetchError
from targets.fetch import Request, Response, fetch
from tests.targets.probe.certificate import certify
from tests.targets.probe.played import Answer, dripping, http, played

#: Far from the deadline of the request, near enough to notice one that does not hold.
SOON = 5.0


def _get(port: int, path: str = "/", **more: object) -> Response:
    return fetch(Request(f"http://127.0.0.1:{port}{path}", timeout_seconds=0.5, **more))  # type: ignore[arg-type]


def _fail(port: int, path: str = "/", **more: object) -> FetchError:
    began = time.monotonic()
    with pytest.raises(FetchError) as raised:
        _get(port, path, **more)
    assert time.monotonic() - began < SOON
    return raised.value


def test_an_answer_is_told_with_where_the_time_went() -> None:
    with played(http("200 OK", b"hello", "X-Test: a", "x-test: b")) as server:
        response = _get(server.port, "/a b?q=1&r=%20")
    assert (response.status, response.body, response.truncated) == (200, b"hello", False)
    assert response.headers["x-test"] == "a"
    assert response.address == "127.0.0.1"
    assert {name for name, seconds in response.phases.items() if seconds} == {
        "resolve",
        "connect",
        "processing",
        "transfer",
    }
    assert response.certificate_ends_ms is None
    head = server.asked[0].decode().split("\r\n")
    assert head[0] == "GET /a%20b?q=1&r=%20 HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in head
    assert "Accept-Encoding: identity" in head


ENDLESS: dict[str, tuple[Answer | bytes, str, str]] = {
    "says nothing": (lambda sock, _: void(sock.recv(1)), "timeout", "waiting for the answer"),
    "drips its headers": (dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "timeout", "waiting for the answer"),
    "drips one header": (dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"), "timeout", "waiting for the answer"),
    "drips its body": (dripping(http("200 OK", b"")[:-2] + b"X: y\r\n\r\n", b"a"), "", ""),
    "drips a body of known length": (
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"a"),
        "timeout",
        "receiving the answer",
    ),
    "drips chunks": (
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        "timeout",
        "receiving the answer",
    ),
    "drips a chunk's size": (
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        "timeout",
        "receiving the answer",
    ),
    "says continue for ever": (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "timeout", "waiting"),
    "floods with continue": (dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0), "too_large", "without end"),
    "sends headers without end": (dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000, 0), "protocol", "100 headers"),
    "sends a header of 10 MB": (b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 10_000_000, "protocol", "64 KiB"),
    "sends a hundred large headers": (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"b" * 60_000) for n in range(90)) + b"\r\n",
        "too_large",
        "without end",
    ),
    "hangs up": (b"", "protocol", "without an answer"),
    "speaks something else": (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", "not answer in HTTP"),
    "sends half": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "protocol", "before it was whole"),
    "sends half a chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
        "protocol",
        "before it was whole",
    ),
    "sends binary": (bytes(range(256)) * 400, "protocol", ""),
}


def void(_: object) -> None:
    """Forget a result."""


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_misbehaves_is_given_up_in_time(what: str) -> None:
    answer, kind, words = ENDLESS[what]
    with played(answer) as server:
        if not kind:  # its length is 0: what comes after it is not read
            assert _get(server.port).body == b""
            return
        error = _fail(server.port)
    assert error.kind == kind
    assert words in str(error)


def test_of_a_body_without_end_only_so_much_is_read() -> None:
    with played(dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 65536, 0)) as server:
        response = _get(server.port, max_bytes=100_000)
    assert (len(response.body), response.truncated) == (100_000, True)


def test_of_a_gigabyte_only_so_much_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    with played(dripping(head, b"a" * 65536, 0)) as server:
        response = _get(server.port, max_bytes=1000)
    assert (len(response.body), response.truncated) == (1000, True)


def test_a_body_of_just_the_limit_is_whole() -> None:
    with played(http("200 OK", b"a" * 1000)) as server:
        response = _get(server.port, max_bytes=1000)
    assert (len(response.body), response.truncated) == (1000, False)


def test_what_nobody_listens_on_refuses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert _fail(unused.getsockname()[1]).kind == "refused"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://example.org/", "url"),
        ("http:///path", "url"),
        ("http://[::1/", "url"),
        ("http://example.org:99999/", "url"),
        ("http://\x00/", "dns"),
        ("http://169.254.169.254/latest/meta-data/", "forbidden_address"),
        ("http://[fd00:ec2::254]/", "forbidden_address"),
        ("http://0:80/", "forbidden_address"),
    ],
)
def test_a_url_that_cannot_or_may_not_be_asked_says_so(url: str, kind: str) -> None:
    with pytest.raises(FetchError) as raised:
        fetch(Request(url, timeout_seconds=2.0))
    assert raised.value.kind == kind


def test_a_header_that_would_be_two_is_not_sent() -> None:
    with played(http("200 OK")) as server:
        assert _fail(server.port, headers={"X-A": "b\r\nX-Evil: c"}).kind == "url"
    assert server.asked == []


def test_ipv6_is_spoken_too() -> None:
    with played(http("200 OK", b"six"), family=socket.AF_INET6) as server:
        response = fetch(Request(f"http://[::1]:{server.port}/", timeout_seconds=2.0))
    assert (response.body, response.address) == (b"six", "::1")
    assert f"Host: [::1]:{server.port}".encode() in server.asked[0]


def test_the_next_address_is_asked_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_host: str, port: int, _timeout: float) -> list[Address]:
        return [Address("::1", port, socket.AF_INET6), Address("127.0.0.1", port, socket.AF_INET)]

    monkeypatch.setattr(connection, "resolve", both)
    with played(http("200 OK")) as server:
        assert fetch(Request(f"http://both.example:{server.port}/")).address == "127.0.0.1"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with played(http("200 OK")) as server:
        assert _get(server.port).status == 200


def test_a_body_is_sent_and_a_user_of_the_url_is_one_of_basic_authentication() -> None:
    with played(http("200 OK")) as server:
        fetch(Request(f"http://me:p%40ss@127.0.0.1:{server.port}/", "POST", body=b"abc"))
    asked = server.asked[0]
    assert b"Authorization: Basic bWU6cEBzcw==" in asked
    assert b"Content-Length: 3" in asked
    assert b"me:p" not in asked


# --- redirects ----------------------------------------------------------------------------------------------------


def _to(location: str, status: str = "302 Found") -> bytes:
    return http(status, b"", f"Location: {location}")


def test_redirects_are_followed_within_a_site() -> None:
    def answer(sock: socket.socket, asked: bytes) -> None:
        sock.sendall(http("200 OK", b"there") if asked.startswith(b"GET /there ") else _to("/there#part"))

    with played(answer) as server:
        response = _get(server.port, headers={"Authorization": "Bearer mine"})
    assert response.body == b"there"
    assert response.url.endswith("/there")
    assert all(b"Bearer mine" in asked for asked in server.asked)


def test_a_redirect_loop_ends() -> None:
    with played(_to("/")) as server:
        error = _fail(server.port)
    assert (error.kind, str(error)) == ("redirect", "redirects in a circle")
    assert len(server.asked) == 1


def test_redirects_to_ever_new_places_end() -> None:
    count = iter(range(1000))
    with played(lambda sock, _: sock.sendall(_to(f"/{next(count)}"))) as server:
        error = _fail(server.port, redirects=3)
    assert (error.kind, str(error)) == ("redirect", "redirects more than 3 times")
    assert len(server.asked) == 4


def test_redirects_share_one_deadline() -> None:
    count = iter(range(1000))

    def answer(sock: socket.socket, _asked: bytes) -> None:
        time.sleep(0.1)
        sock.sendall(_to(f"/{next(count)}"))

    with played(answer) as server:
        assert _fail(server.port, redirects=20).kind == "timeout"
    assert len(server.asked) <= 6


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/latest/", "forbidden_address"),
        ("http://[::ffff:169.254.169.254]/", "forbidden_address"),
        ("file:///etc/passwd", "url"),
        ("http://[", "redirect"),
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_not_followed(location: str, kind: str) -> None:
    with played(_to(location)) as server:
        assert _fail(server.port).kind == kind


def test_a_redirect_is_the_answer_where_none_is_to_be_followed() -> None:
    with played(_to("/elsewhere")) as server:
        assert _get(server.port, redirects=0).status == 302


def test_secrets_stay_with_the_host_that_they_are_for() -> None:
    with played(http("200 OK", b"other")) as other, played(_to(f"http://127.0.0.1:{other.port}/")) as server:
        url = f"http://user:word@127.0.0.1:{server.port}/"
        headers = {"X-Api-Key": "secret", "Cookie": "a=b", "Accept": "text/plain"}
        assert fetch(Request(url, headers=headers)).body == b"other"
    (asked,) = other.asked
    assert b"Accept: text/plain" in asked
    assert not any(word in asked for word in (b"secret", b"Cookie", b"Authorization"))
    assert b"Authorization" in server.asked[0]


def test_a_post_becomes_a_get_or_keeps_its_body_but_not_for_another_host() -> None:
    def answer(status: str) -> Answer:
        def one(sock: socket.socket, asked: bytes) -> None:
            sock.sendall(http("200 OK", asked[:4]) if b" /there " in asked else _to("/there", status))

        return one

    for status, method in (("303 See Other", b"GET "), ("302 Found", b"GET "), ("307 Temporary Redirect", b"POST")):
        with played(answer(status)) as server:
            assert _get(server.port, method="POST", body=b"secret").body == method
    with played(http("200 OK")) as other, played(_to(f"http://127.0.0.1:{other.port}/", "307 T")) as server:
        assert _fail(server.port, method="POST", body=b"secret").kind == "redirect"
        assert other.asked == []


# --- TLS ----------------------------------------------------------------------------------------------------------


def _context_that_trusts(monkeypatch: pytest.MonkeyPatch, pem: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(pem))
    known = connection._context
    monkeypatch.setattr(connection, "_context", lambda verify: trusting if verify else known(False))


def test_a_certificate_that_is_valid_is_told_with_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ends = (datetime.now(UTC) + timedelta(days=5)).replace(microsecond=0)
    pem, context = certify(tmp_path, ends)
    _context_that_trusts(monkeypatch, pem)
    with played(http("200 OK", b"safe"), context=context) as server:
        response = fetch(Request(f"https://localhost:{server.port}/"))
        other = fetch(Request(f"https://127.0.0.1:{server.port}/"))
    assert (response.body, other.body) == (b"safe", b"safe")
    assert response.certificate_ends_ms == round(ends.timestamp() * 1000)
    assert response.phases["tls"] > 1e-6


@pytest.mark.parametrize("days", [5, -5])
def test_of_one_that_is_not_valid_the_end_is_told_as_well(tmp_path: Path, days: int) -> None:
    ends = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    _, context = certify(tmp_path, ends)
    with played(http("200 OK", b"safe"), context=context) as server:
        with pytest.raises(FetchError, match="the certificate is not valid: ") as raised:
            fetch(Request(f"https://localhost:{server.port}/"))
        lenient = fetch(Request(f"https://localhost:{server.port}/", verify=False))
    assert raised.value.kind == "tls"
    assert raised.value.certificate_ends_ms == lenient.certificate_ends_ms == round(ends.timestamp() * 1000)
    assert lenient.body == b"safe"


def test_no_redirect_leads_from_https_to_http(tmp_path: Path) -> None:
    _, context = certify(tmp_path, datetime.now(UTC) + timedelta(days=5))
    with played(http("200 OK")) as plain, played(_to(f"http://127.0.0.1:{plain.port}/"), context=context) as server:
        with pytest.raises(FetchError, match="from https to http"):
            fetch(Request(f"https://127.0.0.1:{server.port}/", verify=False))
        assert plain.asked == []


def test_a_server_without_tls_and_one_that_hangs_in_the_handshake_say_so() -> None:
    with played(http("400 Bad Request")) as server, pytest.raises(FetchError) as raised:
        fetch(Request(f"https://127.0.0.1:{server.port}/", timeout_seconds=0.5))
    assert raised.value.kind in ("tls", "timeout")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(FetchError, match="TLS handshake") as raised:
            fetch(Request(f"https://127.0.0.1:{silent.getsockname()[1]}/", timeout_seconds=0.3))
    assert raised.value.kind == "timeout"
