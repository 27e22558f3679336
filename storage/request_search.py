"""Looking through the request log: what is asked is bounded in rows and in time, however many requests there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVarTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select, tuple_

from storage.fingerprint import fingerprint_of
from storage.record import RequestEntry
from storage.tables import RequestRow

#: Rows that are looked through at once, and seconds after which a search says how far it has come.
BLOCK = 20_000
SECONDS = 0.7
#: Texts of errors without a fingerprint (written before there were any) that are put into groups.
_MOST_TEXTS = 5_000
#: Ids that stand for a group.
EXAMPLES = 5

#: Outcomes of requests that never end without an error.
FAILED = ("bad_input", "oom", "error", "timeout")

_COLUMNS = [getattr(RequestRow, column.name) for column in fields(RequestEntry)]
_NEWEST = (RequestRow.time_ms.desc(), RequestRow.id.desc())


Columns = TypeVarTuple("Columns")


class Place(NamedTuple):
    """Where a page ends: the next one goes on before it."""

    time_ms: int
    id: int

    def __str__(self) -> str:
        return f"{self.time_ms}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """What ``str`` gave. Raises ValueError."""
        time_ms, _, number = text.partition("-")
        if not (time_ms.isascii() and time_ms.isdigit() and number.isascii() and number.isdigit()):
            raise ValueError("must be the next of a page before")
        found = cls(int(time_ms), int(number))
        if max(found) >= 1 << 63:
            raise ValueError("must be the next of a page before")
        return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests. ``text`` is looked for in the error, in any case."""

    start_ms: int
    end_ms: int
    request_id: str | None = None
    route: str | None = None
    result_class: str | None = None
    outcome: str | None = None
    fingerprint: str | None = None
    text: str | None = None
    min_seconds: float | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same in SQL, but for the window."""
        equal = {
            RequestRow.request_id: self.request_id,
            RequestRow.route: self.route,
            RequestRow.result_class: self.result_class,
            RequestRow.outcome: self.outcome,
            RequestRow.fingerprint: self.fingerprint,
        }
        found: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
        if self.text:
            found.append(RequestRow.error.icontains(self.text, autoescape=True))
        if self.among_errors:
            found.append(RequestRow.error.is_not(None))
        if self.min_seconds is not None:
            found.append(RequestRow.total_seconds >= self.min_seconds)
        return found

    @property
    def among_errors(self) -> bool:
        """Whether only requests with an error can match: these have an index of their own."""
        return bool(self.text) or self.fingerprint is not None or self.outcome in FAILED


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first. ``next`` is where to go on, None at the end; ``complete``: nothing was left unread."""

    entries: list[RequestEntry]
    next: Place | None
    #: False where the time was over before as many as were wanted had been found: ``next`` goes on from there.
    complete: bool


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one kind in a window. ``text`` is the newest of them."""

    fingerprint: str
    outcome: str
    text: str
    count: int
    first_ms: int
    last_ms: int
    example_ids: list[str]


class RequestSearch:
    """Reads the table of requests. Any thread may ask."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock

    def page(self, wanted: Wanted, limit: int, before: Place | None = None, seconds: float = SECONDS) -> Page:
        """The newest ``limit`` requests that match, of those before ``before``; takes about ``seconds`` at most."""
        until = self._clock() + seconds
        upper = before or Place(wanted.end_ms, (1 << 63) - 1)
        found: list[tuple[Place, RequestEntry]] = []
        with self._engine.connect() as connection:
            while True:
                lower = None if wanted.request_id is not None else _block_end(connection, wanted, upper)
                query = select(RequestRow.id, *_COLUMNS).where(*wanted.conditions(), *_between(wanted, upper, lower))
                query = _by_index(query.order_by(*_NEWEST).limit(limit + 1 - len(found)), wanted)
                found += [_entry(row) for row in connection.execute(query).mappings()]
                if len(found) > limit:
                    return Page([entry for _, entry in found[:limit]], found[limit - 1][0], complete=True)
                if lower is None:
                    return Page([entry for _, entry in found], None, complete=True)
                if self._clock() > until:
                    return Page([entry for _, entry in found], lower, complete=False)
                upper = lower

    def pages(self, wanted: Wanted, limit: int) -> Iterator[list[RequestEntry]]:
        """All that match, newest first, ``limit`` at a time; the first page comes even if it is empty."""
        before: Place | None = None
        while True:
            page = self.page(wanted, limit, before)
            yield page.entries
            if page.next is None:
                return
            before = page.next

    def errors(self, start_ms: int, end_ms: int, limit: int = 100) -> list[ErrorGroup]:
        """Errors of a window by kind, the most frequent first."""
        key = func.coalesce(RequestRow.fingerprint, RequestRow.error)
        grouped = (
            select(
                key.label("key"),
                RequestRow.fingerprint.is_not(None).label("known"),
                RequestRow.outcome,
                func.count().label("count"),
                func.min(RequestRow.time_ms).label("first_ms"),
                func.max(RequestRow.time_ms).label("last_ms"),
                func.max(RequestRow.id).label("newest"),
            )
            .where(RequestRow.error.is_not(None), RequestRow.time_ms.between(start_ms, end_ms))
            .group_by("key", "known", RequestRow.outcome)
            .order_by(func.count().desc())
            .limit(_MOST_TEXTS)
            .with_hint(RequestRow, "INDEXED BY requests_error", "sqlite")
        )
        with self._engine.connect() as connection:
            merged: dict[tuple[str, str], dict[str, Any]] = {}
            for row in connection.execute(grouped).mappings():
                _merge(merged, row)
            largest = sorted(merged.values(), key=lambda one: (-one["count"], -one["last_ms"]))[:limit]
            return [self._group(connection, one, start_ms, end_ms) for one in largest]

    def _group(self, connection: Connection, one: dict[str, Any], start_ms: int, end_ms: int) -> ErrorGroup:
        text = connection.execute(select(RequestRow.error).where(RequestRow.id == one["newest"])).scalar_one_or_none()
        which = RequestRow.fingerprint.in_(one["known"]) if one["known"] else RequestRow.id == one["newest"]
        query = select(RequestRow.request_id).where(
            which, RequestRow.error.is_not(None), RequestRow.time_ms.between(start_ms, end_ms)
        )
        query = query.where(RequestRow.outcome == one["outcome"]).order_by(*_NEWEST).limit(EXAMPLES)
        return ErrorGroup(
            fingerprint=one["fingerprint"],
            outcome=one["outcome"],
            text=text or one["fingerprint"],
            count=one["count"],
            first_ms=one["first_ms"],
            last_ms=one["last_ms"],
            example_ids=[*connection.execute(query).scalars()],
        )


