"""The restart ledger: one JSON line for every start and end of the server process, written by the supervisor.

It outlives the server, so that the next one can say why the last one died. Only appended to; a torn last line
(power cut) is skipped when reading.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

#: Why a server process ended.
ExitReason = Literal["crash", "signal", "segfault", "killed", "oom_kill", "hang", "restart", "stop", "unknown"]

FILE_NAME = "restarts.jsonl"
#: Lines kept when the file is trimmed at the supervisor's start.
KEEP = 1000


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one server process. ``code`` is its exit status, ``signal`` the name of what killed it, if any."""

    reason: ExitReason
    summary: str
    started_ms: int
    ended_ms: int
    pid: int
    code: int | None = None
    signal: str | None = None
    safe_mode: bool = False  #: the next server starts without the model
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def unexpected(self) -> bool:
        """Whether nobody asked for this end."""
        return self.reason not in ("restart", "stop")


class Ledger:
    """The file ``restarts.jsonl`` in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME

    def append(self, exit: Exit) -> None:
        """Write one line and push it to the disk."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(exit), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def exits(self) -> list[Exit]:
        """All recorded exits, oldest first. Lines that do not parse are left out."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [exit for line in lines if (exit := _parse(line)) is not None]

    def trim(self) -> None:
        """Keep the newest :data:`KEEP` lines."""
        exits = self.exits()
        if len(exits) <= KEEP:
            return
        scratch = self.path.with_suffix(".tmp")
        lines = (json.dumps(asdict(exit), ensure_ascii=False) + "\n" for exit in exits[-KEEP:])
        scratch.write_text("".join(lines), encoding="utf-8")
        scratch.chmod(0o600)
        scratch.replace(self.path)


def _parse(line: str) -> Exit | None:
    try:
        return Exit(**json.loads(line))
    except (ValueError, TypeError):
        return None
