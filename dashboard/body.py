"""Reading an upload without letting it grow: never past its limit, never to disk, and all together within a budget."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock
from typing import IO, Any

from flask import Request
from gunicorn.http.errors import ParseException
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from dashboard.problem import Problem, retry_after

#: What the envelope of a multipart body may add to the file in it.
ENVELOPE_BYTES = 64 * 1024
#: Parts of a multipart body, and bytes of its text fields: one file is wanted, nothing else. The parser applies the
#: second to what it holds back between two chunks as well, so it must be larger than those.
MAX_PARTS = 16
MAX_FIELD_BYTES = 4 * 64 * 1024
#: Names under which the file is looked for first.
FIELDS = ("file", "image")

_CHUNK = 64 * 1024
#: What zlib calls the two formats; ``deflate`` means zlib's own in HTTP.
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class UploadBudget:
    """Bytes of request bodies that this process may hold at once. Thread-safe."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._held = 0
        self._lock = Lock()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @contextmanager
    def reading(self) -> Iterator[Share]:
        """A share that grows with what is read, and is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.move(-share.bytes)

    def move(self, count: int) -> bool:
        """Take ``count`` bytes (give them back if negative); False if there are not as many left."""
        with self._lock:
            if count > 0 and self._held + count > self._max:
                return False
            self._held += count
            return True


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self.bytes = 0

    def take(self, count: int) -> None:
        """Account for ``count`` more bytes. Raises :class:`Problem` 429 when everything is taken."""
        if not self._budget.move(count):
            raise Problem(
                429,
                "uploads-full",
                "Too many large uploads are being read at once. Try again shortly.",
                headers=retry_after(1),
            )
        self.bytes += count


class _Metered:
    """A stream that accounts for what is read from it."""

    def __init__(self, stream: IO[bytes], share: Share) -> None:
        self._stream = stream
        self._share = share

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(_CHUNK if size < 0 else size)
        self._share.take(len(data))
        return data


def read_upload(request: Request, share: Share, max_bytes: int) -> tuple[bytes, str]:
    """Return the input's bytes and its content type, from a multipart file or the raw body.

    Raises :class:`Problem`: 400 (empty, malformed, no file in the form), 413 (larger than ``max_bytes``), 429.
    """
    multipart = request.mimetype == "multipart/form-data"
    with _arriving(request, share, max_bytes, ENVELOPE_BYTES if multipart else 0) as stream:
        body, content_type = _from_form(request, stream) if multipart else _from_stream(request, stream)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not body:
        raise Problem(400, "bad-request", "The body is empty; send one input, as the raw body or as a multipart file.")
    return body, content_type


def read_packed(request: Request, share: Share, max_bytes: int) -> bytes:
    """Return the raw body, unpacked if it is compressed. ``max_bytes`` holds for it before and after.

    Raises :class:`Problem`: 400 (malformed), 413 (larger than ``max_bytes``), 415 (packed in another way), 429.
    """
    body = read_raw(request, share, max_bytes)
    packing = request.headers.get("Content-Encoding", "identity").strip().lower()
    if packing == "identity":
        return body
    if packing not in _WINDOW_BITS:
        raise Problem(415, "unsupported-media-type", "A body is compressed with gzip or deflate, once, or not at all.")
    return _unpack(body, _WINDOW_BITS[packing], share, max_bytes)


def read_raw(request: Request, share: Share, max_bytes: int) -> bytes:
    """Return the body as it is, whatever its Content-Encoding. Raises :class:`Problem`: 400, 413, 429."""
    with _arriving(request, share, max_bytes, 0) as stream:
        body, _ = _from_stream(request, stream)
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body


def _unpack(body: bytes, window_bits: int, share: Share, max_bytes: int) -> bytes:
    """Unpack in steps, so that a few bytes which would become gigabytes are found out at ``max_bytes``."""
    unpacker, found = zlib.decompressobj(window_bits), bytearray()
    try:
        for start in range(0, len(body), _CHUNK):
            packed = body[start : start + _CHUNK]
            while packed:
                step = unpacker.decompress(packed, _CHUNK)
                packed = unpacker.unconsumed_tail
                share.take(len(step))
                found += step
                if len(found) > max_bytes:
                    raise _too_large(max_bytes)
            if unpacker.unused_data:
                raise Problem(400, "bad-request", "The compressed body goes on after its end.")
    except zlib.error as error:
        raise Problem(400, "bad-request", "The body is not compressed as its Content-Encoding says.") from error
    if not unpacker.eof:
        raise Problem(400, "bad-request", "The compressed body ends too early.")
    return bytes(found)


@contextmanager
def _arriving(request: Request, share: Share, max_bytes: int, envelope_bytes: int) -> Iterator[_Metered]:
    """The body as it arrives, never more of it than allowed; what goes wrong with that becomes a :class:`Problem`."""
    allowed = max_bytes + envelope_bytes
    if (request.content_length or 0) > allowed:
        raise _too_large(max_bytes)
    # One more than allowed: the limited stream cannot tell a body that ends at its limit from one that goes on.
    request.max_content_length = allowed + 1
    try:
        yield _Metered(request.stream, share)
    except RequestEntityTooLarge as error:
        raise _too_large(max_bytes) from error
    except BlockingIOError as error:  # the limit on silence that the supervisor sets on every connection
        raise Problem(408, "request-timeout", "The body stopped arriving.", headers={"Connection": "close"}) from error
    except ParseException as error:
        raise Problem(400, "bad-request", "The chunked body is malformed.", headers={"Connection": "close"}) from error
    except ClientDisconnected as error:
        raise _cut_short() from error
    if share.bytes < (request.content_length or 0):
        raise _cut_short()


def _from_stream(request: Request, stream: _Metered) -> tuple[bytes, str]:
    body = bytearray()
    while chunk := stream.read(_CHUNK):
        body += chunk
    return bytes(body), request.content_type or "application/octet-stream"


def _from_form(request: Request, stream: Any) -> tuple[bytes, str]:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii():
        raise Problem(400, "bad-request", "The multipart body has no boundary in its Content-Type.")
    parser = MultiPartParser(_in_memory, max_form_memory_size=MAX_FIELD_BYTES, max_form_parts=MAX_PARTS)
    try:
        _, files = parser.parse(stream, boundary.encode("ascii"), request.content_length)
    except ValueError as error:
        raise Problem(400, "bad-request", "The multipart body is malformed or ends too early.") from error
    found = _choose({name: files.getlist(name) for name in files})
    return found.stream.read(), found.content_type or "application/octet-stream"


def _in_memory(*_: object, **__: object) -> IO[bytes]:
    """Where a part goes: never to a temporary file, which would fill a disk that nobody watches."""
    return BytesIO()


def _choose(files: dict[str, list[FileStorage]]) -> FileStorage:
    for name in FIELDS:
        if len(files.get(name, [])) == 1:
            return files[name][0]
    every = [file for group in files.values() for file in group]
    if len(every) == 1:
        return every[0]
    detail = "The form holds no file" if not every else f"The form holds {len(every)} files"
    raise Problem(400, "bad-request", f"{detail}; send one, in the field file.")


def _cut_short() -> Problem:
    return Problem(400, "bad-request", "The body ended before its Content-Length.")


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "too-large", f"The body is larger than the {max_bytes} bytes allowed.", max_bytes=max_bytes)