def _merge(merged: dict[tuple[str, str], dict[str, Any]], row: Any) -> None:
    """Add a row of the grouped query; texts from before there were fingerprints get theirs here."""
    fingerprint = row["key"] if row["known"] else fingerprint_of(row["key"])
    start: dict[str, Any] = {
        "fingerprint": fingerprint,
        "outcome": row["outcome"],
        "count": 0,
        "first_ms": row["first_ms"],
        "last_ms": row["last_ms"],
        "newest": 0,
        "known": [],
    }
    one = merged.setdefault((fingerprint, row["outcome"]), start)
    one["count"] += row["count"]
    one["first_ms"] = min(one["first_ms"], row["first_ms"])
    one["last_ms"] = max(one["last_ms"], row["last_ms"])
    one["newest"] = max(one["newest"], row["newest"])
    if row["known"]:
        one["known"].append(fingerprint)


def _block_end(connection: Connection, wanted: Wanted, upper: Place) -> Place | None:
    """The row :data:`BLOCK` rows before ``upper``; None when there are not so many. Reads an index alone."""
    query = (
        select(RequestRow.time_ms, RequestRow.id)
        .where(RequestRow.time_ms >= wanted.start_ms, RequestRow.time_ms <= upper.time_ms, _before(upper))
        .where(*([RequestRow.error.is_not(None)] if wanted.among_errors else []))
        .order_by(*_NEWEST)
        .offset(BLOCK - 1)
        .limit(1)
    )
    row = connection.execute(_by_index(query, wanted)).one_or_none()
    return None if row is None else Place(*row)


def _by_index(query: Select[*Columns], wanted: Wanted) -> Select[*Columns]:
    """SQLite takes all that is in the window for as good a way to what failed as the index of just that."""
    if wanted.request_id is None and wanted.among_errors:
        return query.with_hint(RequestRow, "INDEXED BY requests_error", "sqlite")
    return query


def _between(wanted: Wanted, upper: Place, lower: Place | None) -> Sequence[ColumnElement[bool]]:
    """From ``lower`` (itself included) to before ``upper``."""
    start_ms = wanted.start_ms if lower is None else max(wanted.start_ms, lower.time_ms)
    found = [RequestRow.time_ms >= start_ms, RequestRow.time_ms <= upper.time_ms, _before(upper)]
    if lower is not None:
        found.append(tuple_(RequestRow.time_ms, RequestRow.id) >= tuple_(*lower))
    return found


def _before(place: Place) -> ColumnElement[bool]:
    return tuple_(RequestRow.time_ms, RequestRow.id) < tuple_(*place)


def _entry(row: Any) -> tuple[Place, RequestEntry]:
    values = dict(row)
    place = Place(values["time_ms"], values.pop("id"))
    if isinstance(values["input"], (str, bytes)):
        values["input"] = orjson.loads(values["input"])
    return place, RequestEntry(**values)
