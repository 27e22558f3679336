"""Links by which a person who got a notice acknowledges its alerts, once, without logging in.

A token is random and signed: one that was guessed or cut short never reaches the database. There it is kept as SHA-256,
so that who reads the database cannot use it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from itsdangerous import BadSignature, Signer
from sqlalchemy import Engine as Database
from sqlalchemy import delete, insert, select, update

from storage.tables import AckLinkRow

#: Alerts of one link.
MAX_ALERTS = 500
_HOUR_MS = 3_600_000
#: A link that was used or has expired is known for so long, so that the page can say what became of it.
_KEPT_MS = 7 * 24 * _HOUR_MS
_MAX_TOKEN = 200
_COLUMNS = AckLinkRow.__table__.c

LinkState = Literal["open", "used", "expired"]


@dataclass(frozen=True, slots=True)
class AckLink:
    """What a link is for, and what has become of it. ``alerts`` are ids; times are UTC milliseconds."""

    alerts: tuple[int, ...]
    expires_ms: int
    used_ms: int | None
    used_by: str | None

    def state(self, now_ms: int) -> LinkState:
        """Whether it can be used now."""
        if self.used_ms is not None:
            return "used"
        return "open" if now_ms < self.expires_ms else "expired"


class AckLinks:
    """Makes links and uses them up. Any thread may call any method.

    ``public_url`` is where people reach this server, None if nobody has said; ``hours`` is how long a link works, 0
    for none at all.
    """

    def __init__(self, database: Database, secret_key: str | bytes, public_url: str | None, hours: float) -> None:
        self._database = database
        self._signer = Signer(secret_key, salt="wakeless.ack-link", digest_method=hashlib.sha256)
        self._public_url = public_url.rstrip("/") if public_url else None
        self._lifetime_ms = int(hours * _HOUR_MS)

    def make(self, alert_ids: Iterable[int], now_ms: int) -> str | None:
        """The address of a new link for these alerts; None where there are to be none, or nothing to acknowledge."""
        alerts = [alert_id for alert_id in dict.fromkeys(alert_ids) if alert_id > 0][:MAX_ALERTS]
        if self._public_url is None or self._lifetime_ms <= 0 or not alerts:
            return None
        token = self._signer.sign(secrets.token_urlsafe(18)).decode()
        row = {"link_hash": _digest(token), "alerts": alerts, "expires_ms": now_ms + self._lifetime_ms}
        with self._database.begin() as connection:
            connection.execute(insert(AckLinkRow), row)
        return f"{self._public_url}/ack/{token}"

    def look(self, token: str, now_ms: int) -> AckLink | None:
        """What a token is for; None for one that this server never gave out. Changes nothing."""
        if not self._is_ours(token):
            return None
        columns = (AckLinkRow.alerts, AckLinkRow.expires_ms, AckLinkRow.used_ms, AckLinkRow.used_by)
        with self._database.connect() as connection:
            row = connection.execute(select(*columns).where(AckLinkRow.link_hash == _digest(token))).one_or_none()
        if row is None:  # ours by its signature, and so old that it was forgotten
            return AckLink((), now_ms, None, None)
        return AckLink(tuple(row.alerts), row.expires_ms, row.used_ms, row.used_by)

    def use(self, token: str, by: str, now_ms: int) -> tuple[int, ...] | None:
        """Use a link up and get its alerts; None if it cannot be used (any more). Of two at once, one gets them."""
        if not self._is_ours(token):
            return None
        claim = (
            update(AckLinkRow)
            .where(AckLinkRow.link_hash == _digest(token), AckLinkRow.used_ms.is_(None), AckLinkRow.expires_ms > now_ms)
            .values(used_ms=now_ms, used_by=by)
            .returning(AckLinkRow.alerts)
        )
        with self._database.begin() as connection:
            found = connection.execute(claim).scalar_one_or_none()
        return None if found is None else tuple(found)

    def give_back(self, token: str) -> None:
        """Undo :meth:`use`: what it was used for could not be done."""
        with self._database.begin() as connection:
            undo = update(AckLinkRow).where(AckLinkRow.link_hash == _digest(token))
            connection.execute(undo.values(used_ms=None, used_by=None))

    def forget(self, now_ms: int) -> int:
        """Delete links that expired a week ago and more; returns how many."""
        with self._database.begin() as connection:
            return connection.execute(delete(AckLinkRow).where(_COLUMNS.expires_ms < now_ms - _KEPT_MS)).rowcount

    def _is_ours(self, token: str) -> bool:
        if len(token) > _MAX_TOKEN:
            return False
        try:
            self._signer.unsign(token)
        except (BadSignature, UnicodeError):
            return False
        return True


def _digest(token: str) -> str:
    """SHA-256 is enough for a secret of 144 random bits: there is nothing to guess from."""
    return hashlib.sha256(token.encode()).hexdigest()
