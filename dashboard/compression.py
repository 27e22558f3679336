"""gzip for answers of some size, where the caller takes it and sits elsewhere: on one machine it only costs time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from flask import Response, request

from config import is_loopback
from dashboard.access import came_through_proxy

#: Shorter bodies fit into a packet or two as they are.
LEAST_BYTES = 2048
#: The fastest level: JSON of numbers shrinks to a third, at some 100 MB/s.
_LEVEL = 1
_GZIP = 31  # zlib's number for the format of gzip


def compress(response: Response) -> Response:
    """``response`` itself, its body compressed if that is worth while. For ``after_request``."""
    response.headers.add("Vary", "Accept-Encoding")
    if request.method == "HEAD" or not _is_wanted(response):
        return response
    if response.is_streamed:
        response.response = _compressed(response.iter_encoded())
        response.headers.pop("Content-Length", None)
    else:
        response.set_data(zlib.compress(response.get_data(), _LEVEL, _GZIP))
    response.headers["Content-Encoding"] = "gzip"
    return response


def _is_wanted(response: Response) -> bool:
    if response.status_code != 200 or "Content-Encoding" in response.headers:
        return False
    if not response.is_streamed and len(response.get_data()) < LEAST_BYTES:
        return False
    return request.accept_encodings.quality("gzip") > 0 and not _is_local()


def _is_local() -> bool:
    peer = request.remote_addr
    return peer is not None and is_loopback(peer) and not came_through_proxy()


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
