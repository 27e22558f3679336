"""Where Apprise 2.2 falls short of its services: signed robots of DingTalk, Feishu and Lark, pictures for WeCom.

Imports Apprise, so it is itself imported only when a channel is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import apprise.plugins.dingtalk
import apprise.plugins.feishu
import apprise.plugins.wecombot
import requests

from alerts.delivery.wire import FILE_HEADER

# Apprise has few types; what is taken from it has none.
NotifyDingTalk: Any = apprise.plugins.dingtalk.NotifyDingTalk
NotifyFeishu: Any = apprise.plugins.feishu.NotifyFeishu
NotifyWeComBot: Any = apprise.plugins.wecombot.NotifyWeComBot

_WECOM_KEY = re.compile(r"[A-Za-z0-9_-]+")


def robot(url: str, asset: Any) -> Any:
    """A robot of Feishu or Lark that signs, for ``feishu://TOKEN?secret=…``, or one of WeCom that takes a picture.

    None for every other URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # such as half an IPv6 address: Apprise says what it thinks of it
        return None
    scheme, query = parts.scheme.lower(), parse_qs(parts.query)
    key = unquote(url.partition("://")[2]).partition("?")[0].strip("/")
    secret = query.get("secret", [""])[0]
    if scheme in ("feishu", "lark") and secret:
        return SignedFeishu(key, secret, lark=scheme == "lark", asset=asset)
    if scheme == "wecombot" and not query and _WECOM_KEY.fullmatch(key):
        return PicturedWeCom(key, asset=asset)
    return None


def mend(plugin: Any) -> None:
    """Have a plug-in sign as its service reads it."""
    if isinstance(plugin, NotifyDingTalk):
        sign = plugin.get_signature

        def signature() -> tuple[str, str]:
            """Quoted once: requests quotes parameters itself, and DingTalk refuses what is quoted twice."""
            timestamp, quoted = sign()
            return timestamp, unquote(quoted)

        plugin.get_signature = signature


class SignedFeishu(NotifyFeishu):  # type: ignore[misc]  # as above
    """A group robot with signature verification, which Apprise's own plug-in does not know."""

    def __init__(self, token: str, secret: str, *, lark: bool, **options: Any) -> None:
        super().__init__(token, **options)
        self._robot_secret = secret
        if lark:
            self.notify_url = "https://open.larksuite.com/open-apis/bot/v2/hook/{token}"

    def send(self, body: str, title: str = "", notify_type: Any = None, **options: Any) -> bool:
        """Post one text message; whether it was taken. Why not is heard on the wire."""
        timestamp = str(int(time.time()))
        # The key is the time and the secret; what is hashed is empty.
        digest = hmac.new(f"{timestamp}\n{self._robot_secret}".encode(), b"", hashlib.sha256).digest()
        payload = {
            "timestamp": timestamp,
            "sign": base64.b64encode(digest).decode(),
            "msg_type": "text",
            "content": {"text": body},
        }
        return _post(self, self.notify_url.format(token=self.token), payload)


class PicturedWeCom(NotifyWeComBot):  # type: ignore[misc]  # as above
    """A group robot that is sent a picture after the words, each as a message of its own."""

    attachment_support = True

    def send(self, body: str, title: str = "", notify_type: Any = None, attach: Any = None, **options: Any) -> bool:
        """Post the words, then the pictures; whether the words were taken. Why not is heard on the wire."""
        if not _post(self, self.api_url, {"msgtype": "text", "text": {"content": body}}):
            return False
        for one in attach or ():
            with one.open() as file:
                content = file.read()
            # WeCom asks for MD5 to see that all has come; it protects nothing.
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            image = {"base64": base64.b64encode(content).decode(), "md5": digest}
            _post(self, self.api_url, {"msgtype": "image", "image": image}, {FILE_HEADER: "image"})
        return True


def _post(plugin: Any, url: str, payload: dict[str, Any], headers: dict[str, str] | None = None) -> bool:
    """Post JSON as a plug-in is set up to; whether the status was 200."""
    try:
        response = requests.post(
            url,
            data=json.dumps(payload).encode(),
            headers={"User-Agent": plugin.app_id, "Content-Type": "application/json", **(headers or {})},
            verify=plugin.verify_certificate,
            timeout=plugin.request_timeout,
            allow_redirects=False,
        )
    except requests.RequestException:
        return False
    return bool(response.status_code == requests.codes.ok)
