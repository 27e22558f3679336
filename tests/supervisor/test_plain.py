"""Only the plainest of requests is read here; a second reading of anything is impossible."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from supervisor.plain import PlainRequest, read_plain

PEER = ("127.0.0.1", 4711)
WHOLE = b"POST /predict HTTP/1.1\r\nHost: here:8000\r\nX-Priority: high\r\nContent-Length: 5\r\n\r\nhello"


def test_a_plain_request_is_read_whole() -> None:
    assert read_plain(WHOLE, PEER) == PlainRequest(
        "POST", "/predict", {"host": "here:8000", "x-priority": "high", "content-length": "5"}, b"hello", PEER
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"POST", b"GET"),
        (b"/predict", b"/predict?x=1"),
        (b"/predict", b"/pre%64ict"),
        (b"/predict", b"http://here/predict"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"POST /", b"POST  /"),
        (b"Content-Length: 5", b"Content-Length: 4"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5", b"Content-Length: 05"),
        (b"Content-Length: 5", b"Content-Length: +5"),
        (b"Content-Length: 5", b"Content-Length: 5, 5"),
        (b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 5\r\ncontent-length: 6"),
        (b"Content-Length: 5", b"Content-Length : 5"),
        (b"Content-Length: 5", b"X: y"),
        (b"X-Priority", b"Transfer-Encoding"),
        (b"X-Priority", b"Expect"),
        (b"X-Priority", b"Upgrade"),
        (b"X-Priority: high", b"Connection: close"),
        (b"X-Priority: high", b"Connection: keep-alive, upgrade"),
        (b"X-Priority: high", b"X-Priority: high\r\n folded"),
        (b"X-Priority: high", b"X_Priority: high"),
        (b"X-Priority: high", b"X-Priority:  high"),
        (b"X-Priority: high", b"X-Priority: high "),
        (b"X-Priority: high", b"X-Priority: hi\x00gh"),
        (b"X-Priority: high", b"X-Priority: h\xefgh"),
        (b"X-Priority: high", b"X-Priority:"),
        (b"X-Priority: high\r\n", b"X-Priority: high\n"),
        (b"X-Priority: high\r\n", b"\r\n"),
        (b"hello", b"hello!"),
        (b"hello", b"hell"),
        (b"hello", b"helloPOST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        (b"X-Priority: high", b"X-Priority: " + b"h" * 5000),
    ],
)
def test_whatever_is_out_of_the_ordinary_is_left_to_the_real_parser(old: bytes, new: bytes) -> None:
    assert WHOLE.count(old) == 1
    assert read_plain(WHOLE.replace(old, new), PEER) is None


@given(
    st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyzABC-", min_size=1, max_size=20).filter(lambda name: name.lower() != "host"),
        st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=30),
        max_size=6,
    ),
    st.binary(max_size=100),
)
def test_what_is_read_is_what_the_standard_library_reads(fields: dict[str, str], body: bytes) -> None:
    fields |= {"Host": "here", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    data = f"POST /predict HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
    found = read_plain(data, PEER)
    if found is not None:
        stream = io.BytesIO(data)
        stream.readline()
        expected = Headers(list(http.client.parse_headers(stream).items()))
        assert found.headers == {name.lower(): value for name, value in expected.items()}
        assert found.body == stream.read() == body


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_raise(data: bytes) -> None:
    read_plain(data, PEER)
    read_plain(WHOLE[:40] + data, PEER)
