"""Programs for the proofs by kills: one follows logs until it is killed, and counts which numbers it has seen.

    python -m tests.targets.logfile.writing follow DATABASE PATH [PATH …]

What it counts is committed as any matcher's findings are: beside the position, in one transaction.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, text

from collectors.sample import Sample
from config_target import LogTarget, TargetSettings
from storage.engine import open_database
from targets.logfile.entry import Entry
from targets.logfile.watch import LogWatch
from targets.target import Target

_NUMBER = re.compile(r"number (\d+)")
TABLE = "CREATE TABLE IF NOT EXISTS seen (source TEXT, number INTEGER)"


class NumberMatcher:
    """Notes the number of each line: in the same transaction that takes the reader's position."""

    multiline = None

    def __init__(self, target: str, source: str, settings: LogTarget) -> None:
        del target, settings
        self._source = source
        self._numbers: list[int] = []

    def may_match(self, block: bytes) -> bool:
        return b"number" in block

    def restore(self, counters: Mapping[str, Any]) -> None:
        del counters

    def feed(self, entries: Sequence[Entry], now_ms: int) -> None:
        del now_ms
        for entry in entries:
            self._numbers += map(int, _NUMBER.findall(entry.text))

    def pending(self, connection: Connection, now_ms: int) -> None:
        del now_ms
        if self._numbers:
            rows = [{"source": self._source, "number": number} for number in self._numbers]
            connection.execute(text("INSERT INTO seen VALUES (:source, :number)"), rows)

    def counters(self) -> dict[str, Any]:
        return {}

    def settled(self) -> None:
        self._numbers = []

    def undo(self) -> None:
        self._numbers = []

    def samples(self, now_ms: int) -> list[Sample]:
        del now_ms
        return []


def follow(database_path: Path, paths: Sequence[str]) -> None:
    """Follow until killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    database = open_database(database_path)
    with database.begin() as connection:
        connection.execute(text(TABLE))
    logs = [{"path": path, "begin": "start"} for path in paths]
    target = Target(TargetSettings.model_validate({"name": "numbers", "log": logs}))
    watch = LogWatch(database, lambda: time.time_ns() // 1_000_000, matcher=NumberMatcher)
    watch.replace([target])
    watch.start()
    threading.Event().wait()


if __name__ == "__main__":
    follow(Path(sys.argv[2]), sys.argv[3:])
