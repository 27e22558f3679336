"""Takes secrets out of lines that go into the ledger, onto a page or out of the house."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from config import HIDDEN, Settings

#: Variables whose values nobody should read.
_SECRET_NAMES = re.compile(r"PASSW|SECRET|TOKEN|API_?KEY|PRIVATE|CREDENTIAL|CHANNELS|HEARTBEAT_URL", re.I)
_SHORTEST = 6
_WORDS = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|authorization|cookie)[\"']?\s*(?:[:=]|\bis\b)\s*[\"']?"
    r"(?:bearer\s+|basic\s+)?)(?!\(hidden)([^\s\"',;)}\]]{4,})"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_USERINFO = re.compile(r"(?<=://)[^\s/@]+@")
_LINK = re.compile(r"(?<=/login/link/)[\w.~-]+")


class Mask:
    """Knows this program's own secrets and what secrets of others look like."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)

    @classmethod
    def of(cls, settings: Settings, environment: Mapping[str, str] = os.environ) -> Mask:
        """The secrets of the settings, and of every variable that is named like one."""
        known = [value for name, value in environment.items() if _SECRET_NAMES.search(name)]
        known += [url.get_secret_value() for url in (*settings.alerts.channels, *settings.supervisor.channels)]
        for secret in (settings.admin_password, settings.supervisor.heartbeat_url):
            known += [] if secret is None else [secret.get_secret_value()]
        return cls(known)

    def __call__(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        line = _WORDS.sub(lambda match: match[1] + HIDDEN, line)
        line = _BEARER.sub(lambda match: f"{match[1]} {HIDDEN}", line)
        return _LINK.sub(HIDDEN, _USERINFO.sub(f"{HIDDEN}@", line))
