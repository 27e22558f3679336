"""Attacks on HTTP itself: request lines, headers, framing, forms, and bodies that dribble."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.faults.attack import Attack, End
from tests.faults.picture import photographs
from tests.faults.vocabulary import HEADERS, METHODS, plain, post, request, seeds, values


@st.composite
def headed(draw: st.DrawFn) -> Attack:
    """Sound requests with headers that are not."""
    path = draw(
        st.sampled_from(("/health", "/predict", "/", "/api/model", "/v2/models/guest/infer", "/login", "/metrics"))
    )
    headers = tuple(
        (name, plain(draw(values))) for name in draw(st.lists(st.sampled_from(HEADERS), min_size=1, max_size=6))
    )
    if path == "/predict":
        line, body = "POST /predict HTTP/1.1", photographs()[0]
    else:
        line, body = f"{draw(st.sampled_from(METHODS))} {path} HTTP/1.1", b""
    return Attack("header", (request(line, body, headers, length="" if body else None),), "finish")


def _huge(seed: int) -> Attack:
    dice = random.Random(seed)
    lines = dice.choice((1, 50, 99, 101, 500))
    name, value = "X-" + "a" * dice.choice((1, 100, 9000)), "b" * dice.choice((0, 100, 8000, 9000, 70_000))
    head = f"{name}: {value}\r\n".encode() * lines
    wrong = dice.choice(
        (
            b"",
            b"",
            b" folded: x\r\n",
            b"no colon\r\n",
            b": x\r\n",
            b"a b: c\r\n",
            b"a:\0\r\n",
            b"\xff: \xff\r\n",
            b"a: b\n",
        )
    )
    return Attack(
        "huge header", (b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head[:400_000] + wrong + b"\r\n",), "finish"
    )


huge = st.builds(_huge, seeds)


def _line(seed: int) -> Attack:
    dice = random.Random(seed)
    path = dice.choice(
        (
            "/",
            "*",
            "//",
            "http://x/",
            "/%",
            "/" + "a" * 9000,
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "\xff",
            "/\0",
            "/?#",
            "/predict/../login",
            ":80",
            "",
        )
    )
    version = dice.choice(
        ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1", "", "RTSP/1.0")
    )
    host = dice.choice(("127.0.0.1", "127.0.0.1", "localhost", "x", "", "a b", "x" * 3000, "[::1", "\xe9"))
    said = dice.choice(
        (
            f"{dice.choice(METHODS)} {path} {version}\r\nHost: {host}\r\n\r\n".encode("latin-1"),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + dice.randbytes(500),
            b"SSH-2.0-x\r\n", b"\r\n" * dice.choice((1, 100, 20_000)), dice.randbytes(dice.choice((1, 20, 5000))), b"",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 30,
            b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: y\r\n\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /" + b"a" * 300_000,
        )
    )  # fmt: skip
    return Attack("line", (said,), dice.choice(("finish", "finish", "finish", "leave", "reset")))


lines = st.builds(_line, seeds)


def _framed(seed: int) -> Attack:
    """Lengths that do not fit, and chunks that are none."""
    dice = random.Random(seed)
    body = dice.choice((photographs()[0], b"{}", b"", bytes(100_000)))
    path = dice.choice(("/predict", "/v2/models/guest/infer", "/login", "/v2/repository/index", "/api/v1/query"))
    line = f"POST {path} HTTP/1.1"
    if dice.random() < 0.5:
        length = dice.choice(
            (
                "-1",
                "+5",
                "0x5",
                "5, 5",
                "5,6",
                "1e3",
                "9" * 30,
                "",
                " ",
                "５",
                str(len(body) + 1000),
                str(max(0, len(body) - 2)),
                "2147483648",
                "99999999999",
            )
        )
        more = dice.choice(((), (("Content-Length", "7"),), (("Transfer-Encoding", "chunked"),)))
        said = request(line, body, more, length=length or "\t")
    else:
        coding = dice.choice(
            (
                "chunked",
                "chunked, chunked",
                "gzip, chunked",
                "identity",
                "xchunked",
                "chunked;q=1",
                " chunked",
                "gzip",
                "CHUNKED",
            )
        )
        size = dice.choice(
            (
                f"{len(body):x}",
                "-1",
                "G",
                "f" * 17,
                "0x5",
                "5;" + "e" * 9000,
                "",
                "5 ;a=b",
                "7fffffff",
                "00000000000000005",
            )
        )
        end = dice.choice(
            (
                b"\r\n0\r\n\r\n",
                b"\r\n0\r\nX: y\r\n\r\n",
                b"\r\n0\r\n" + b"T: z\r\n" * 3000 + b"\r\n",
                b"",
                b"0\r\n\r\n",
                b"\r\n" + b"1\r\na\r\n" * 500,
                b"\r\n0\r\nbad\r\n\r\n",
            )
        )
        said = request(line, size.encode() + b"\r\n" + body + end, (("Transfer-Encoding", coding),), length=None)
    return Attack("framing", (said,), dice.choice(("finish", "finish", "finish", "leave", "reset")))


framed = st.builds(_framed, seeds)


def _form(seed: int) -> Attack:
    dice = random.Random(seed)
    mark = dice.choice(("x", "x" * 70, "x" * 5000, "--", "a b", "é", ""))
    parts = []
    for _ in range(dice.choice((0, 1, 1, 2, 5, 40))):
        name = dice.choice(("file", "image", "x" * 9000, "", 'a"b', "\xff"))
        head = dice.choice(
            (
                f'Content-Disposition: form-data; name="{name}"; filename="{dice.choice(("a.jpg", "../a", "💥", ""))}"',
                f'Content-Disposition: form-data; name="{name}"',
                "Content-Disposition: form-data",
                f"X: {'y' * dice.choice((1, 20_000, 300_000))}",
                "",
            )
        )
        data = dice.choice((b"", dice.choice(photographs()), dice.randbytes(300), f"\r\n--{mark}\r\n".encode() * 20))
        parts.append(f"--{mark}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    body = b"".join(parts) + dice.choice((f"--{mark}--\r\n", f"--{mark}", "", "--")).encode()
    return post("form", "/predict", body, ("Content-Type", f"multipart/form-data; boundary={mark}"))


forms = st.builds(_form, seeds)


def _slow(seed: int) -> Attack:
    """A body that dribbles and breaks off, or a caller that leaves while the model works for it."""
    dice = random.Random(seed)
    said = request("POST /predict HTTP/1.1", photographs()[0], (("Content-Type", "image/jpeg"),))
    stop = dice.choice((20, 60, len(said) // 2, len(said) - 1, len(said)))
    parts = tuple(said[start : start + stop // 4 + 1] for start in range(0, stop, stop // 4 + 1))
    ends: tuple[End, ...] = ("finish", "leave", "reset")
    return Attack("slow", parts, dice.choice(ends), pause_seconds=dice.choice((0.0, 0.01, 0.05)))


slow = st.builds(_slow, seeds)
