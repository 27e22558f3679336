"""A support bundle: one zip with what somebody who helps needs to know, and nothing that is secret.

It is written part by part, each within its bound; a part that cannot be had says so in ``README.txt``, and leaves the
others alone.
"""

from __future__ import annotations

import os
import platform
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import distributions
from typing import IO, Any

import orjson
import psutil
import structlog
from sqlalchemy import Engine, Table, select

from collectors.sample import METRIC_NAME, Matcher
from config import VERSION, Settings
from ledger import Ledger, without_lines
from reports.clean import clean, scrubber, secrets_in, without_secrets
from reports.own_log import OwnLog
from storage.export import SeriesSource, csv_long
from storage.tables import (
    ActionRow,
    AlertRow,
    AuditRow,
    Base,
    IncidentRow,
    LogEventRow,
    ProbeRow,
    RemedyRow,
    TargetOutageRow,
)

log = structlog.get_logger(__name__)

#: Bytes of one part before it is packed, and of all of them.
MAX_PART, MAX_BYTES = 8 * 1024 * 1024, 20 * 1024 * 1024
_ROWS, _LINES, _EXITS = 500, 3000, 50
_DAY_MS, _STEP_MS = 86_400_000, 300_000
#: Series of the last day: what the service does, and what it runs on.
_SERIES = (
    "cpu_utilization_ratio|memory_(used|available|total)_bytes|swap_used_bytes|load1|filesystem_used_ratio"
    "|gpu_(utilization_ratio|memory_used_bytes|memory_total_bytes|temperature_celsius|power_watts|throttle_active)"
    "|process_(resident_memory_bytes|cpu_seconds_total|open_fds|threads)|process_restarts_total|wakeless_.*"
    "|inference_(requests_total|queue_depth|in_flight|request_duration_seconds_(sum|count))"
    "|torch_cuda_.*|model_.*|circuit_breaker_state|health_.*|collector_up|up|probe_(success|up|duration_seconds)|log_up"
)
_TABLES: Mapping[str, type[Base]] = {
    "alerts": AlertRow,
    "incidents": IncidentRow,
    "actions": ActionRow,
    "remedies": RemedyRow,
    "probes": ProbeRow,
    "target-outages": TargetOutageRow,
    "log-events": LogEventRow,
}
_NAMES = frozenset({"actor", "ack_by", "created_by", "name_of_person", "user", "by"})
_README = """Support bundle of Wakeless {version}, made {made}.

What is in it
{parts}
What was masked
  Passwords, tokens, keys, channels' URLs, headers and bodies to send, and commands of the settings: {hidden}.
  In all texts: secrets by their looks and their names, paths, addresses that are not public, names of internal hosts,
  mail addresses, numbers of phones, cards and persons. People who did something are person-1, person-2, …
  No input and no result of the model is in it, no request id of a caller's choice beside those in log lines.
  Of URLs in the settings the host is left. Look it through before you send it on.
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a bundle is made from. ``live`` are facts that only the running server has, by name."""

    settings: Settings
    database: Engine
    series: SeriesSource
    now_ms: int
    live: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    #: Sections of settings beside the settings: definitions of targets that were added in the page.
    more_settings: Callable[[], Iterable[Any]] = tuple
    #: Whether the database is looked through for damage, which takes a while.
    check: bool = False


def write_bundle(file: IO[bytes], sources: Sources) -> None:
    """Write the zip to ``file``, which must be seekable."""
    writer = _Bundle(file, sources)
    writer.write()


