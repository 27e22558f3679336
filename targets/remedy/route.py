"""Where callers of ``/go/NAME/…`` are sent: to the target itself, or to its standby."""

from __future__ import annotations

import posixpath
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from config_target import TargetSettings

#: What may stand in a path and in a query as it is (RFC 3986); all else, line ends among it, is encoded.
_PATH_SIGNS = "/:@!$&'()*+,;=~-._"
_QUERY_SIGNS = "/?:@!$&'()*+,;=~-._%"


def primary_url(settings: TargetSettings) -> str | None:
    """Where the target itself answers: the origin of its HTTP probe's URL; None if it has none."""
    if settings.http is None:
        return None
    parts = urlsplit(settings.http.url)
    return f"{parts.scheme}://{_host(parts)}/"


def standby_url(settings: TargetSettings) -> str | None:
    """The first standby of its ladder, without a user or a query; None if it has none."""
    found = next((rung.standby for rung in settings.remedies if rung.standby is not None), None)
    if found is None:
        return None
    parts = urlsplit(found)
    return urlunsplit((parts.scheme, _host(parts), parts.path, "", ""))


def _host(parts: SplitResult) -> str:
    """Host and port: who is sent there need not know with which password."""
    return parts.netloc.rpartition("@")[2]


def address(base: str, path: str, query: str) -> str:
    """``path`` and ``query`` below ``base``, whose host and path no path can leave.

    ``path`` is decoded and is normalised: ``..`` goes no higher than ``base``. ``query`` is as its caller wrote it.
    """
    parts = urlsplit(base)
    plain = path.replace("\\", "/")
    inner = posixpath.normpath("/" + plain.lstrip("/")).lstrip("/")
    tail = "/" if inner and plain.endswith("/") else ""
    joined = f"{parts.path.rstrip('/')}/{quote(inner, safe=_PATH_SIGNS)}{tail}"
    return urlunsplit((parts.scheme, parts.netloc, joined, quote(query, safe=_QUERY_SIGNS), ""))
