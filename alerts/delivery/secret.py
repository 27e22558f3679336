"""What is secret in a channel's URL, and how it is kept out of every text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from alerts.delivery.privacy import deidentify

#: What stands in for a part of the URL in a service's error.
HIDDEN = "***"
#: Parts of a URL that are shorter than this are no secrets, and hiding them would garble the text.
_SHORTEST_SECRET = 4
#: Options of Apprise whose values are words that everybody knows.
_HARMLESS = frozenset(
    {"format", "overflow", "verify", "redirect", "mode", "image", "footer", "avatar", "rto", "cto", "emojis"}
    | {"interpret", "tz", "port", "secure", "method", "lang", "language", "priority", "silent", "preview", "mdv"}
)


def channel_name(url: str) -> str:
    """A name that holds no secret: the scheme and six hex digits of the hash, the same for the same URL."""
    scheme, separator, _ = url.partition("://")
    digest = hashlib.sha256(url.encode()).hexdigest()[:6]
    return f"{scheme.lower()[:20] if separator else 'unknown'}-{digest}"


def scheme_of(url: str) -> str:
    """The part before ``://``; empty where there is none."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator else ""


class Secrets:
    """The parts of a URL, and other texts, that must not be read by anybody."""

    def __init__(self, url: str, others: Iterable[str] = ()) -> None:
        self._parts = _parts(url, others)

    def scrub(self, text: str) -> str:
        """``text`` without them, and de-identified."""
        for part in self._parts:
            text = text.replace(part, HIDDEN)
        return deidentify(text)


def _parts(url: str, others: Iterable[str]) -> list[str]:
    """The whole URL and every part of it that could be a key, the longest first."""
    found = {url, url.partition("://")[2], *others}
    try:
        parts = urlsplit(url)
        found |= {parts.username or "", parts.password or "", *parts.path.split("/"), parts.netloc}
        found |= set(re.split("[:@]", parts.netloc))
        found |= {value for name, value in parse_qsl(parts.query) if name.lower() not in _HARMLESS}
    except ValueError:
        found |= set(url.replace("?", "/").replace("@", "/").replace(":", "/").split("/"))
    found |= {unquote(part) for part in found}
    found |= {quote(part, safe="") for part in found}
    return sorted((part for part in found if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)
