"""Where a channel leads and how it is spoken to, as a settings file, a routing file or the page says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel. ``kind`` webhook: Alertmanager's payload (version 4) is posted to ``url``; apprise: any Apprise URL.

    ``least_level`` bounds what the default routing sends there (a routing file decides for itself). ``per_minute`` 0:
    what is known of the service. ``headers`` go with a webhook. ``max_alerts`` 0: all of a group.
    """

    name: str
    kind: Literal["apprise", "webhook"]
    url: SecretStr
    send_resolved: bool = True
    language: Literal["en", "zh"] | None = None  # None: the server's
    least_level: int = 2
    per_minute: float = 0.0
    picture: bool = True
    max_alerts: int = 0
    headers: tuple[tuple[str, SecretStr], ...] = ()
    origin: Literal["settings", "routing", "page"] = "settings"
