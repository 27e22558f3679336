"""Channels that were added in the page: kept in the database, what is secret in them encrypted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import SecretStr
from sqlalchemy import Engine as Database
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from alerts.delivery.secret import scheme_of
from alerts.delivery.service import AppriseService
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.vault import Vault, VaultError
from storage.tables import ChannelRow

_COLUMNS = ChannelRow.__table__.c
_NAME = re.compile(r"\w(?:[\w .-]{0,38}\w)?")
#: Fields of a spec that are kept beside the secret, and come back as they were.
_OPTIONS = ("kind", "send_resolved", "language", "least_level", "per_minute", "picture", "max_alerts")


class ChannelError(Exception):
    """A channel cannot be added, changed or removed; the message says why, without secrets."""

    permanent = True

    def __init__(self, kind: Literal["not_found", "conflict", "invalid"], message: str) -> None:
        super().__init__(message)
        self.kind: Literal["not_found", "conflict", "invalid"] = kind


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """One row. ``problem`` says why its secret cannot be read; then the URL of ``spec`` is empty."""

    spec: ChannelSpec
    scheme: str
    created_by: str
    created_ms: int
    problem: str | None = None


class ChannelStore:
    """Owns the table ``channels``."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def list(self) -> list[StoredChannel]:
        """All of them, the oldest first; also those whose key is lost."""
        with self._database.connect() as connection:
            rows = connection.execute(select(ChannelRow.__table__).order_by(_COLUMNS.id)).all()
        return [self._read(row) for row in rows]

    def get(self, name: str) -> StoredChannel:
        """One of them. Raises :class:`ChannelError`."""
        with self._database.connect() as connection:
            row = connection.execute(select(ChannelRow.__table__).where(_COLUMNS.name == name)).one_or_none()
        if row is None:
            raise _unknown(name)
        return self._read(row)

    def add(self, spec: ChannelSpec, by: str, now_ms: int) -> None:
        """Keep a new one. Raises :class:`ChannelError`."""
        check_spec(spec)
        values = {"name": spec.name, "created_by": by, "created_ms": now_ms, **self._sealed(spec), **_options(spec)}
        try:
            with self._database.begin() as connection:
                connection.execute(insert(ChannelRow).values(**values))
        except IntegrityError:
            raise ChannelError("conflict", f"there is a channel {spec.name!r} already") from None

    def change(self, spec: ChannelSpec) -> None:
        """Replace the one of this name; with an empty URL the secret stays. Raises :class:`ChannelError`."""
        values = _options(spec)
        if spec.url.get_secret_value():
            check_spec(spec)
            values |= self._sealed(spec)
        query = update(ChannelRow).where(_COLUMNS.name == spec.name).values(**values)
        with self._database.begin() as connection:
            if connection.execute(query).rowcount == 0:
                raise _unknown(spec.name)

    def remove(self, name: str) -> None:
        """Forget one. Raises :class:`ChannelError`."""
        with self._database.begin() as connection:
            if connection.execute(delete(ChannelRow).where(_COLUMNS.name == name)).rowcount == 0:
                raise _unknown(name)

    def _sealed(self, spec: ChannelSpec) -> dict[str, Any]:
        headers = {name: value.get_secret_value() for name, value in spec.headers}
        secret = json.dumps({"url": spec.url.get_secret_value(), "headers": headers})
        try:
            return {"secret": self._vault.seal(secret), "scheme": scheme_of(spec.url.get_secret_value())}
        except VaultError as error:
            raise ChannelError("conflict", f"the channel's URL cannot be encrypted: {error}") from error

    def _read(self, row: Row[Any]) -> StoredChannel:
        options: Mapping[str, Any] = {name: row.options[name] for name in _OPTIONS if name in row.options}
        kind = options.get("kind", "apprise")
        empty = ChannelSpec(**{**options, "name": row.name, "kind": kind, "url": SecretStr(""), "origin": "page"})
        try:
            secret = json.loads(self._vault.unseal(row.secret))
        except VaultError as error:
            problem = (
                f"the URL of channel {row.name!r} cannot be decrypted: {error}. "
                "Bring the key file back, or give the channel its URL again."
            )
            return StoredChannel(empty, row.scheme, row.created_by, row.created_ms, problem)
        headers = tuple((name, SecretStr(value)) for name, value in secret["headers"].items())
        spec = replace(empty, url=SecretStr(secret["url"]), headers=headers)
        return StoredChannel(spec, row.scheme, row.created_by, row.created_ms)


def check_spec(spec: ChannelSpec) -> None:
    """Raises :class:`ChannelError` for a name or a URL that will not do. Loads Apprise."""
    if _NAME.fullmatch(spec.name) is None:
        raise ChannelError("invalid", "a name is 1 to 40 letters, digits, spaces, dots, dashes and underscores")
    url = spec.url.get_secret_value()
    if len(url) > 4000 or not url.isprintable():
        raise ChannelError("invalid", "the URL is too long, or holds what cannot be printed")
    if spec.kind == "webhook":
        if re.fullmatch(r"https?://[^\s/?#]+\S*", url) is None:
            raise ChannelError("invalid", "the URL of a webhook begins with http:// or https://")
        return
    problem = AppriseService(url).check()
    if problem is not None:
        raise ChannelError("invalid", problem)


def _options(spec: ChannelSpec) -> dict[str, Any]:
    return {"options": {name: getattr(spec, name) for name in _OPTIONS}}


def _unknown(name: str) -> ChannelError:
    return ChannelError("not_found", f"there is no channel {name!r} that was added in the page")
