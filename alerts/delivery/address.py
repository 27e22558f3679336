"""Addresses as services hand them out, read as the Apprise URLs that they stand for. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from alerts.delivery.spec import ChannelSpec

#: Hosts and paths of services' own addresses, and the Apprise URL of what they hold.
_NATIVE = (
    (r"https://open\.feishu\.cn/open-apis/bot/v2/hook/([\w-]+)/?", "feishu://{0}"),
    (r"https://open\.larksuite\.com/open-apis/bot/v2/hook/([\w-]+)/?", "lark://{0}"),
    (r"https://hooks\.slack\.com/services/(\w+)/(\w+)/(\w+)/?", "slack://{0}/{1}/{2}"),
    (r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/(\d+)/([\w-]+)/?", "discord://{0}/{1}"),
)
#: Those that hold their key in the query.
_QUERIED = (
    ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send", "key", "wecombot://{0}"),
    ("https://oapi.dingtalk.com/robot/send", "access_token", "dingtalk://{0}"),
)


def canonical(spec: ChannelSpec) -> ChannelSpec:
    """A spec whose URL is Apprise's, where it was one that a service hands out; every other as it is."""
    if spec.kind != "apprise":
        return spec
    return replace(spec, url=SecretStr(apprise_url(spec.url.get_secret_value())))


def apprise_url(url: str) -> str:
    """The Apprise URL of an address that a service hands out; anything else as it is.

    A robot's secret may follow such an address: ``…&secret=SEC…`` or ``…?secret=…``.
    """
    return _converted(url.strip()) or url.strip()


def _converted(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    base, query = f"{parts.scheme}://{parts.netloc}{parts.path}", parse_qs(parts.query)
    secret = query.get("secret", [""])[0]
    for pattern, form in _NATIVE:
        if found := re.fullmatch(pattern, base):
            return form.format(*found.groups()) + (f"?secret={secret}" if secret else "")
    for address, name, form in _QUERIED:
        key = query.get(name, [""])[0]
        if base.rstrip("/") == address and key:
            return form.format(f"{secret}@{key}" if secret else key)
    return None
