"""Silences: no notices for what matches, from one moment to another. They behave as Alertmanager 0.25's do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog
from sqlalchemy import Engine as Database
from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from alerts.silencing.index import Index
from alerts.silencing.matching import LabelMatcher, MatcherError, is_label_name
from storage.tables import SilenceRow

log = structlog.get_logger(__name__)

SilenceState = Literal["active", "pending", "expired"]

#: Silences that are active or still to come, and those kept in all: each is looked at for every alert.
MAX_LIVE = 1000
MAX_KEPT = 10_000
#: Matchers of one silence, and characters of their names and values together, of a comment and of a name.
MAX_MATCHERS = 100
MAX_MATCHER_TEXT = 8192
MAX_COMMENT = 2000
MAX_AUTHOR = 200
_COLUMNS = SilenceRow.__table__.c
_ORDER: dict[SilenceState, int] = {"active": 0, "pending": 1, "expired": 2}


class SilenceError(Exception):
    """A silence that cannot be; the sentence is Alertmanager's where it has one."""

    permanent = True

    def __init__(self, kind: Literal["not_found", "invalid", "full"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["not_found", "invalid", "full"] = kind


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence; all times are UTC milliseconds, the end not included. ``id`` is empty for one that is to be made."""

    id: str
    matchers: tuple[LabelMatcher, ...]
    starts_ms: int
    ends_ms: int
    created_by: str
    comment: str
    updated_ms: int = 0

    def state(self, now_ms: int) -> SilenceState:
        """Whether it holds now."""
        if now_ms < self.starts_ms:
            return "pending"
        return "active" if now_ms < self.ends_ms else "expired"


class Silences:
    """All silences. Writing goes to the database first; asking reads memory only. Any thread may call any method."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._live: dict[str, Silence] = {}
        self._index: Index[Silence] = Index()

    def load(self, now_ms: int) -> None:
        """Take up what the database has."""
        query = select(SilenceRow.__table__).where(_COLUMNS.ends_ms > now_ms)
        with self._lock, self._database.connect() as connection:
            self._live = {found.id: found for found in _readable(connection.execute(query))}
            self._publish(now_ms)

    def mutes(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        """The ids of the active silences that an alert with these labels matches."""
        return [found.id for found in self._index.of(labels) if found.starts_ms <= now_ms < found.ends_ms]

    def put(self, silence: Silence, now_ms: int) -> str:
        """Make a silence, or change the one with its id; returns the id, which may be a new one.

        As in Alertmanager a silence keeps its id while its matchers, and once it is active its start, stay the same;
        else it ends now and a new one begins. Raises :class:`SilenceError`.
        """
        with self._lock:
            before = self._find(silence.id) if silence.id else None
            if silence.id and before is None:
                raise SilenceError("not_found", "silence not found")
            silence = replace(silence, updated_ms=now_ms)
            _check(silence)
            changed: list[Silence] = []
            if before is None or not _may_become(before, silence, now_ms):
                if before is not None and before.state(now_ms) != "expired":
                    changed.append(_ended(before, now_ms))
                elif len(self._live) - self._over(now_ms) >= MAX_LIVE:
                    raise SilenceError("full", f"there are {MAX_LIVE} silences already: let some expire first")
                silence = replace(silence, id=str(uuid.uuid4()), starts_ms=max(silence.starts_ms, now_ms))
            self._write([*changed, silence], now_ms)
        return silence.id

    def expire(self, silence_id: str, now_ms: int) -> Silence:
        """End a silence now; one that has ended stays as it is. Raises :class:`SilenceError`: not_found."""
        with self._lock:
            found = self._find(silence_id)
            if found is None:
                raise SilenceError("not_found", "silence not found")
            if found.state(now_ms) != "expired":
                found = _ended(found, now_ms)
                self._write([found], now_ms)
        return found

    def get(self, silence_id: str) -> Silence | None:
        """One silence, also one that has expired."""
        with self._lock:
            return self._find(silence_id)

    def all(self, now_ms: int, matchers: Iterable[LabelMatcher] = ()) -> list[Silence]:
        """Every silence that has all of ``matchers`` among its own: active ones, those to come, and expired ones."""
        wanted = set(matchers)
        with self._database.connect() as connection:
            found = _readable(connection.execute(select(SilenceRow.__table__)))
        return sorted((one for one in found if wanted <= set(one.matchers)), key=lambda one: _rank(one, now_ms))

    def live(self, now_ms: int) -> list[Silence]:
        """Those that are active or still to come, from memory."""
        found = [one for one in tuple(self._live.values()) if one.state(now_ms) != "expired"]
        return sorted(found, key=lambda one: _rank(one, now_ms))

    def forget(self, before_ms: int) -> int:
        """Delete what expired before ``before_ms``; returns how many."""
        with self._database.begin() as connection:
            return connection.execute(delete(SilenceRow).where(_COLUMNS.ends_ms < before_ms)).rowcount

    # --- how (the lock is held) ----------------------------------------------------------------------------------

    def _find(self, silence_id: str) -> Silence | None:
        if silence_id in self._live:
            return self._live[silence_id]
        with self._database.connect() as connection:
            found = connection.execute(select(SilenceRow.__table__).where(_COLUMNS.id == silence_id))
            return next(iter(_readable(found)), None)

    def _over(self, now_ms: int) -> int:
        return sum(one.state(now_ms) == "expired" for one in self._live.values())

    def _write(self, changed: Sequence[Silence], now_ms: int) -> None:
        """Write them in one transaction; only then let memory follow."""
        with self._database.begin() as connection:
            for one in changed:
                values = _values(one)
                connection.execute(insert(SilenceRow).values(**values).on_conflict_do_update(("id",), set_=values))
            if connection.execute(select(func.count()).select_from(SilenceRow)).scalar_one() > MAX_KEPT:
                oldest = select(_COLUMNS.id).where(_COLUMNS.ends_ms <= now_ms).order_by(_COLUMNS.ends_ms)
                connection.execute(delete(SilenceRow).where(_COLUMNS.id.in_(oldest.limit(max(1, MAX_KEPT // 10)))))
        self._live |= {one.id: one for one in changed}
        self._publish(now_ms)

    def _publish(self, now_ms: int) -> None:
        self._live = {id: one for id, one in self._live.items() if one.state(now_ms) != "expired"}
        self._index = Index((one.matchers, one) for one in self._live.values())


def _may_become(before: Silence, after: Silence, now_ms: int) -> bool:
    """Whether a change leaves it the same silence."""
    if before.matchers != after.matchers:
        return False
    match before.state(now_ms):
        case "active":
            return before.starts_ms // 1000 == after.starts_ms // 1000 and after.ends_ms >= now_ms
        case "pending":
            return after.starts_ms >= now_ms
        case _:
            return False


def _ended(silence: Silence, now_ms: int) -> Silence:
    return replace(silence, starts_ms=min(silence.starts_ms, now_ms), ends_ms=now_ms, updated_ms=now_ms)


def _check(silence: Silence) -> None:
    if silence.starts_ms >= silence.ends_ms:
        raise SilenceError("invalid", "Failed to create silence: start time must be before end time")
    if silence.ends_ms < silence.updated_ms:
        raise SilenceError("invalid", "Failed to create silence: end time can't be in the past")
    check_matchers(silence.matchers)
    for what, text, most in (("comment", silence.comment, MAX_COMMENT), ("createdBy", silence.created_by, MAX_AUTHOR)):
        if len(text) > most:
            raise SilenceError("invalid", f"silence invalid: {what} has {len(text)} characters; {most} are allowed")


def check_matchers(matchers: Sequence[LabelMatcher]) -> None:
    """What Alertmanager asks of a silence's matchers, and that they are not too many. Raises :class:`SilenceError`."""
    if not matchers:
        raise SilenceError("invalid", "silence invalid: at least one matcher required")
    if len(matchers) > MAX_MATCHERS:
        raise SilenceError("invalid", f"silence invalid: {len(matchers)} matchers; {MAX_MATCHERS} are allowed")
    if sum(len(one.name) + len(one.value) for one in matchers) > MAX_MATCHER_TEXT:
        raise SilenceError("invalid", f"silence invalid: matchers of more than {MAX_MATCHER_TEXT} characters")
    for index, one in enumerate(matchers):
        if not is_label_name(one.name):
            message = f"silence invalid: invalid label matcher {index}: invalid label name {quoted(one.name)}"
            raise SilenceError("invalid", message)
    if all(one.is_equal and one.matches_value("") for one in matchers):
        raise SilenceError("invalid", "silence invalid: at least one matcher must not match the empty string")


def quoted(text: str) -> str:
    """A text as Alertmanager's sentences quote it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _rank(silence: Silence, now_ms: int) -> tuple[int, int, str]:
    """Alertmanager's order: active by end, pending by start, expired ones from the last on."""
    state = silence.state(now_ms)
    moment = {"active": silence.ends_ms, "pending": silence.starts_ms, "expired": -silence.ends_ms}[state]
    return _ORDER[state], moment, silence.id


def _values(silence: Silence) -> dict[str, Any]:
    values = {name: getattr(silence, name) for name in Silence.__slots__}
    return values | {"matchers": [matcher.as_dict() for matcher in silence.matchers]}


def _readable(rows: Iterable[Row[Any]]) -> list[Silence]:
    """The silences of rows. One that cannot be read hides nothing, and hides no other."""
    found = []
    for row in rows:
        values = {name: row._mapping[name] for name in Silence.__slots__}
        try:
            values["matchers"] = tuple(LabelMatcher.from_dict(matcher) for matcher in values["matchers"])
        except (MatcherError, KeyError, TypeError) as error:
            log.error("silence_unreadable", id=values["id"], error=str(error))
            continue
        found.append(Silence(**values))
    return found
