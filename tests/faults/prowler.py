"""Attacks on pages and APIs: every door with parameters that nobody means well with, and the websocket."""

from __future__ import annotations

import random
import re
from urllib.parse import quote

from hypothesis import strategies as st

from tests.dashboard.test_access import DOORS
from tests.faults.attack import Attack
from tests.faults.vocabulary import NAMES, QUERIES, post, request, seeds, values


@st.composite
def asked(draw: st.DrawFn) -> Attack:
    """Every door with parameters that nobody means well with."""
    door = draw(st.sampled_from(sorted(DOORS)))
    path = re.sub(r"<[^>]+>", lambda _: quote(draw(values).encode("utf-8", "replace"), safe="%/.") or "x", door)
    pairs = draw(st.lists(st.tuples(st.sampled_from(NAMES), values | st.sampled_from(QUERIES)), max_size=5))
    query = "&".join(
        f"{quote(name)}={quote(value.encode('utf-8', 'surrogatepass'), safe='%')}" for name, value in pairs
    )[:8000]
    if draw(st.booleans()) or door in ("/live",):
        return Attack("query", (request(f"GET {path}?{query} HTTP/1.1", length=None),))
    body = query.encode()
    return post("form post", path, body, ("Content-Type", "application/x-www-form-urlencoded"))


def _upgraded(seed: int) -> Attack:
    """Websockets with a handshake, or frames, that are none; or gone at once."""
    dice = random.Random(seed)
    shake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    if dice.random() < 0.4:
        shake[dice.choice(tuple(shake))] = dice.choice(("", "x", "\xe9", "13, 14", "h2c", "keep-alive, Upgrade"))
    if dice.random() < 0.2:
        shake[dice.choice(("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Host", "Origin"))] = dice.choice(
            ("\xe9", "", ",", "x" * 70, "permessage-deflate; a=b")
        )
    head = "".join(f"{name}: {value}\r\n" for name, value in shake.items())
    host = "" if "Host" in shake else "Host: 127.0.0.1\r\n"
    page, step = dice.choice(("overview", "x", "%ff")), dice.choice(("1000", "-1", "x"))
    said = f"GET /live?page={page}&step={step} HTTP/1.1\r\n{host}{head}\r\n".encode("latin-1")
    frame = dice.choice(
        (
            b"",
            b"\x81\xfe\xff\xff",
            b"\x88\x80\0\0\0\0",
            b"\xff" * 50,
            b"\x81\x05hello",
            b"\x81\xff" + b"\xff" * 8,
            b"\x89\x84abcd" + bytes(4),
            dice.randbytes(200),
            b"\x01\x80abcd" * 90,
        )
    )
    return Attack("websocket", (said, frame), dice.choice(("leave", "reset", "glance")), dice.choice((0.0, 0.02)))


upgraded = st.builds(_upgraded, seeds)
