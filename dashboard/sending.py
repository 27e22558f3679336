"""Large answers on their way out: so many at once, and none to a caller who has stopped reading.

An answer of a million points holds 10 MB and a thread until the caller has read it, and a caller may take for ever.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

from flask import Response, request

from dashboard.envelope import ApiError

#: Points from which on an answer no longer fits into what the system keeps for a connection anyway.
LARGE_POINTS = 20_000
MOST_AT_ONCE = 8
#: How long a large answer waits for one of those before it to be read.
TURN_SECONDS = 10.0
#: A caller who takes nothing for so long is left.
SEND_SECONDS = 30

_PLACES = threading.BoundedSemaphore(MOST_AT_ONCE)


def reserve(points: int) -> Callable[[], None]:
    """Take a place for an answer of so many points; call what is returned when it has been sent.

    Raises :class:`ApiError` when there is none.
    """
    if points < LARGE_POINTS:
        return lambda: None
    if not _PLACES.acquire(timeout=TURN_SECONDS):
        raise ApiError("unavailable", "too many large answers are being sent; try again in a moment")
    return _PLACES.release


def leave_the_deaf(response: Response) -> Response:
    """Let the connection fail while it takes nothing for some time. For ``after_request``."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    return response
