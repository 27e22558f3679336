"""Slack, Telegram and Discord, as their public documentation says.

Apprise has their hosts built in; ``patch`` points the plug-in's own address at the local server, and nothing else.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.alerts.delivery.receivers.http import Call, Reply, Service

PNG = b"\x89PNG\r\n"


class SlackWebhook(Service):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""

    KEYS = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    url = f"slack://{KEYS}"

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        from apprise.plugins.slack import NotifySlack

        patch.setattr(NotifySlack, "webhook_url", f"{self.base}/services")

    def answer(self, call: Call) -> Reply:
        if call.path != f"/services/{self.KEYS}":
            return Reply(403, "invalid_token")
        if not (call.json.get("text") or call.json.get("attachments") or call.json.get("blocks")):
            return Reply(400, "no_text")
        return Reply(body="ok")


class SlackBot(Service):
    """https://docs.slack.dev/reference/methods/chat.postMessage: it refuses with HTTP 200 and "ok": false."""

    TOKEN = "xoxb-1234-1234-4ddbaca34"
    url = f"slack://{TOKEN}/%23general"

    def __init__(self, *trouble: Reply) -> None:
        super().__init__(*trouble)
        self.files: list[bytes] = []

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        from apprise.plugins.slack import NotifySlack

        patch.setattr(NotifySlack, "api_url", f"{self.base}/api/{{}}")

    def is_success(self, reply: Reply) -> bool:
        return reply.status < 300 and (isinstance(reply.body, str) or bool(reply.body.get("ok")))

    def answer(self, call: Call) -> Reply:
        if call.path.startswith("/upload/"):
            self.files.append(call.parts()["file"])
            return Reply(body=f"OK - {len(self.files[-1])}")
        if call.headers.get("authorization") != f"Bearer {self.TOKEN}":
            return Reply(body={"ok": False, "error": "invalid_auth"})
        method = call.path.rpartition("/")[2]
        if method == "chat.postMessage":
            if call.json["channel"] != "#general":
                return Reply(body={"ok": False, "error": "channel_not_found"})
            return Reply(body={"ok": True, "channel": "C123", "ts": "1503435956.000247", "message": {}})
        if method == "files.getUploadURLExternal":
            return Reply(body={"ok": True, "upload_url": f"{self.base}/upload/v1/ABC", "file_id": "F123"})
        return Reply(body={"ok": True, "files": [{"id": "F123", "title": "last-hour.png"}]})


class Telegram(Service):
    """https://core.telegram.org/bots/api"""

    TOKEN = "123456789:abcdefghijklmnopqrstuvwxyz_ABCDEFGH"
    CHAT = "-1001234567890"
    url = f"tgram://{TOKEN}/{CHAT}/"

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        from apprise.plugins.telegram import NotifyTelegram

        patch.setattr(NotifyTelegram, "notify_url", f"{self.base}/bot")

    def answer(self, call: Call) -> Reply:
        found = re.fullmatch(r"/bot([^/]+)/(\w+)", call.path)
        if found is None or found[1] != self.TOKEN:
            return _telegram(401, "Unauthorized")
        fields: dict[str, Any] = (
            call.json
            if "json" in call.headers.get("content-type", "")
            else {name: value.decode("utf-8", "replace") for name, value in call.parts().items()}
        )
        if str(fields.get("chat_id")) != self.CHAT:
            return _telegram(400, "Bad Request: chat not found")
        text = str(fields.get("text") or fields.get("caption") or "")
        if len(text) > (4096 if "text" in fields else 1024):
            return _telegram(400, "Bad Request: message is too long")
        if fields.get("parse_mode") == "HTML" and not _Tags.fit(text):
            return _telegram(400, "Bad Request: can't parse entities: unsupported start tag")
        return Reply(body={"ok": True, "result": {"message_id": len(self.calls)}})


class Discord(Service):
    """https://discord.com/developers/docs/resources/webhook#execute-webhook"""

    ID = "417421629812345678"
    TOKEN = "JHMHI8qBe7bk2ZwO5U711o3dV_js"
    url = f"discord://{ID}/{TOKEN}"

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        from apprise.plugins.discord import NotifyDiscord

        patch.setattr(NotifyDiscord, "notify_url", f"{self.base}/api/webhooks")

    def answer(self, call: Call) -> Reply:
        if not call.path.startswith(f"/api/webhooks/{self.ID}/"):
            return Reply(404, {"message": "Unknown Webhook", "code": 10015})
        if call.path != f"/api/webhooks/{self.ID}/{self.TOKEN}":
            return Reply(401, {"message": "Invalid Webhook Token", "code": 50027})
        if "multipart" in call.headers["content-type"]:
            return Reply(body={"id": "1", "attachments": [{}]})
        content = call.json.get("content", "")
        if not content and not call.json.get("embeds"):
            return Reply(400, {"message": "Cannot send an empty message", "code": 50006})
        if len(content) > 2000:
            return Reply(400, {"message": "Invalid Form Body", "code": 50035, "errors": {"content": {}}})
        return Reply(204)


def _telegram(status: int, description: str) -> Reply:
    return Reply(status, {"ok": False, "error_code": status, "description": description})


class _Tags(HTMLParser):
    """Telegram takes few tags, and each has to be closed."""

    KNOWN = frozenset({"b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote", "span"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fine = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fine &= tag in self.KNOWN
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.fine &= bool(self.open) and self.open.pop() == tag

    @classmethod
    def fit(cls, text: str) -> bool:
        parser = cls()
        parser.feed(text)
        return parser.fine and not parser.open
