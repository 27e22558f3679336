"""Recognises the plainest of HTTP requests: a small one, whole, of which nothing can be read in two ways.

This is no HTTP parser. Whatever is not exactly of the form that follows is nothing here, and gunicorn's parser has it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

#: Of the head, and of head and body together.
HEAD_BYTES = 4096
WHOLE_BYTES = 256 * 1024

_LINE = re.compile(rb"(POST) (/[A-Za-z0-9/._-]{0,200}) HTTP/1\.1")
_FIELD = re.compile(rb"([A-Za-z0-9-]{1,64}): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,7}")
#: Fields that change how a message is read, or what the connection is.
_FRAMING = ("transfer-encoding", "upgrade", "expect", "te", "trailer")


class PlainRequest(NamedTuple):
    """A whole request. The names of ``headers`` are in lower case, and each is there once."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    #: The client's address, as the socket has it.
    peer: Any


def read_plain(data: bytes, peer: Any) -> PlainRequest | None:
    """The one request that ``data`` holds from its first to its last byte; ``None`` if it is anything else."""
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        return None
    headers: dict[str, str] = {}
    for text in lines:
        field = _FIELD.fullmatch(text)
        if field is None:
            return None
        headers[field[1].decode("ascii").lower()] = field[2].decode("ascii")
    if len(headers) != len(lines) or any(name in headers for name in _FRAMING):
        return None
    length = headers.get("content-length", "")
    if not _LENGTH.fullmatch(length) or int(length) != len(data) - end - 4:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    return PlainRequest(line[1].decode("ascii"), line[2].decode("ascii"), headers, data[end + 4 :], peer)