class _Bundle:
    def __init__(self, file: IO[bytes], sources: Sources) -> None:
        self._file = file
        self._sources = sources
        self._told: list[str] = []
        self._people: dict[str, str] = {}
        self._heads: dict[str, str] = {}  # of series, masked once for each
        self._more = self._more_settings()
        known = secrets_in(sources.settings).union(*(secrets_in(one) for one in self._more))
        self._scrub = scrubber(known)

    def write(self) -> None:
        """All parts, the README last, since it tells how they went."""
        source = self._sources
        parts: list[tuple[str, str, Callable[[], Iterable[bytes]]]] = [
            ("about.json", "versions of Wakeless, Python and libraries", lambda: [self._json(_about(source))]),
            ("host.json", "the machine: cores, memory, disk", lambda: [self._json(_host(source))]),
            ("settings.json", "the settings, secrets hidden", lambda: [_dump(self._scrubbed(self._settings()))]),
            ("database.json", "the database: size, schema", lambda: [self._json(_database(source))]),
            ("exits.json", "why server processes ended", lambda: [self._json(_exits(source))]),
            ("audit.json", "who did what, without names", lambda: [self._json(self._rows(AuditRow))]),
            ("log.jsonl", f"the last {_LINES} lines of the log", self._lines),
            ("metrics.csv", "the last 24 hours of the main series, every five minutes", self._metrics),
        ]
        parts += [
            (f"{name}.json", f"the last {_ROWS} rows", partial(self._table, table)) for name, table in _TABLES.items()
        ]
        parts += [(f"{name}.json", "as it stands now", partial(self._fact, fact)) for name, fact in source.live.items()]
        with zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, about, make in parts:
                self._part(archive, name, about, make)
            made = datetime.fromtimestamp(source.now_ms / 1000, UTC).isoformat(timespec="seconds")
            text = _README.format(version=VERSION, made=made, parts="".join(self._told), hidden="(hidden)")
            archive.writestr("README.txt", text)

    def _table(self, row: type[Base]) -> list[bytes]:
        return [self._json(self._rows(row))]

    def _fact(self, fact: Callable[[], object]) -> list[bytes]:
        return [self._json(fact())]

    def _part(self, archive: zipfile.ZipFile, name: str, about: str, make: Callable[[], Iterable[bytes]]) -> None:
        left = min(MAX_PART, MAX_BYTES - archive.fp.tell()) if archive.fp else MAX_PART
        note = ""
        try:
            pieces = iter(make())
            first = next(pieces, b"")
            with archive.open(name, "w") as part:
                for piece in _chained(first, pieces):
                    if len(piece) > left:
                        note = " (cut short: it is too large)"
                        break
                    left -= len(piece)
                    part.write(piece)
        except Exception:  # the edge of one part: what is broken is often why a bundle is made
            log.exception("bundle_part_failed", part=name)
            note = " (could not be had; the log says why)"
        self._told.append(f"  {name:22}{about}{note}\n")

    def _more_settings(self) -> list[Any]:
        try:
            return [*self._sources.more_settings()]
        except Exception:  # as above
            log.exception("bundle_targets_failed")
            return []

    def _settings(self) -> dict[str, Any]:
        return {**without_secrets(self._sources.settings), "targets_of_the_page": [*map(without_secrets, self._more)]}

    def _scrubbed(self, value: Any) -> Any:
        """Settings: of their own texts those that are known to be secret are gone; what is left is masked as all is."""
        return clean("", value, self._scrub)

    def _json(self, value: object) -> bytes:
        return _dump(clean("", _plain(value), self._scrub))

    def _rows(self, row: type[Base]) -> list[dict[str, Any]]:
        table = row.__table__
        assert isinstance(table, Table)
        newest = table.c.id.desc() if "id" in table.c else None
        with self._sources.database.connect() as connection:
            found = connection.execute(select(table).order_by(newest).limit(_ROWS)).mappings()
            return [{name: self._person(name, value) for name, value in one.items()} for one in found]

    def _person(self, name: str, value: Any) -> Any:
        """A name of a person as a number; what programs and the service itself did stays."""
        if isinstance(value, dict):
            return {key: self._person(key, inner) for key, inner in value.items() if key != "peer"}
        if name not in _NAMES or not isinstance(value, str) or not value or value in ("wakeless", "anonymous"):
            return value
        return self._people.setdefault(value, f"person-{len(self._people) + 1}")

    def _lines(self) -> Iterator[bytes]:
        for line in OwnLog(self._sources.settings.data_dir).newest(_LINES, seconds=5.0).lines:
            fields = {name: self._person(name, value) for name, value in line.fields.items() if name != "peer"}
            told = {"time_ms": line.time_ms, "level": line.level, "event": line.text, "request_id": line.request_id}
            yield (
                orjson.dumps(clean("", told | fields, self._scrub), default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
            )

    def _metrics(self) -> Iterator[bytes]:
        end = self._sources.now_ms
        selectors = [[Matcher(METRIC_NAME, "=~", _SERIES)]]
        for piece in csv_long(self._sources.series, selectors, end - _DAY_MS, end, _STEP_MS):
            # Labels hold names of machines and of mounts.
            yield b"".join(self._scrubbed_line(line) for line in piece.splitlines(keepends=True))

    def _scrubbed_line(self, line: bytes) -> bytes:
        time, _, rest = line.decode().partition(",")
        series, comma, value = rest.rpartition(",")
        if series not in self._heads:
            self._heads[series] = self._scrub(series)
        return f"{time},{self._heads[series]}{comma}{value}".encode()


def _about(sources: Sources) -> dict[str, Any]:
    return {
        "wakeless": VERSION,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "now_ms": sources.now_ms,
        "libraries": dict(sorted((one.metadata["Name"], one.version) for one in distributions())),
    }


def _host(sources: Sources) -> dict[str, Any]:
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(sources.settings.data_dir))
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "memory_total_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "swap_used_bytes": psutil.swap_memory().used,
        "data_disk_total_bytes": disk.total,
        "data_disk_free_bytes": disk.free,
        "boot_ms": round(psutil.boot_time() * 1000),
    }


def _database(sources: Sources) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    with sources.database.connect() as connection:
        for name in ("page_count", "page_size", "freelist_count", "journal_mode", "user_version"):
            facts[name] = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        facts["schema"] = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        facts["sqlite"] = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
        if sources.check:
            facts["quick_check"] = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(20)")]
    return facts


def _exits(sources: Sources) -> list[dict[str, Any]]:
    exits = Ledger(sources.settings.data_dir).exits()[-_EXITS:]
    return [{**asdict(one), "detail": without_lines(one.detail)} for one in exits]


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _dump(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
