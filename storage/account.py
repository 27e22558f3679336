"""People and programs: users with passwords and roles, bearer tokens, and login links that work once."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import structlog
from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from storage.engine import hurried
from storage.error import StorageError
from storage.password import hash_password, needs_rehash, verify_password
from storage.tables import LoginLinkRow, TokenRow, UserRow

logger = structlog.get_logger(__name__)

Role = Literal["viewer", "operator", "admin"]

TOKEN_PREFIX = "wl_"  # lets people and scanners recognise a token
LINK_SECONDS = 24 * 3600.0
MIN_PASSWORD = 8
MAX_PASSWORD = 1024  #: longer ones only serve to keep the hasher busy
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
#: The use of a token is noted at most this often: a scrape every second is not worth a write every second.
_USED_EVERY_MS = 60_000
#: And a lock of another program holds the request up for so long at most.
_NOTE_SECONDS = 0.1

_FIND_TOKEN = "SELECT id, name, role, used_ms FROM tokens WHERE token_hash = ?"


class AccountError(ValueError):
    """What was asked of an account is not allowed; the sentence says why."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who is logged in. A session that was begun at another ``epoch`` has ended."""

    id: int
    name: str
    role: Role
    epoch: int


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """Which program it is."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class User:
    """A user as the list of users shows it."""

    id: int
    name: str
    role: Role
    created_ms: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the list of tokens shows it; the token itself is known to its owner only."""

    name: str
    role: Role
    created_ms: int
    used_ms: int | None


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Accounts:
    """The accounts of the database. ``clock`` stamps what was created and used, in UTC milliseconds."""

    def __init__(self, engine: Engine, clock: Callable[[], int] = _wall_ms) -> None:
        self._engine = engine
        self._clock = clock
        self._noted_ms: dict[int, int] = {}  # token's id → when its use was last noted, or was tried to be

    # --- users

    def authenticate(self, name: str, password: str) -> UserIdentity | None:
        """The user if the password is right and the user is not disabled; takes as long for an unknown name."""
        with self._engine.connect() as connection:
            row = connection.execute(
                select(UserRow.id, UserRow.name, UserRow.role, UserRow.epoch, UserRow.password_hash).where(
                    UserRow.name == name, UserRow.disabled.is_(False)
                )
            ).one_or_none()
        usable = row is not None and len(password) <= MAX_PASSWORD
        right = verify_password(row.password_hash if row and usable else None, password[:MAX_PASSWORD])
        if row is None or not right:
            return None
        if needs_rehash(row.password_hash):
            self._rehash(row.id, row.password_hash, password)
        return UserIdentity(row.id, row.name, row.role, row.epoch)

    def create_user(self, name: str, password: str, role: str) -> UserIdentity:
        """Add a user. Raises :class:`AccountError` for a taken or bad name, a short password, a bad role."""
        row = {
            "name": _checked_name(name),
            "role": _checked_role(role),
            "password_hash": hash_password(_checked_password(password)),
            "created_ms": self._clock(),
            "disabled": False,
            "epoch": 0,
        }
        unless_taken = insert(UserRow).on_conflict_do_nothing().returning(UserRow.id)
        with self._engine.begin() as connection:
            id: int | None = connection.execute(unless_taken, row).scalar_one_or_none()
        if id is None:
            raise AccountError(f"there is a user {name!r} already")
        return UserIdentity(id, name, _checked_role(role), 0)

    def set_password(self, name: str, password: str) -> None:
        """Give a user a new password; ends all of the user's sessions and unused login links."""
        password_hash = hash_password(_checked_password(password))
        with self._engine.begin() as connection:
            self._update(connection, name, password_hash=password_hash, epoch=UserRow.epoch + 1)
            connection.execute(delete(LoginLinkRow).where(LoginLinkRow.user == name))

    def set_role(self, name: str, role: str) -> None:
        """Give a user another role; ends the user's sessions. The last admin stays one."""
        with self._engine.begin() as connection:
            self._update(connection, name, role=_checked_role(role), epoch=UserRow.epoch + 1)
            self._keep_an_admin(connection)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Lock a user out, or let the user in again; ends the user's sessions. The last admin cannot be locked out."""
        with self._engine.begin() as connection:
            self._update(connection, name, disabled=disabled, epoch=UserRow.epoch + 1)
            self._keep_an_admin(connection)

    def end_sessions(self, name: str) -> None:
        """Log a user out everywhere."""
        with self._engine.begin() as connection:
            self._update(connection, name, epoch=UserRow.epoch + 1)

    def remove_user(self, name: str) -> None:
        """Delete a user and the user's login links. The last admin cannot be removed."""
        with self._engine.begin() as connection:
            if connection.execute(delete(UserRow).where(UserRow.name == name)).rowcount == 0:
                raise AccountError(f"there is no user {name!r}")
            connection.execute(delete(LoginLinkRow).where(LoginLinkRow.user == name))
            self._keep_an_admin(connection)

    def user(self, id: int) -> UserIdentity | None:
        """The user with this id; None when there is none or the user is disabled."""
        return self._identity(UserRow.id == id)

    def user_named(self, name: str) -> UserIdentity | None:
        """The user of this name; None when there is none or the user is disabled."""
        return self._identity(UserRow.name == name)

    def users(self) -> list[User]:
        """All users by name, disabled ones among them."""
        columns = (UserRow.id, UserRow.name, UserRow.role, UserRow.created_ms, UserRow.disabled)
        with self._engine.connect() as connection:
            return [User(**row) for row in connection.execute(select(*columns).order_by(UserRow.name)).mappings()]

    # --- tokens

    def create_token(self, name: str, role: str) -> str:
        """Make a bearer token and return it: it is kept as a hash, so this is the only time it can be shown."""
        text = TOKEN_PREFIX + secrets.token_urlsafe(24)
        row = {"name": _checked_name(name), "role": _checked_role(role), "created_ms": self._clock()}
        unless_taken = insert(TokenRow).on_conflict_do_nothing().returning(TokenRow.id)
        with self._engine.begin() as connection:
            if connection.execute(unless_taken, {**row, "token_hash": _digest(text)}).scalar_one_or_none() is None:
                raise AccountError(f"there is a token {name!r} already")
        return text

    def token(self, text: str) -> TokenIdentity | None:
        """Whose token this is; None for one that is unknown or revoked."""
        with self._engine.connect() as connection:  # in plain SQL: it is asked for with every call of a program
            row = connection.exec_driver_sql(_FIND_TOKEN, (_digest(text),)).one_or_none()
        if row is None:
            return None
        id, name, role, used_ms = row
        self._note_use(id, used_ms)
        return TokenIdentity(name, role)

    def tokens(self) -> list[Token]:
        """All tokens by name, without the tokens themselves."""
        query = select(TokenRow.name, TokenRow.role, TokenRow.created_ms, TokenRow.used_ms).order_by(TokenRow.name)
        with self._engine.connect() as connection:
            return [Token(**row) for row in connection.execute(query).mappings()]

    def revoke_token(self, name: str) -> None:
        """Make a token useless. Raises :class:`AccountError` when there is none of this name."""
        with self._engine.begin() as connection:
            if connection.execute(delete(TokenRow).where(TokenRow.name == name)).rowcount == 0:
                raise AccountError(f"there is no token {name!r}")

    # --- login links

    def create_link(self, user: str, now_ms: int, lifetime_seconds: float = LINK_SECONDS) -> str:
        """Make the secret of a link that logs ``user`` in once, until it expires."""
        if self.user_named(user) is None:
            raise AccountError(f"there is no user {user!r} who may log in")
        text = secrets.token_urlsafe(24)
        row = {"link_hash": _digest(text), "user": user, "expires_ms": now_ms + int(lifetime_seconds * 1000)}
        with self._engine.begin() as connection:
            connection.execute(insert(LoginLinkRow), row)
        return text

    def use_link(self, text: str, now_ms: int) -> UserIdentity | None:
        """Log in with a link; None when it is unknown, used or expired, or its user may not log in any more."""
        claim = (
            update(LoginLinkRow)
            .where(
                LoginLinkRow.link_hash == _digest(text),
                LoginLinkRow.used_ms.is_(None),
                LoginLinkRow.expires_ms > now_ms,
            )
            .values(used_ms=now_ms)
            .returning(LoginLinkRow.user)
        )
        with self._engine.begin() as connection:
            user: str | None = connection.execute(claim).scalar_one_or_none()  # of two at once, one gets the row
        return None if user is None else self.user_named(user)

    # --- how

    def _identity(self, which: Any) -> UserIdentity | None:
        query = select(UserRow.id, UserRow.name, UserRow.role, UserRow.epoch).where(which, UserRow.disabled.is_(False))
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else UserIdentity(**row)

    def _note_use(self, id: int, used_ms: int | None) -> None:
        """Note that a token was used. A database that cannot be written is no reason to refuse the request."""
        now_ms = self._clock()
        if 0 <= now_ms - self._noted_ms.get(id, used_ms or 0) < _USED_EVERY_MS:
            return
        self._noted_ms[id] = now_ms  # before the attempt: while it fails, one request a minute waits for it, not all
        try:
            with hurried(_NOTE_SECONDS), self._engine.begin() as connection:
                connection.execute(update(TokenRow).where(TokenRow.id == id).values(used_ms=now_ms))
        except StorageError as error:
            logger.warning("token_use_not_noted", error=str(error))

    @staticmethod
    def _update(connection: Connection, name: str, **values: Any) -> None:
        if connection.execute(update(UserRow).where(UserRow.name == name).values(**values)).rowcount == 0:
            raise AccountError(f"there is no user {name!r}")

    @staticmethod
    def _keep_an_admin(connection: Connection) -> None:
        """Undo the transaction when it leaves nobody who could undo it by hand."""
        query = select(func.count()).where(UserRow.role == "admin", UserRow.disabled.is_(False))
        if connection.execute(query).scalar_one() == 0:
            raise AccountError("the last admin must stay: make another user admin first")

    def _rehash(self, id: int, old_hash: str, password: str) -> None:
        """Store the password with today's parameters, unless it has been changed meanwhile; if not now, next time."""
        new_hash = hash_password(password)
        unchanged = (UserRow.id == id) & (UserRow.password_hash == old_hash)
        try:
            with self._engine.begin() as connection:
                connection.execute(update(UserRow).where(unchanged).values(password_hash=new_hash))
        except StorageError as error:
            logger.warning("password_not_rehashed", error=str(error))


def _digest(secret: str) -> str:
    """SHA-256 is enough for secrets of 192 random bits: there is nothing to guess from."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise AccountError(
            f"the name {name!r} is not allowed: 1 to 64 letters, digits, '.', '_', '@' or '-', a letter or digit first"
        )
    return name


def _checked_role(role: str) -> Role:
    if role not in get_args(Role):
        raise AccountError(f"there is no role {role!r}: it must be viewer, operator or admin")
    return cast(Role, role)


def _checked_password(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return password
