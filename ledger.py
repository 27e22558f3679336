"""The restart ledger: one JSON line for every end of the server process, written by the supervisor.

It outlives the server, so that the next one can say why the last one died. Only appended to; a torn last line
(power cut) is skipped when reading.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

#: Why a server process ended.
ExitReason = Literal["crash", "signal", "segfault", "killed", "oom_kill", "hang", "restart", "stop"]

FILE_NAME = "restarts.jsonl"
#: Lines kept when the file is trimmed: at the supervisor's start, and when it has grown beyond so many bytes.
KEEP = 1000
MAX_BYTES = 4 * 1024 * 1024
#: The newest ends keep what was found out about them: in ``detail``, some kilobytes each under these names.
KEEP_EVIDENCE = 100
EVIDENCE = ("stderr", "log", "batch", "calls", "memory_mb", "peak_memory_mb")
#: Calls into the plug-in's code beside the batch that are told in a sentence.
_CALLS = 4
#: Of these, what the process wrote: for those who run it, since it tells of files and code.
LINES = ("stderr", "log")


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
            if self._torn():
                file.write("\n")  # what a power cut left must not swallow this line
            file.write(json.dumps(asdict(exit), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
            grown = file.tell() > MAX_BYTES
        if grown:
            self.trim()

    def _torn(self) -> bool:
        """Whether the last line has no end."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            return file.read(1) not in (b"", b"\n")

    def exits(self) -> list[Exit]:
        """All recorded exits, oldest first. Lines that do not parse are left out."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        return [exit for line in lines if (exit := _parse(line)) is not None]

    def trim(self) -> None:
        """Keep the newest :data:`KEEP` lines, and what was found out about the newest :data:`KEEP_EVIDENCE`."""
        exits = self.exits()
        if len(exits) <= KEEP_EVIDENCE:
            return
        exits = [*(_bare(exit) for exit in exits[-KEEP:-KEEP_EVIDENCE]), *exits[-KEEP_EVIDENCE:]]
        scratch = self.path.with_suffix(".tmp")
        lines = (json.dumps(asdict(exit), ensure_ascii=False) + "\n" for exit in exits)
        scratch.write_text("".join(lines), encoding="utf-8")
        scratch.chmod(0o600)
        scratch.replace(self.path)


class LastWords:
    """What the server process leaves for the supervisor right before it ends on purpose: why."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "last-words.json"

    def leave(self, reason: ExitReason, summary: str, detail: dict[str, Any] | None = None) -> None:
        """Write them, whole or not at all."""
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text(json.dumps({"reason": reason, "summary": summary, "detail": detail or {}}), encoding="utf-8")
        scratch.chmod(0o600)
        scratch.replace(self.path)

    def take(self) -> dict[str, Any] | None:
        """Read and remove them; ``None`` when there are none or they make no sense."""
        try:
            words = json.loads(self.path.read_text(encoding="utf-8"))
            self.path.unlink()
        except (OSError, ValueError):
            return None
        well_formed = isinstance(words, dict) and words.get("reason") in get_args(ExitReason)
        return {"detail": {}, **words} if well_formed and isinstance(words.get("summary"), str) else None


def _bare(exit: Exit) -> Exit:
    return replace(exit, detail={name: value for name, value in exit.detail.items() if name not in EVIDENCE})


def without_lines(detail: Mapping[str, Any]) -> dict[str, Any]:
    """A detail that anybody may see who may look at all."""
    return {name: value for name, value in detail.items() if name not in LINES}


def circumstances(detail: Mapping[str, Any]) -> list[str]:
    """What was found out about an end, in a few short sentences for people; empty when nothing was."""
    found = []
    batch = detail.get("batch")
    if isinstance(batch, dict):
        what = "health check" if batch["what"] == "check" else f"{batch['what']} of {batch['size']}"
        inputs = f" ({', '.join(batch['inputs'])})" if batch["inputs"] else ""
        ids = f", requests {', '.join(batch['request_ids'])}" if batch["request_ids"] else ""
        when = "over before the end" if batch["finished"] else f"running for {batch['seconds']:g} s at the end"
        found.append(f"last {what}{inputs}{ids}: {when}")
    calls = detail.get("calls")
    if isinstance(calls, list) and calls:
        found += [_told(call["what"], call["request_id"], call["seconds"]) for call in calls[:_CALLS]]
    if detail.get("peak_memory_mb"):
        found.append(f"memory at most {detail['peak_memory_mb']:,.0f} MB")
    lines = detail.get("stderr") or detail.get("log")
    if lines:
        # A dump of the stacks begins with what happened; of anything else the end says most.
        line = lines[0] if str(lines[0]).startswith("Fatal Python error") else lines[-1]
        found.append(f"last words: {str(line).strip()}")
    return found


def _told(what: str, request_id: str, seconds: float) -> str:
    if request_id:
        return f"{what} for request {request_id}: running for {seconds:g} s at the end"
    return f"{what}: running for {seconds:g} s at the end"


def _parse(line: str) -> Exit | None:
    try:
        return Exit(**json.loads(line))
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch without a server process, as the next one sees it. ``planned`` when somebody asked for it."""

    cause: str
    summary: str
    started_ms: int
    planned: bool
    detail: dict[str, Any]


def explain_outage(last_tick_ms: int | None, exits: list[Exit], machine_booted_ms: int) -> Outage | None:
    """Say why there was no server since ``last_tick_ms``, the last tick on disk; ``None`` on the very first start.

    The ledger knows when the supervisor lived to write it. When it did not, the machine went down (it booted later
    than the last tick) or the whole program was killed, and the last tick is the best known moment.
    """
    if last_tick_ms is None and not exits:
        return None
    since = [exit for exit in exits if last_tick_ms is None or exit.ended_ms >= last_tick_ms]
    if since:
        first = next((exit for exit in since if exit.unexpected), since[0])
        detail = {"pid": first.pid, "code": first.code, "signal": first.signal, "ends": len(since), **first.detail}
        return Outage(first.reason, first.summary, first.ended_ms, not first.unexpected, detail)
    assert last_tick_ms is not None
    if machine_booted_ms > last_tick_ms:
        return Outage("power", "the machine went down without a shutdown of the service", last_tick_ms, False, {})
    return Outage("killed", "the whole program, supervisor included, was killed", last_tick_ms, False, {})
