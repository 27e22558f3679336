"""Why did it end? A name and a sentence for the end of a server process."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from ledger import ExitReason

#: A process that takes so long to end after the kernel's kill is a very large one.
LATELY_SECONDS = 10.0

#: Signals that mean the program is broken, not that someone ended it.
FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


def classify(
    status: int,
    *,
    words: dict[str, Any] | None = None,
    asked: Literal["restart", "stop"] | None = None,
    in_order: bool = False,
    hung: str | None = None,
    oom_killed: bool = False,
) -> tuple[ExitReason, str]:
    """Name the reason for an end and put it in a sentence, from the first of these that knows:

    what the process said itself (``words``), why the supervisor ended it (``hung``), the kernel, what was asked of it,
    whether it came to its own orderly end, and what ``waitpid`` reported.
    """
    code = os.waitstatus_to_exitcode(status)
    name = signal_name(-code) if code < 0 else ""
    if words is not None:
        return words["reason"], words["summary"]
    if hung:
        return "hang", hung
    if code == -signal.SIGKILL and oom_killed:
        return "oom_kill", "the kernel ended it because memory ran out"
    if -code in FAULTS:
        return "segfault", f"the program crashed with {name}"
    if asked:
        return asked, f"{asked} on request" if in_order else f"{asked} on request; it did not end in time by itself"
    if in_order:
        return "stop", "ended in order by a signal to the server process"
    if code == -signal.SIGKILL:
        return "killed", "killed with SIGKILL"
    if code < 0:
        return "signal", f"ended by {name}"
    return "crash", f"exited with code {code}"


class OomKills:
    """Whether the kernel has killed for memory lately: its counter is the whole machine's, and names no victim."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, now: float) -> None:
        """Remember the counter; ``now`` is a moment of a monotonic clock."""
        self._seen.append((now, self._read()))
        while len(self._seen) > 1 and self._seen[1][0] <= now - LATELY_SECONDS:
            self._seen.popleft()

    def lately(self) -> bool:
        """Whether it has counted since the oldest look of the last seconds."""
        return bool(self._seen) and self._read() > self._seen[0][1]


def read_oom_kills(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """How often the kernel has killed for memory, here and in our control group; 0 where it cannot be read."""
    own = Path()
    for line in _lines(proc / "self/cgroup"):
        if line.startswith("0::/"):
            own = Path(line.removeprefix("0::/"))
    counters = [*_lines(proc / "vmstat"), *_lines(cgroups / own / "memory.events")]
    return sum(int(line.split()[1]) for line in counters if line.startswith("oom_kill "))


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11; a number that has no name here stays one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
