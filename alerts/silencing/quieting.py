"""Everything that keeps notices back on purpose: silences and maintenance; and links that acknowledge."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine as Database

from alerts.silencing.link import AckLinks
from alerts.silencing.maintenance import Maintenance
from alerts.silencing.silence import Silences


class Quieting:
    """Owns silences, maintenance windows and links of one server; reads from the database what there is of them."""

    def __init__(
        self, database: Database, *, now_ms: int, secret_key: str | bytes, public_url: str | None, link_hours: float
    ) -> None:
        self.silences = Silences(database)
        self.maintenance = Maintenance(database)
        self.links = AckLinks(database, secret_key, public_url, link_hours)
        self.silences.load(now_ms)
        self.maintenance.load()

    def mutes(self, labels: Mapping[str, str], now_ms: int) -> list[str]:
        """Ids of silences and names of maintenance windows that keep an alert's notices back now; cheap."""
        return [*self.silences.mutes(labels, now_ms), *self.maintenance.mutes(labels, now_ms)]

    def reasons(self, labels: Mapping[str, str], now_ms: int) -> dict[str, list[str]]:
        """The same, told apart: ``silenced_by`` are ids of silences, ``muted_by`` names of windows."""
        return {
            "silenced_by": self.silences.mutes(labels, now_ms),
            "muted_by": self.maintenance.mutes(labels, now_ms),
        }

    def forget(self, now_ms: int, keep_ms: int) -> None:
        """Delete silences that expired more than ``keep_ms`` ago, and links of no more use."""
        self.silences.forget(now_ms - keep_ms)
        self.links.forget(now_ms)
