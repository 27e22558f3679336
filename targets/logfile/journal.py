"""Follow the journal of a systemd unit, through ``journalctl``."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, Literal

import orjson
import structlog

from targets.logfile.entry import Entry
from targets.logfile.part import MakeFramer
from targets.logfile.source import Count
from targets.logfile.stream import Mark, Marked, stored_mark

logger = structlog.get_logger(__name__)

ABSENT = "there is no journalctl on this machine"
#: When it ends, it is started again after so long.
AGAIN_MS = 5_000
BLOCK_BYTES = 64 * 1024
#: A record that is longer is left out: journald's own bound for a field is far below it.
MOST_BYTES = 16 * 1024 * 1024


class JournalSource:
    """The entries of ``unit``. ``journalctl`` waits while nobody reads: the journal keeps what comes."""

    behind_bytes = 0

    def __init__(
        self,
        unit: str,
        make: MakeFramer,
        *,
        begin: Literal["end", "start"] = "end",
        stored: Mapping[str, Any] | None = None,
        count: Count | None = None,
    ) -> None:
        self.up: bool | None = None
        self.error: str | None = None
        self._unit = unit
        self._begin = begin
        self._marked = Marked(make, stored_mark(stored), count or Count())
        self._child: subprocess.Popen[bytes] | None = None
        self._complaint: IO[bytes] | None = None
        self._ended_ms: int | None = None
        self._rest = bytearray()

    @property
    def count(self) -> Count:
        """What was given out."""
        return self._marked.count

    def look(self, now_ms: int) -> None:
        """See that the program runs."""
        if self._child is not None:
            if self._child.poll() is None or self._has_more():
                return
            self.up, self.error = False, self._why()
            self._ended_ms = now_ms
            self.close()
            logger.warning("log_journal_ended", unit=self._unit, reason=self.error)
        if self._ended_ms is None or not 0 <= now_ms - self._ended_ms < AGAIN_MS:
            self._start(now_ms)

    def _has_more(self) -> bool:
        """Whether the program that has ended left something to read."""
        return self._child is not None and self._child.stdout is not None and not self._child.stdout.closed

    def _why(self) -> str:
        said = b""
        if self._complaint is not None:
            self._complaint.seek(0)
            said = self._complaint.read(400)
        status = None if self._child is None else self._child.returncode
        return f"journalctl ended with {status}: {said.decode(errors='replace').strip() or 'it said nothing'}"

    def _start(self, now_ms: int) -> None:
        program = shutil.which("journalctl")
        if program is None:
            self.up, self.error = None, ABSENT
            return
        if self._marked.mark is None and self._begin == "end":
            self._marked.begin({"since": now_ms // 1000})
        mark = self._marked.mark or {}
        where = [f"--after-cursor={mark['cursor']}"] if "cursor" in mark else []
        where += [f"--since=@{mark['since']}"] if "since" in mark else []
        command = [program, "--output=json", "--follow", "--lines=all", "--no-pager", "--quiet"]
        command += [f"--unit={self._unit}", *where]
        self._complaint = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        try:
            self._child = subprocess.Popen(  # noqa: S603 - a list, from the settings file
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._complaint
            )
        except OSError as error:
            self.close()
            self.up, self.error, self._ended_ms = False, f"journalctl cannot be started: {error.strerror}", now_ms
            return
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_NONBLOCK)
        self.up, self.error = True, None

    def read(self, now_ms: int, most: int) -> tuple[list[Entry], bool]:
        """What it has written meanwhile."""
        left = most
        while left > 0:
            block = self._read_block()
            if not block:
                break
            left -= len(block)
            self._marked.feed(self._records(block), now_ms)
        if left == most:
            self._marked.feed((), now_ms)
        return self._marked.take(), left <= 0

    def _read_block(self) -> bytes:
        if self._child is None or self._child.stdout is None or self._child.stdout.closed:
            return b""
        try:
            block = os.read(self._child.stdout.fileno(), BLOCK_BYTES)
        except BlockingIOError:
            return b""
        if not block:
            self._child.stdout.close()  # it has ended, or is about to
        return block

    def _records(self, block: bytes) -> Iterator[tuple[bytes, Mark]]:
        self._rest += block
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest if len(rest) <= MOST_BYTES else bytearray()
        for line in lines:
            record = _read_record(bytes(line))
            if record is not None:
                yield record

    def position(self) -> dict[str, Any]:
        """The cursor of the last entry."""
        return self._marked.position()

    def settled(self) -> None:
        """It is committed."""
        self._marked.settled()

    def undo(self) -> None:
        """Ask for everything after the committed cursor again."""
        self._marked.undo()
        self.close()
        self._ended_ms = None

    def close(self) -> None:
        """End the program."""
        child, self._child = self._child, None
        self._rest = bytearray()
        if child is not None:
            if child.stdout is not None:
                child.stdout.close()
            if child.poll() is None:
                child.kill()
            with suppress(subprocess.TimeoutExpired):
                child.wait(2.0)
        if self._complaint is not None:
            self._complaint.close()
            self._complaint = None


def _read_record(line: bytes) -> tuple[bytes, Mark] | None:
    """Message and cursor of one record. A message that is no text comes as the numbers of its bytes, or as null."""
    try:
        record = orjson.loads(line)
        cursor = record["__CURSOR"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    message = record.get("MESSAGE")
    if isinstance(message, list):
        try:
            message = bytes(message)
        except (TypeError, ValueError):  # a field that was given more than once
            message = "\n".join(str(one) for one in message)
    if isinstance(message, str):
        message = message.encode()
    return (message if isinstance(message, bytes) else b""), {"cursor": cursor}
