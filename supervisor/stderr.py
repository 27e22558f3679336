"""The server process's stderr passes through the supervisor, which keeps the last lines: they say why it died."""

from __future__ import annotations

import fcntl
import os
import select
import sys
from collections import deque
from contextlib import suppress
from typing import TextIO

#: What the pipe may hold while the supervisor is busy; beyond it the server process waits.
PIPE_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
#: A descriptor that is writable takes so much without blocking (PIPE_BUF).
_WRITE_BYTES = 4096
#: Enough for a dump of a hundred threads.
_KEPT_BYTES = 256 * 1024


class StderrTap:
    """A pipe for one server process after the other. ``target`` is where everything goes on to."""

    def __init__(self, target: int = 2) -> None:
        self._target = target
        self._read, self._write = -1, -1
        self._kept: deque[bytes] = deque()
        self._size = 0
        #: In the server process: where the supervisor's own stderr goes, for words to a person that nobody should keep.
        self.terminal: TextIO = sys.stderr

    def open(self) -> None:
        """Before a fork: a fresh pipe, and nothing kept."""
        self.close()
        self._kept.clear()
        self._size = 0
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        with suppress(OSError):  # more than an unprivileged user may have
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def enter(self) -> None:
        """In the server process: its stderr, that of C libraries included, is the pipe from now on."""
        sys.stderr.flush()
        self.terminal = os.fdopen(os.dup(self._target), "w", encoding="utf-8", errors="backslashreplace")
        os.dup2(self._write, 2)
        os.close(self._read)
        os.close(self._write)

    def leave(self) -> None:
        """In the supervisor, after the fork: only the server process holds the writing end."""
        if self._write >= 0:
            os.close(self._write)
            self._write = -1

    def close(self) -> None:
        """Let go of the pipe."""
        self.leave()
        if self._read >= 0:
            os.close(self._read)
            self._read = -1

    def fileno(self) -> int:
        """The reading end, -1 while there is none."""
        return self._read

    def pump(self) -> None:
        """Pass on what has come. Never waits: what the terminal does not take now is kept here, but not shown."""
        while self._read >= 0:
            try:
                data = os.read(self._read, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:  # the last process that wrote here is gone
                self.close()
                return
            self._keep(data)
            self._pass_on(data)

    def lines(self) -> list[str]:
        """What was kept."""
        return b"".join(self._kept).decode(errors="replace").splitlines()

    def _keep(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        while len(self._kept) > 1 and self._size - len(self._kept[0]) >= _KEPT_BYTES:
            self._size -= len(self._kept.popleft())

    def _pass_on(self, data: bytes) -> None:
        with suppress(OSError):  # a terminal that was closed
            for start in range(0, len(data), _WRITE_BYTES):
                if not select.select([], [self._target], [], 0.05)[1]:
                    return
                os.write(self._target, data[start : start + _WRITE_BYTES])
