"""Asks Docker for a container, where its socket is there."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path
from typing import Any

import orjson

from config_target import DockerProbe
from targets.address import Address
from targets.connection import Connection, FetchError
from targets.probe.outcome import Outcome

MAX_BYTES = 4 * 1024 * 1024


def look(settings: DockerProbe) -> Outcome:
    """Ask once."""
    began = time.monotonic()
    try:
        status, body = _get(settings.socket, f"/containers/{settings.container}/json", began + settings.timeout)
    except FileNotFoundError:
        return Outcome(None, "Docker's socket is not there")
    except PermissionError:
        return Outcome(None, "Docker's socket may not be used by this user")
    except TimeoutError:
        return Outcome(None, f"Docker gives no answer within {settings.timeout:g} s", time.monotonic() - began)
    except (OSError, http.client.HTTPException, FetchError):
        return Outcome(None, "Docker does not answer", time.monotonic() - began)
    seconds = time.monotonic() - began
    if status == http.HTTPStatus.NOT_FOUND:
        return Outcome(False, "there is no such container", seconds)
    try:
        state = orjson.loads(body)["State"]
        success, reason = judge(state)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Outcome(None, f"Docker answers {status}, which does not tell", seconds)
    return Outcome(success, reason, seconds, {"status": str(state.get("Status", ""))[:40]})


def judge(state: dict[str, Any]) -> tuple[bool, str]:
    """Whether a container is well, by its ``State``, and if not, why."""
    if state.get("Restarting"):
        return False, "it is being restarted"
    if state.get("Paused"):
        return False, "it is paused"
    if not state["Running"]:
        if state.get("OOMKilled"):
            return False, "it was killed for want of memory"
        return False, f"it has exited ({int(state.get('ExitCode') or 0)})"
    if (state.get("Health") or {}).get("Status") == "unhealthy":
        return False, "its own health check fails"
    return True, ""


def _get(path: Path, target: str, deadline: float) -> tuple[int, bytes]:
    """Ask over the socket. Raises ``OSError``, ``HTTPException``, :class:`FetchError`."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection = Connection(sock, Address("", 0, socket.AF_UNIX), deadline, None)
    try:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        sock.connect(str(path))
        client = http.client.HTTPConnection("docker")
        client.auto_open = 0
        client.sock = connection.stream
        connection.allow(MAX_BYTES)
        client.request("GET", target, headers={"Connection": "close"})
        with client.getresponse() as answer:
            return answer.status, answer.read(MAX_BYTES)
    finally:
        connection.close()
