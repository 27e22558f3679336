"""One hostile input over a socket of its own, and what came of it."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

#: Longer than the server waits for a client that has fallen silent.
PATIENCE_SECONDS = 30.0
End = Literal["answer", "finish", "leave", "reset", "glance"]
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
#: More than any answer that matters here; event streams and exports may be longer.
_ENOUGH_BYTES = 4_000_000
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Attack:
    """What is sent, in parts with a pause between them, and how the client ends.

    ``answer`` reads until the server closes, ``finish`` closes its own half first, ``leave`` closes without reading,
    ``reset`` has the kernel reset the connection, ``glance`` reads once and leaves.
    """

    kind: str
    parts: tuple[bytes, ...]
    end: End = "answer"
    pause_seconds: float = 0.0

    def __repr__(self) -> str:
        """Short: hypothesis prints it with all its neighbours."""
        return f"{self.kind} ({self.end}): {b''.join(self.parts)[:60]!r}"

    def told(self) -> str:
        """What to try again."""
        said = b"".join(self.parts)
        return f"{self.kind} ({self.end}, {len(said)} bytes): {said[:1500]!r}"


@dataclass
class Outcomes:
    """What came of many. ``bad`` are the attacks that the server did not stand up to, and how."""

    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[str, Attack]] = field(default_factory=list)
    distinct: set[int] = field(default_factory=set)
    slowest: tuple[float, str] = (0.0, "")

    def complaint(self) -> str:
        """The first of what is bad, in full."""
        return "\n".join([f"{len(self.bad)} bad:", *(f"{how} <- {attack.told()}" for how, attack in self.bad[:8])])

    @property
    def count(self) -> int:
        """How many different ones there were; hypothesis likes to try a thing twice."""
        return len(self.distinct)

    def launch(self, port: int, attacks: Sequence[Attack]) -> None:
        """All at once, each on a thread of its own."""
        with ThreadPoolExecutor(len(attacks)) as pool:
            for attack, (said, seconds) in zip(attacks, pool.map(lambda one: _send(port, one), attacks), strict=True):
                self._note(attack, said, seconds)

    def _note(self, attack: Attack, said: bytes | None, seconds: float) -> None:
        self.kinds[attack.kind] += 1
        self.distinct.add(hash((attack.parts, attack.end)))
        self.slowest = max(self.slowest, (seconds, repr(attack)))
        if said is None:
            self.bad.append((f"no end within {PATIENCE_SECONDS:g} s", attack))
            return
        for status in map(int, _STATUS.findall(said)):
            self.statuses[status] += 1
            if status >= 500:
                self.bad.append((f"{status}: {said[-300:]!r}", attack))


def _send(port: int, attack: Attack) -> tuple[bytes | None, float]:
    """What the server said (``None``: it never came to an end), and how long that took."""
    began = time.monotonic()
    said = b""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as client:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have been refused by now: what was said?
                for part in attack.parts:
                    client.sendall(part)
                    time.sleep(attack.pause_seconds)
            if attack.end == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            elif attack.end != "leave":
                said = _read(client, attack)
    except TimeoutError:
        return None, time.monotonic() - began
    except ConnectionResetError:
        pass  # the server owes nobody an end in order
    return said, time.monotonic() - began


def _read(client: socket.socket, attack: Attack) -> bytes:
    if attack.end == "finish":
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
    said = bytearray()
    with suppress(ConnectionResetError):
        while len(said) < _ENOUGH_BYTES and (part := client.recv(65_536)):
            said += part
            if attack.end == "glance":
                break
    return bytes(said)
