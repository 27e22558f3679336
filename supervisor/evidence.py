"""What was known when a server process ended: its last lines, its last batch, its memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blackbox import BlackBox, Call
from supervisor.memory import MemoryCurve
from supervisor.stderr import StderrTap

#: Where the server process logs, in the data folder.
LOG_FILE = "wakeless.log"
STDERR_LINES, LOG_LINES = 25, 12
LINE_CHARACTERS = 500
#: Most lines are about requests and left out, so a good deal has to be read to find a dozen that tell something.
_TAIL_BYTES = 256 * 1024
#: How a dump of all threads begins when a signal caused it.
_FATAL = "Fatal Python error"
#: What the stack has in it in which a batch, a load, or other code of the plug-in ran; not as its innermost frame.
BATCH, LOAD, CALL = "model/worker.py", "model/loader.py", "model/codec.py"


class Evidence:
    """Follows one server process after the other. ``mask`` takes secrets out of a line; ``log_file`` may not exist."""

    def __init__(self, blackbox: BlackBox, tap: StderrTap, mask: Callable[[str], str], log_file: Path) -> None:
        self.blackbox = blackbox
        self.tap = tap
        self.memory = MemoryCurve()
        self._mask = mask
        self._log_file = log_file
        self._log_start = 0

    def begin(self) -> None:
        """Another server process is about to start."""
        self.blackbox.clear()
        self.memory.clear()
        self.tap.open()
        self._log_start = self._log_size()

    def gather(self, now: float, peak_bytes: int) -> dict[str, Any]:
        """All there is, bounded to a few kilobytes; what there is none of is left out."""
        self.tap.pump()
        flight, running = self.blackbox.read(), self.blackbox.latest(now)
        mark = BATCH if not isinstance(running, Call) else LOAD if running.what == "load" else CALL
        found = {
            "stderr": self._bounded(telling(self.tap.lines(), STDERR_LINES, mark)),
            "log": self._bounded(self._log_lines()),
            "batch": flight.as_dict(now) if flight else None,
            "calls": [call.as_dict(now) for call in self.blackbox.calls()],
            "memory_mb": self.memory.told(now),
            "peak_memory_mb": round(peak_bytes / 1e6, 1) or None,
        }
        return {name: value for name, value in found.items() if value}

    def _bounded(self, lines: list[str]) -> list[str]:
        return [self._mask(line)[:LINE_CHARACTERS] for line in lines if line.strip()]

    def _log_size(self) -> int:
        try:
            return self._log_file.stat().st_size
        except OSError:
            return 0

    def _log_lines(self) -> list[str]:
        """The last lines that this process wrote into the log file: what happened and what went wrong, not requests."""
        size = self._log_size()
        start = max(size - _TAIL_BYTES, self._log_start if self._log_start <= size else 0)
        try:
            with self._log_file.open("rb") as file:
                file.seek(start)
                text = file.read(_TAIL_BYTES).decode(errors="replace")
        except OSError:
            return []
        lines = [shown for line in text.splitlines() if (shown := _readable(line))]
        return lines[-LOG_LINES:]


def telling(lines: list[str], count: int, mark: str = BATCH) -> list[str]:
    """The lines to keep: the last ones; of a dump of all threads the words before, the crashed thread, the model's.

    A hang is ended from outside, by a signal that any thread may get: what hangs is the one with ``mark`` in it.
    """
    fatal = next((place for place in reversed(range(len(lines))) if lines[place].startswith(_FATAL)), None)
    stacks = _stacks(lines, fatal or 0)
    model = next((stack for stack in reversed(stacks) if any(mark in line for line in stack[2:])), [])
    if fatal is None:
        end = max((place for place, line in enumerate(lines) if line.startswith("  File ")), default=0)
        if not model or len(lines) - end > count:
            return lines[-count:]
        return [*model, *lines[end + 1 :]][:count]
    crashed = next((stack for stack in stacks if stack[0].startswith("Current thread")), [])
    told = [stack for stack in ([crashed] if model is crashed else [crashed, model]) if stack]
    before = lines[max(0, fatal - count // 4) : fatal + 1]
    room = (count - len(before)) // max(1, len(told))
    return [*before, *(line for stack in told for line in stack[:room])]


def _stacks(lines: list[str], start: int) -> list[list[str]]:
    """Each thread of the dumps in ``lines`` from ``start`` on: its heading and its frames, the innermost first."""
    stacks: list[list[str]] = []
    within = False
    for line in lines[start:]:
        if line.startswith(("Thread 0x", "Current thread 0x")):
            stacks.append([line])
            within = True
        elif within and line.startswith("  "):
            stacks[-1].append(line)
        else:
            within = False
    return stacks


def _readable(line: str) -> str:
    """A log line as text: time, level, event, and the last line of its traceback; empty for what is no line of ours."""
    try:
        entry = json.loads(line)
    except ValueError:
        return ""  # the first one may be cut
    if not isinstance(entry, dict) or entry.get("event") == "request":
        return ""
    skipped = ("timestamp", "level", "event", "logger", "exception")
    facts = " ".join(f"{name}={value}" for name, value in entry.items() if name not in skipped)
    last = str(entry.get("exception", "")).strip().rpartition(os.linesep)[2]
    words = (str(entry.get("timestamp", ""))[11:19], entry.get("level", ""), entry.get("event", ""), facts, last)
    return " ".join(str(word) for word in words if word)
