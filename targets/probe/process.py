"""Looks for a process on this machine: by name, by its command line, or by the file that holds its number."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import re2

from config_target import ProcessProbe
from targets.probe.outcome import Outcome

#: All that look within this time share one look at all processes.
_FRESH_SECONDS = 1.0
#: The kernel keeps so many characters of a name.
_KERNEL_NAME = 15
_NO_LOGS = re2.Options()
_NO_LOGS.log_errors = False


@dataclass(frozen=True, slots=True)
class Running:
    """A process that is no zombie."""

    pid: int
    name: str
    command: str


def look(settings: ProcessProbe) -> Outcome:
    """Look once."""
    began = time.monotonic()
    try:
        pattern = None if settings.command is None else re2.compile(settings.command, _NO_LOGS)
    except re2.error as error:
        return Outcome(None, f"command is no RE2 expression: {error}")
    processes = _snapshot()
    if settings.pid_file is not None:
        pid, reason = _read_pid(settings.pid_file)
        if pid is None:
            return Outcome(False, reason, time.monotonic() - began)
        processes = [process for process in processes if process.pid == pid]
        if not processes:
            return Outcome(False, "the process of the pid file has ended", time.monotonic() - began, {"pid": pid})
    found = [process for process in processes if _is(process, settings.name, pattern)]
    seconds = time.monotonic() - began
    detail = {"pids": [process.pid for process in found[:20]], "count": len(found)}
    if len(found) >= settings.count:
        return Outcome(True, "", seconds, detail)
    return Outcome(False, _missing(settings, len(found)), seconds, detail)


def _missing(settings: ProcessProbe, count: int) -> str:
    if settings.pid_file is not None:
        return "the number in the pid file is another program's by now"
    if count == 0:
        return "no such process runs"
    return f"fewer than {settings.count} such processes run"


def _is(process: Running, name: str | None, pattern: Any) -> bool:
    if name is not None and process.name not in (name, name[:_KERNEL_NAME]):
        return False
    return pattern is None or bool(pattern.search(process.command))


def _read_pid(path: Path) -> tuple[int | None, str]:
    try:
        with path.open("rb") as file:
            text = file.read(64).split()
    except FileNotFoundError:
        return None, "the pid file is not there"
    except OSError as error:
        return None, f"the pid file cannot be read: {error.strerror}"
    if not text or not text[0].isdigit() or len(text[0]) > 9:
        return None, "the pid file holds no process id"
    return int(text[0]), ""


_lock = threading.Lock()
_seen: tuple[float, list[Running]] = (-_FRESH_SECONDS, [])


def _snapshot() -> list[Running]:
    """All processes that run, as of a second ago at most."""
    global _seen
    with _lock:
        if time.monotonic() - _seen[0] >= _FRESH_SECONDS:
            _seen = (time.monotonic(), _processes())
        return _seen[1]


def _processes() -> list[Running]:
    running = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                running.append(Running(process.pid, process.name(), " ".join(_command(process))))
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            running.append(Running(process.pid, "", ""))
    return running


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.AccessDenied:  # another user's, where the system hides them
        return []
