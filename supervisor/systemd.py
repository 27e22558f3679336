"""Tells systemd how the service is: ready, what it does, stopping, and that the watchdog need not bark.

The protocol is in sd_notify(3) and systemd.service(5): lines of ``NAME=value`` in one datagram to the socket that
``NOTIFY_SOCKET`` names; a leading ``@`` stands for the zero byte of an abstract name. gunicorn brings the same in a few
lines, but on a socket that blocks while systemd does not read.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress


class Systemd:
    """Does nothing where there is no systemd. Takes its variables out of the environment: they are no child's."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._period = _watchdog_seconds(environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", ""))
        self._status = ""
        self._ready = False
        self._patted = 0.0

    def ready(self) -> None:
        """The service answers for the first time."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + " ".join(text.split())[:200])

    def stopping(self) -> None:
        """An orderly stop has begun."""
        self._send("STOPPING=1")

    def pat(self, now: float) -> None:
        """Keep the watchdog quiet, three times as often as it asks for; ``now`` in monotonic seconds."""
        if self._period and now - self._patted >= self._period / 3:
            self._patted = now
            self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), self._address)


def _watchdog_seconds(microseconds: str, pid: str) -> float:
    """How long systemd waits for a pat; 0 when it does not, or waits for another process."""
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(microseconds) / 1e6
