"""Where Apprise 2.2 falls short of what its services ask for: signed robots of DingTalk, Feishu and Lark.

Imports Apprise, so it is itself imported only when a channel is used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import apprise.plugins.dingtalk
import apprise.plugins.feishu
import requests

# Apprise has few types; what is taken from it has none.
NotifyDingTalk: Any = apprise.plugins.dingtalk.NotifyDingTalk
NotifyFeishu: Any = apprise.plugins.feishu.NotifyFeishu


def robot(url: str, asset: Any) -> Any:
    """A robot of Feishu or Lark that signs, for ``feishu://TOKEN?secret=…``; None for every other URL."""
    parts = urlsplit(url)
    secret = parse_qs(parts.query).get("secret", [""])[0]
    if parts.scheme.lower() not in ("feishu", "lark") or not secret:
        return None
    token = unquote(url.partition("://")[2]).partition("?")[0].strip("/")
    return SignedFeishu(token, secret, lark=parts.scheme.lower() == "lark", asset=asset)


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
        try:
            response = requests.post(
                self.notify_url.format(token=self.token),
                data=json.dumps(payload).encode(),
                headers={"User-Agent": self.app_id, "Content-Type": "application/json"},
                verify=self.verify_certificate,
                timeout=self.request_timeout,
                allow_redirects=False,
            )
        except requests.RequestException:
            return False
        return bool(response.status_code == requests.codes.ok)
