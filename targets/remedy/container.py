"""Restarts a container through Docker's own API, over its socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from targets.address import Address
from targets.connection import Connection, FetchError, remaining

#: Docker gives a container this long to end by itself; never more than half of the time there is.
GRACE_SECONDS = 10
_MAX_BYTES = 64 * 1024


class ContainerError(Exception):
    """The container was not restarted; the message says why."""

    permanent = True


def restart(name: str, socket_path: Path, timeout_seconds: float) -> str:
    """Restart a container; returns what came of it. Raises :class:`ContainerError`."""
    grace = max(0, min(GRACE_SECONDS, int(timeout_seconds / 2)))
    path = f"/containers/{quote(name, safe='')}/restart?t={grace}"
    try:
        status, body = _post(socket_path, path, time.monotonic() + timeout_seconds)
    except FileNotFoundError:
        raise ContainerError("Docker's socket is not there") from None
    except PermissionError:
        raise ContainerError("Docker's socket may not be used by this user") from None
    except TimeoutError:
        raise ContainerError(f"Docker did not answer within {timeout_seconds:g} s") from None
    except (OSError, http.client.HTTPException, FetchError) as error:
        raise ContainerError(f"Docker does not answer: {getattr(error, 'strerror', None) or error}") from None
    if status == 204:
        return "restarted"
    if status == 404:
        raise ContainerError(f"there is no container {name}")
    raise ContainerError(f"Docker answered {status}{_message(body)}")


def _post(path: Path, target: str, deadline: float) -> tuple[int, bytes]:
    """Status and body of what Docker answers, all of it within the time. Raises ``OSError``, ``HTTPException``."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection = Connection(sock, Address("", 0, socket.AF_UNIX), deadline, None)
    try:
        sock.settimeout(remaining(deadline))
        sock.connect(str(path))
        client = http.client.HTTPConnection("docker")
        client.auto_open = 0
        client.sock = connection.stream
        connection.allow(_MAX_BYTES)
        client.request("POST", target, headers={"Content-Length": "0", "Connection": "close"})
        with client.getresponse() as answer:
            return answer.status, answer.read(_MAX_BYTES)
    finally:
        connection.close()


def _message(body: bytes) -> str:
    """What Docker says about it."""
    with suppress(ValueError, TypeError, KeyError):
        return f": {str(json.loads(body)['message'])[:300]}"
    return ""
