"""What is secret in a channel's URL, and how it is kept out of every text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from mask import deidentify

#: What stands in for a part of the URL in a service's error.
HIDDEN = "***"
#: Parts of a URL that are shorter than this are no secrets, and hiding them would garble the text.
_SHORTEST_SECRET = 4
#: The address by which a notice can be acknowledged, up to its token; a service's answer may hold it as JSON.
_ACK_LINK = re.compile(r"(/ack\\?/)[\w.=%-]+")
#: What could move the cursor, hide text or turn it around where it is read.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
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


def without_links(text: str) -> str:
    """``text`` without the tokens of its links: whoever reads it later must not acknowledge in another's place."""
    return _ACK_LINK.sub(rf"\1{HIDDEN}", text)


class Secrets:
    """The parts of a URL, and other texts, that must not be read by anybody."""

    def __init__(self, url: str, others: Iterable[str] = ()) -> None:
        self._parts = _parts(url, others)

    def scrub(self, text: str) -> str:
        """``text`` without them, without links to acknowledge and control characters, and de-identified."""
        for part in self._parts:
            text = text.replace(part, HIDDEN)
        return deidentify(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", without_links(text)))


def _parts(url: str, others: Iterable[str]) -> list[str]:
    """The whole URL and every part of it that could be a key, the longest first."""
    found = {url, url.partition("://")[2], *others}
    try:
        parts = urlsplit(url)
        found |= {parts.username or "", parts.password or "", *parts.path.split("/"), parts.netloc}
        found |= set(re.split("[:@]", parts.netloc))
        found |= {value for name, value in parse_qsl(parts.query) if name.lower() not in _HARMLESS}
        found |= _encoded(parts.netloc.rpartition("@")[0])
    except ValueError:
        found |= set(url.replace("?", "/").replace("@", "/").replace(":", "/").split("/"))
    found |= {unquote(part) for part in found}
    found |= {quote(part, safe="") for part in found}
    return sorted((part for part in found if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


def _encoded(login: str) -> set[str]:
    """A name and a password as HTTP's basic authentication and SMTP send them: a service may repeat what it got."""
    if not login:
        return set()
    name, _, password = (unquote(part) for part in login.partition(":"))
    spoken = {f"{name}:{password}", f"\0{name}\0{password}", name, password}
    # Two codings of characters are in use; without the padding, which may have been cut off.
    codings = ("utf-8", "latin-1")
    return {
        base64.b64encode(one.encode(coding, "replace")).decode().rstrip("=")
        for one in spoken
        if one
        for coding in codings
    }
