"""The rule file that is written in the page: every save is a version, with who and why, and the newest is in force."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, insert, select

from alerts.rule import Group, RuleError, parse_rules
from storage.tables import RuleTextRow

#: What messages and the page call this file.
PAGE = "page"
#: Characters of a text, and of the comment on it.
MAX_TEXT, MAX_COMMENT = 200_000, 500

_COLUMNS = RuleTextRow.__table__.c


class RuleText(NamedTuple):
    """One version of the page's rules; 0 is the empty text before the first save."""

    version: int
    time_ms: int
    author: str
    comment: str
    text: str

    def groups(self) -> list[Group]:
        """What it says. Raises :class:`RuleError`."""
        groups, problems = parse_rules(self.text, PAGE)
        if problems:
            raise RuleError(problems)
        return groups


class NewerRules(Exception):
    """Somebody saved rules after the version that a change was made from."""

    permanent = True

    def __init__(self, newest: RuleText) -> None:
        super().__init__(f"version {newest.version} was saved by {newest.author} meanwhile")
        self.newest = newest


class Rulebook:
    """Owns the rows of rule_texts. A text is checked whole before it becomes a version."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def current(self) -> RuleText:
        """The newest version."""
        with self._database.connect() as connection:
            return _newest(connection)

    def save(self, text: str, author: str, comment: str, base_version: int, now_ms: int) -> RuleText:
        """Make ``text`` the newest version; one that says the same as the newest is not written again.

        Raises :class:`RuleError` for what cannot be used, and :class:`NewerRules` where ``base_version`` is not the
        newest.
        """
        RuleText(0, now_ms, author, comment, text).groups()
        with self._database.begin() as connection:
            newest = _newest(connection)
            if newest.version != base_version:
                raise NewerRules(newest)
            if newest.text == text:
                return newest
            values = {"time_ms": now_ms, "author": author, "comment": comment, "text": text}
            key: Any = connection.execute(insert(RuleTextRow).values(**values)).inserted_primary_key
            return RuleText(int(key[0]), **values)  # type: ignore[arg-type]

    def restore(self, version: int, author: str, comment: str, base_version: int, now_ms: int) -> RuleText:
        """Save what an earlier version said as a new one. Raises LookupError, and as :meth:`save`."""
        found = self.version(version)
        if found is None:
            raise LookupError(f"there is no version {version}")
        return self.save(found.text, author, comment, base_version, now_ms)

    def version(self, version: int) -> RuleText | None:
        """One version with its text."""
        with self._database.connect() as connection:
            query = select(RuleTextRow.__table__).where(_COLUMNS.id == version)
            row = connection.execute(query).one_or_none() if 0 < version < 1 << 63 else None
        return None if row is None else _rule_text(row)

    def versions(self, limit: int = 100) -> list[RuleText]:
        """The newest versions first."""
        query = select(RuleTextRow.__table__).order_by(_COLUMNS.id.desc()).limit(limit)
        with self._database.connect() as connection:
            return [_rule_text(row) for row in connection.execute(query)]

    def newest_version(self) -> int:
        """The number of the newest version; cheap."""
        with self._database.connect() as connection:
            return connection.execute(select(_COLUMNS.id).order_by(_COLUMNS.id.desc()).limit(1)).scalar() or 0


def _newest(connection: Connection) -> RuleText:
    query = select(RuleTextRow.__table__).order_by(_COLUMNS.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return RuleText(0, 0, "", "", "") if row is None else _rule_text(row)


def _rule_text(row: Row[Any]) -> RuleText:
    return RuleText(row.id, row.time_ms, row.author, row.comment, row.text)
