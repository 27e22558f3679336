"""Asks the server ``GET /health/live`` from outside, one question at a time, and never waits for the answer."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

#: Seconds until a question counts as unanswered. Longer than a busy server takes: slow is not dead.
PATIENCE_SECONDS = 10.0
_MOST_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer: whether the server says that it lives, and if not, what it said or did instead."""

    live: bool
    why: str = ""


class Probe:
    """``address`` is what the listening socket is bound to."""

    def __init__(self, address: Any) -> None:
        self._address = _reachable(address)
        self._family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        self._socket: socket.socket | None = None
        self._asked = 0.0
        self._unsent = b""
        self._received = b""

    @property
    def asking(self) -> bool:
        """Whether a question is on its way."""
        return self._socket is not None

    def fileno(self) -> int:
        """What becomes readable when the answer comes; -1 while nothing is asked."""
        return -1 if self._socket is None else self._socket.fileno()

    def ask(self, now: float) -> None:
        """Begin a question; :meth:`hear` brings the answer."""
        self.drop()
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        self._socket = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._asked, self._received = now, b""
        lines = ("GET /health/live HTTP/1.1", f"Host: {host}:{self._address[1]}", "User-Agent: wakeless-supervisor")
        self._unsent = "\r\n".join((*lines, "Connection: close", "", "")).encode()
        self._socket.connect_ex(self._address)
        self._send()

    def hear(self, now: float) -> Finding | None:
        """The answer, once it is there or overdue."""
        if self._socket is None:
            return None
        if now - self._asked > PATIENCE_SECONDS:
            self.drop()
            return Finding(False, f"no answer within {PATIENCE_SECONDS:.0f} s")
        try:
            self._send()
            while data := self._socket.recv(4096):
                self._received += data
                if len(self._received) > _MOST_BYTES:
                    break
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            self.drop()
            return Finding(False, f"no connection: {error.strerror or error}")
        self.drop()
        return _judge(self._received)

    def drop(self) -> None:
        """Forget the question."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self) -> None:
        if self._socket is not None and self._unsent:
            with suppress(BlockingIOError, InterruptedError):
                self._unsent = self._unsent[self._socket.send(self._unsent) :]


def _reachable(address: Any) -> tuple[str, int]:
    """Where a socket that is bound to ``address`` is reached from this machine."""
    host, port = str(address[0]), int(address[1])
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - the address as it was given


def _judge(answer: bytes) -> Finding:
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return Finding(False, "the connection ended without an answer")
    if words[1] == b"200":
        return Finding(True)
    with suppress(ValueError, AttributeError):
        reason = json.loads(body).get("reason")
        if isinstance(reason, str):
            return Finding(False, reason[:200])
    return Finding(False, f"/health/live answers {words[1].decode(errors='replace')[:3]}")
