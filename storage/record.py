"""What was asked of the model and who did what: the request log, the audit log, and how long both are kept."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

import orjson
import structlog
from sqlalchemy import ColumnElement, Engine, delete, insert, select

from storage.error import StorageError
from storage.fingerprint import fingerprint_of
from storage.tables import ActionRow, AlertRow, AuditRow, LogEventRow, LoginLinkRow, RemedyRow, RequestRow

logger = structlog.get_logger(__name__)

#: Entries that may wait in memory for the next flush; beyond it the oldest are dropped and counted.
MOST_WAITING = 10_000
#: Rows deleted in one transaction, and the time that the lock then stays free for others.
_ROWS = 500
_PAUSE_SECONDS = 0.005
#: SQLite's errors that are about what was to be written, not about the database.
_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


@dataclass(frozen=True, slots=True)
class RequestEntry:
    """One inference request: facts about its input and its fate, never the input itself. Durations are in seconds."""

    request_id: str
    time_ms: int
    status: int
    outcome: str
    model: str
    version: str
    total_seconds: float
    result_class: str | None = None
    queue_seconds: float | None = None
    compute_seconds: float | None = None
    input: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    route: str | None = None
    #: What its error has in common with others of its kind; made when it is written.
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did. ``actor`` is a user's or a token's name."""

    time_ms: int
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


class RequestLog:
    """Requests are noted in memory and written together, once a tick: a request never waits for the disk."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[RequestEntry] = deque()
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self.dropped = 0  #: entries lost because the database could not take them for too long

    def add(self, entry: RequestEntry) -> None:
        """Note a request; it is in the file after the next :meth:`flush`."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(entry)

    def flush(self) -> int:
        """Write what waits, in one transaction; returns how many.

        On a ``StorageError`` they go on waiting, unless it is one of them that cannot be written: a better day would
        not take that either, and it must not block the others. Then all of them are counted as dropped.
        """
        with self._flushing:
            with self._lock:
                entries, self._waiting = self._waiting, deque()
            if not entries:
                return 0
            try:
                with self._engine.begin() as connection:
                    # In plain SQL: under load these are most of the rows that are ever written.
                    connection.exec_driver_sql(_INSERT_REQUEST, [_values(entry) for entry in entries])
            except BaseException as error:
                if isinstance(error, StorageError) and not isinstance(error.__cause__, _REFUSALS):
                    self._put_back(entries)
                else:
                    with self._lock:
                        self.dropped += len(entries)
                raise
            return len(entries)

    def recent(self, limit: int, outcome: str | None = None, request_id: str | None = None) -> list[RequestEntry]:
        """The newest requests that have been flushed, newest first."""
        query = select(*_REQUEST_COLUMNS).order_by(RequestRow.time_ms.desc(), RequestRow.id.desc()).limit(limit)
        if outcome is not None:
            query = query.where(RequestRow.outcome == outcome)
        if request_id is not None:
            query = query.where(RequestRow.request_id == request_id)
        with self._engine.connect() as connection:
            return [RequestEntry(**row) for row in connection.execute(query).mappings()]

    def _put_back(self, entries: deque[RequestEntry]) -> None:
        with self._lock:
            entries.extend(self._waiting)
            while len(entries) > MOST_WAITING:
                entries.popleft()
                self.dropped += 1
            self._waiting = entries


class AuditLog:
    """Entries are written at once: with :meth:`add`, an act that cannot be recorded fails where it is done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self, now_ms: int, actor: str, action: str, target: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Record what ``actor`` did to ``target``, e.g. ``alert.ack`` to an alert's name."""
        row = {"time_ms": now_ms, "actor": actor, "action": action, "target": target, "detail": dict(detail or {})}
        with self._engine.begin() as connection:
            connection.execute(insert(AuditRow), row)

    def note(
        self, now_ms: int, actor: str, action: str, target: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Record what should not fail for want of a record, e.g. a login: then the log has it instead."""
        try:
            self.add(now_ms, actor, action, target, detail)
        except StorageError as error:
            act = {"actor": actor, "action": action, "target": target, "detail": dict(detail or {})}
            logger.error("audit_not_written", **act, error=str(error))

    def between(self, start_ms: int, end_ms: int) -> list[AuditEntry]:
        """What was done in a window (inclusive), oldest first."""
        query = (
            select(AuditRow.time_ms, AuditRow.actor, AuditRow.action, AuditRow.target, AuditRow.detail)
            .where(AuditRow.time_ms.between(start_ms, end_ms))
            .order_by(AuditRow.time_ms, AuditRow.id)
        )
        with self._engine.connect() as connection:
            return [AuditEntry(**row) for row in connection.execute(query).mappings()]


_REQUEST_COLUMNS = [getattr(RequestRow, column.name) for column in fields(RequestEntry)]
_GIVEN = [column.name for column in fields(RequestEntry) if column.name not in ("input", "fingerprint")]
_ALL_GIVEN = attrgetter(*_GIVEN)
_INSERT_REQUEST = (
    f"INSERT INTO {RequestRow.__tablename__} ({', '.join(_GIVEN)}, input, fingerprint)"  # noqa: S608  # names of our own
    f" VALUES ({', '.join('?' * (len(_GIVEN) + 2))})"
)


def _values(entry: RequestEntry) -> tuple[Any, ...]:
    fingerprint = entry.fingerprint or (fingerprint_of(entry.error) if entry.error else None)
    return (*_ALL_GIVEN(entry), _plain(entry.input) if entry.input else "{}", fingerprint)


def _plain(facts: dict[str, Any]) -> str:
    """What a plug-in says about its input, as plain JSON: it may hold numpy's numbers, or anything else."""
    try:
        return orjson.dumps(facts, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError as error:
        return orjson.dumps({"unreadable": str(error)}).decode()


def expire_records(engine: Engine, before_ms: int) -> int:
    """Delete what is older than ``before_ms``: requests, resolved alerts and what was done about them, log events,
    remedies, audit entries, dead links.

    Incidents stay, and so do outages of targets: they are few, and their history is what people come back for. Returns
    the rows deleted.
    """
    old: list[tuple[Any, ColumnElement[bool]]] = [
        (RequestRow, RequestRow.time_ms < before_ms),
        (AuditRow, AuditRow.time_ms < before_ms),
        (AlertRow, (AlertRow.state == "resolved") & (AlertRow.seen_ms < before_ms) & (AlertRow.active_ms < before_ms)),
        (ActionRow, (ActionRow.started_ms < before_ms) & (ActionRow.state != "started")),
        (LoginLinkRow, LoginLinkRow.expires_ms < before_ms),
        (LogEventRow, LogEventRow.last_ms < before_ms),
        (RemedyRow, (RemedyRow.started_ms < before_ms) & (RemedyRow.state != "started")),
    ]
    deleted = 0
    for table, is_old in old:
        some = select(table.id).where(is_old).limit(_ROWS)
        while True:
            with engine.begin() as connection:
                count = connection.execute(delete(table).where(table.id.in_(some))).rowcount
            deleted += count
            if count < _ROWS:
                break
            time.sleep(_PAUSE_SECONDS)
    if deleted:
        logger.info("records_expired", rows=deleted, before_ms=before_ms)
    return deleted
