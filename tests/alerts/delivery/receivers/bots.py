"""Group robots of WeCom, Feishu and DingTalk, as their public documentation says: most refuse with HTTP 200.

Apprise has their hosts built in; ``Patch`` points the plug-in's own address at the local server, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from tests.alerts.delivery.receivers.http import Call, Reply, Service

Patch = pytest.MonkeyPatch


class Robot(Service):
    """Takes 20 messages a minute, or as many as ``limit`` says."""

    limit = 20

    def is_success(self, reply: Reply) -> bool:
        said = reply.body if isinstance(reply.body, dict) else {}
        return reply.status == 200 and said.get("errcode", said.get("code")) == 0


class WeCom(Robot):
    """https://developer.work.weixin.qq.com/document/path/91770"""

    KEY = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"
    url = f"wecombot://{KEY}"

    def __init__(self, *trouble: Reply) -> None:
        super().__init__(*trouble)
        self.pictures: list[bytes] = []

    def patch(self, patch: Patch) -> None:
        from apprise.plugins.wecombot import NotifyWeComBot

        patch.setattr(NotifyWeComBot, "notify_url", f"{self.base}/cgi-bin/webhook/send?key={{key}}")

    def answer(self, call: Call) -> Reply:
        if call.path != "/cgi-bin/webhook/send" or call.query.get("key") != self.KEY:
            key = call.query.get("key")
            return Reply(body={"errcode": 93000, "errmsg": f"invalid webhook url {key}, hint: [1], from ip: 10.1.2.3"})
        if len(self.taken) >= self.limit:
            return Reply(body={"errcode": 45009, "errmsg": "api freq out of limit"})
        if call.json["msgtype"] == "image":
            return self._picture(call.json["image"])
        content = call.json["text"]["content"] if call.json["msgtype"] == "text" else ""
        if not content:
            return Reply(body={"errcode": 44004, "errmsg": "empty content"})
        if len(content.encode()) > 2048:
            return Reply(body={"errcode": 40058, "errmsg": "text.content exceed max length 2048. invalid Request"})
        return Reply(body={"errcode": 0, "errmsg": "ok"})

    def _picture(self, image: dict[str, str]) -> Reply:
        content = base64.b64decode(image["base64"])
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != image["md5"]:
            return Reply(body={"errcode": 301019, "errmsg": "media md5 not match"})
        if len(content) > 2 * 1024 * 1024:
            return Reply(body={"errcode": 40009, "errmsg": "invalid image size"})
        self.pictures.append(content)
        return Reply(body={"errcode": 0, "errmsg": "ok"})


class Feishu(Robot):
    """https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot"""

    TOKEN = "b1ec0d2e-55d3-4a4b-9e6f-0123456789ab"
    url = f"feishu://{TOKEN}"
    limit = 100
    secret: str | None = None

    @property
    def signed_url(self) -> str:
        """Its URL for a robot with signature verification."""
        return f"{self.url}?secret={self.secret}"

    def patch(self, patch: Patch) -> None:
        from apprise.plugins.feishu import NotifyFeishu

        patch.setattr(NotifyFeishu, "notify_url", f"{self.base}/open-apis/bot/v2/hook/{{token}}/")

    def answer(self, call: Call) -> Reply:
        if call.path.rstrip("/") != f"/open-apis/bot/v2/hook/{self.TOKEN}":
            return Reply(
                body={"code": 19001, "msg": "param invalid: incoming webhook access token invalid", "data": {}}
            )
        if len(self.taken) >= self.limit:
            return Reply(body={"code": 11232, "msg": "frequency limited psm[lark.oapi.app_platform_runtime]"})
        if self.secret is not None and not self._signed(call):
            words = "sign match fail or timestamp is not within one hour from current time"
            return Reply(body={"code": 19021, "msg": words, "data": {}})
        if len(call.body) > 20 * 1024:
            return Reply(400, {"code": 9499, "msg": "Bad Request", "data": {}})
        return Reply(body={"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})

    def _signed(self, call: Call) -> bool:
        """The key is the time and the secret; nothing is hashed."""
        given = call.json.get("timestamp", "0")
        digest = hmac.new(f"{given}\n{self.secret}".encode(), b"", hashlib.sha256).digest()
        recent = abs(time.time() - int(given)) < 3600
        return recent and bool(call.json.get("sign") == base64.b64encode(digest).decode())


class DingTalk(Robot):
    """https://open.dingtalk.com/document/robots/custom-robot-access"""

    TOKEN = "56b1a7c3e2f94d18a0b5c6d7e8f90123456789abcdef0123456789abcdef0123"
    SECRET = "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    url = f"dingtalk://{SECRET}@{TOKEN}"

    def patch(self, patch: Patch) -> None:
        from apprise.plugins.dingtalk import NotifyDingTalk

        patch.setattr(NotifyDingTalk, "notify_url", f"{self.base}/robot/send?access_token={{token}}")

    def answer(self, call: Call) -> Reply:
        if call.query.get("access_token") != self.TOKEN:
            return Reply(body={"errcode": 300005, "errmsg": "token is not exist"})
        if len(self.taken) >= self.limit:
            return Reply(body={"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"})
        given = call.query.get("timestamp", "0")
        if abs(time.time() * 1000 - int(given)) > 3_600_000:
            return Reply(body={"errcode": 310000, "errmsg": "invalid timestamp"})
        digest = hmac.new(self.SECRET.encode(), f"{given}\n{self.SECRET}".encode(), hashlib.sha256).digest()
        if call.query.get("sign") != base64.b64encode(digest).decode():
            return Reply(body={"errcode": 310000, "errmsg": "sign not match"})
        if len(call.body) > 20_000:
            return Reply(body={"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"})
        return Reply(body={"errcode": 0, "errmsg": "ok"})
