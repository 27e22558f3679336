"""Anything that goes over the network is done by a short-lived child: the supervisor stays small and never waits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

#: The program that does it, beside the package: it may import what the supervisor may not.
PROGRAM = Path(__file__).resolve().parents[1] / "errand.py"
_MOST_TEXT = 500


class Errand:
    """One child on its way. The order goes through a pipe, since anyone may read a command line."""

    def __init__(self, order: dict[str, Any], deadline: float) -> None:
        self._deadline = deadline
        self._child = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._child.stdin is not None
        # An order is smaller than a pipe's buffer, so this does not wait for the child to read.
        try:
            self._child.stdin.write(json.dumps(order).encode())
            self._child.stdin.close()
        except OSError:
            self._child.kill()

    def result(self, now: float) -> str | None:
        """Why it failed, empty when it did not; ``None`` while it is under way. It is ended at its deadline."""
        if self._child.poll() is None:
            if now < self._deadline:
                return None
            self.end()
            return "no answer in time"
        assert self._child.stdout is not None
        with self._child.stdout as output:
            text = output.read(_MOST_TEXT).decode(errors="replace").strip()
        return "" if self._child.returncode == 0 else text or f"exit status {self._child.returncode}"

    def end(self) -> None:
        """Stop it at once."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
