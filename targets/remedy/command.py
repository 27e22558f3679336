"""Runs a program that the settings name: no shell, none of our secrets, an end to its time, bounded output."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

#: Bytes of its output that are kept: the last ones.
KEPT_BYTES = 4096
#: How long its group may take to end after it was asked to, and its output to end after it did.
TERM_SECONDS = 2.0
DRAIN_SECONDS = 0.5
_LOOK_SECONDS = 0.05
_CHUNK = 64 * 1024
#: Names of the environment that are ours alone: settings and their secrets, and what binds us to who started us.
_OURS = ("WAKELESS_", "GUNICORN_", "LISTEN_", "WATCHDOG_", "NOTIFY_SOCKET", "SERVER_SOFTWARE", "INVOCATION_ID")


class CommandError(Exception):
    """The program could not be started, did not end in time, or ended badly; the message says which."""

    permanent = True


class Ended(NamedTuple):
    """How a program ended. ``output`` is the end of what it wrote on both channels."""

    status: int
    output: str


def run(arguments: Sequence[str], timeout_seconds: float) -> Ended:
    """Run ``arguments`` in a process group of its own and wait for its end.

    After ``timeout_seconds`` the whole group is killed. What it has started in the background may live on, but has to
    send its output elsewhere. Raises :class:`CommandError` where it cannot be started, or did not end in time.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - a list, from the settings file alone
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(os.environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CommandError(f"{arguments[0]} cannot be started: {reason}") from error
    assert process.stdout is not None
    tail = _Tail(process.stdout)
    with process.stdout:
        try:
            status = _wait(process, tail, time.monotonic() + timeout_seconds)
        except BaseException:
            _kill(process)
            raise
        if status is None:
            _kill(process)
            tail.drain(0.0)
            raise CommandError(f"did not end within {timeout_seconds:g} s and was killed{_after(tail.text)}")
        tail.drain(DRAIN_SECONDS)
    return Ended(status, tail.text)


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """What a program is to inherit."""
    return {name: value for name, value in inherited.items() if not name.startswith(_OURS)}


def explain(ended: Ended) -> str:
    """How it ended, in a line for people."""
    if ended.status < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-ended.status).name}{_after(ended.output)}"
    return f"exit status {ended.status}{_after(ended.output)}"


def _after(output: str) -> str:
    return f": {output}" if output else ""


class _Tail:
    """The end of what comes through a pipe."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._fd = pipe.fileno()
        self._kept = b""
        self.ended = False
        os.set_blocking(self._fd, False)

    def read(self, seconds: float) -> None:
        """Take what comes next, within so many seconds."""
        if self.ended:
            time.sleep(seconds)
            return
        if not select.select([self._fd], [], [], seconds)[0]:
            return
        piece = os.read(self._fd, _CHUNK)
        self.ended = not piece
        self._kept = (self._kept + piece)[-KEPT_BYTES:]

    def drain(self, seconds: float) -> None:
        """Take what is still in it. A child of its own may hold it open for ever: it is not waited for."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            self.read(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                return

    @property
    def text(self) -> str:
        """Its lines in one, as far as they can be read."""
        text = self._kept.decode("utf-8", "replace")
        lines = ("".join(sign for sign in line if sign.isprintable()).strip() for line in text.splitlines())
        return " · ".join(line for line in lines if line)


def _wait(process: subprocess.Popen[bytes], tail: _Tail, deadline: float) -> int | None:
    """Its exit status; None if it has not ended by then."""
    while (status := process.poll()) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        tail.read(min(_LOOK_SECONDS, left))
    return status


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End all of its group: first politely, then not."""
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
