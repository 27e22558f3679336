"""From a message to a service: it gets the right words, a refusal is heard as one, and no secret is told to anybody."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO

import pytest
from pydantic import SecretStr

from alerts.delivery.channel import AppriseChannel
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.secret import channel_name
from alerts.delivery.service import AppriseService, Letter
from tests.alerts.delivery.receivers.bots import DingTalk, Feishu, WeCom
from tests.alerts.delivery.receivers.chats import Discord, SlackBot, SlackWebhook, Telegram
from tests.alerts.delivery.receivers.http import Reply, Service
from tests.alerts.delivery.receivers.mail import MailServer
from tests.alerts.delivery.story import DOWN, HOT, NOW_MS, PAGE, UP, channel, message

pytestmark = [
    # Apprise's plug-in for encrypted mail imports it.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
    # The mail server of the tests is on this machine.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while"),
]

PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
SERVICES = (WeCom, Feishu, DingTalk, SlackWebhook, SlackBot, Telegram, Discord)
KINDS = {kind.__name__: kind for kind in SERVICES}
Kind = (
    type[WeCom] | type[Feishu] | type[DingTalk] | type[SlackWebhook] | type[SlackBot] | type[Telegram] | type[Discord]
)


@contextmanager
def playing(kind: Kind, patch: pytest.MonkeyPatch, *trouble: Reply) -> Iterator[Service]:
    """A local server in the service's place."""
    service = kind(*trouble)
    with service:
        service.patch(patch)
        yield service


def refusal(place: AppriseChannel) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        place.send(message(HOT), "key", NOW_MS)
    return caught.value


# --- what arrives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_service_takes_a_notice_and_gets_all_of_it(
    kind: Kind, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(kind, monkeypatch) as service:
        receipt = channel(kind.url, language=language).send(message(HOT), "key", NOW_MS)
        (call,) = service.taken
    text = json.dumps(call.json, ensure_ascii=False) if "json" in call.headers["content-type"] else call.body.decode()
    summary = "GPU 0 显存使用率 93.1%" if language == "zh" else "GPU 0: 93.1% of its memory in use"
    for expected in (summary, "19:07:20", "0.931", "0.9", "photo-service", f"{PAGE}/ack/7", f"{PAGE}/alerts"):
        assert expected in text
    for hidden in ("/srv/models", "10.1.2.3", "never shown", "secret_note"):
        assert hidden not in text
    assert summary in receipt.title + receipt.body
    assert receipt.answer.startswith("HTTP 20")


def test_a_mail_has_a_subject_text_html_and_the_picture() -> None:
    with MailServer(login=True) as server:
        receipt = channel(server.url(), PNG).send(message(UP), "key", NOW_MS)
        (mail,) = server.taken
    assert receipt.answer == "SMTP 250 2.0.0 Ok: queued as 4XbQ2k"
    assert mail["Subject"] == "[UP] photo cannot serve its model"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "It was down for 2 hours 5 minutes, from 17:07:20 to 19:12:20." in plain.get_content()
    assert f"Open: {PAGE}/alerts" in plain.get_content()
    assert f'<a href="{PAGE}/alerts">' in html.get_content()
    assert [part.get_content() for part in mail.iter_attachments()] == [PNG]


def test_a_mail_that_is_sent_again_is_the_same_mail() -> None:
    with MailServer(login=True) as server:
        sending = channel(server.url())
        for key in ("one", "one", "two"):
            sending.send(message(UP), key, NOW_MS)
        first, again, other = (mail["Message-ID"] for mail in server.taken)
    assert first == again
    assert other != first
    assert first.startswith("<")
    assert "one" not in first


@pytest.mark.parametrize("kind", [SlackBot, Telegram, Discord])
def test_the_picture_goes_where_a_service_takes_one(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(kind, monkeypatch) as service:
        channel(kind.url, PNG).send(message(HOT), "key", NOW_MS)
        assert any(PNG in call.body for call in service.taken)
        before = len(service.calls)
        channel(kind.url, PNG, picture=False).send(message(HOT), "key", NOW_MS)
        assert not any(PNG in call.body for call in service.calls[before:])


@pytest.mark.parametrize("kind", [Feishu, DingTalk, SlackWebhook])
def test_no_picture_is_drawn_for_a_service_that_takes_none(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(kind, monkeypatch) as service:
        channel(kind.url, PNG).send(message(HOT), "key", NOW_MS)
        assert [PNG in call.body for call in service.calls] == [False]


def test_a_picture_that_is_refused_takes_no_word_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bad_photo = Reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: PHOTO_INVALID_DIMENSIONS"})
    with playing(Telegram, monkeypatch, bad_photo) as service:
        channel(Telegram.url, PNG).send(message(HOT), "key", NOW_MS)
        assert [call.path.rpartition("/")[2] for call in service.calls] == ["sendPhoto", "sendMessage"]


def test_a_robot_of_wecom_gets_the_picture_after_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with WeCom() as service:
        assert isinstance(service, WeCom)
        service.patch(monkeypatch)
        assert channel(WeCom.url, PNG).send(message(HOT), "key", NOW_MS).answer == "HTTP 200: ok"
        assert [call.json["msgtype"] for call in service.calls] == ["text", "image"]
        assert service.pictures == [PNG]
        service.trouble = [Reply(body={"errcode": 0, "errmsg": "ok"}), Reply(body={"errcode": 45009, "errmsg": "freq"})]
        channel(WeCom.url, PNG).send(message(HOT), "key", NOW_MS)
        assert len(service.calls) == 4, "the words were taken, and are not said again"
        service.trouble = [Reply(body={"errcode": 45009, "errmsg": "freq"})]
        assert not refusal(channel(WeCom.url, PNG)).permanent


def test_words_that_were_taken_are_not_said_again_because_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(Discord, monkeypatch, Reply(204), Reply(503, "upload down")) as service:
        channel(Discord.url, PNG).send(message(HOT), "key", NOW_MS)
        assert len(service.calls) == 2


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("rules", [1, 7, 120])
def test_a_flood_fits_into_what_each_service_takes(
    kind: Kind, language: str, rules: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [
        replace(
            HOT,
            id=place,
            rule=f"Rule{place % rules}",
            annotations={"summary": f"第 {place} 个 GPU 的显存 is * full_ <{place}>"},
        )
        for place in range(1, 121)
    ]
    with playing(kind, monkeypatch) as service:
        channel(kind.url, language=language).send(message(*many), "key", NOW_MS)
        (call,) = service.taken
    text = json.dumps(call.json, ensure_ascii=False)
    found = re.search(r"……还有 (\d+) 条" if language == "zh" else r"… and (\d+) more", text)
    assert found is not None
    assert int(found[1]) + len(re.findall(r"第 \d+ 个 GPU", text)) == 120


@pytest.mark.parametrize("kind", [WeCom, Feishu, DingTalk, SlackWebhook, SlackBot, Discord])
def test_whoever_words_an_alert_calls_nobody(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    words = '@everyone @here @all <!channel> !here> <@U0123ABCD> <@&77> <at user_id="all">all</at>'
    loud = replace(HOT, annotations={"summary": words, "description": words, "action": words})
    with playing(kind, monkeypatch) as service:
        channel(kind.url).send(message(loud), "key", NOW_MS)
        (call,) = service.taken
    text = json.dumps(call.json, ensure_ascii=False).replace("&lt;", "<").replace("&gt;", ">")
    assert "everyone" in text
    assert re.findall(r"[@!](?:everyone|here|channel|all)|<[@!]&?[U\d]|</?at\b", text) == []


def test_a_signed_robot_of_feishu_believes_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    with Feishu() as service:
        assert isinstance(service, Feishu)
        service.patch(monkeypatch)
        service.secret = "topsecretkey"
        channel(service.signed_url).send(message(HOT), "key", NOW_MS)
        assert "sign match fail" in str(refusal(channel(service.url)))


# --- refusals ----------------------------------------------------------------------------------------------------

OTHER = {
    WeCom: "wecombot://00000000-7xxx-4bc4-97a0-0ec2sifa5aaa",
    Feishu: "feishu://00000000-55d3-4a4b-9e6f-0123456789ab",
    DingTalk: f"dingtalk://{DingTalk.SECRET}@{'0' * 64}",
    SlackWebhook: "slack://T1JJ3T3L2/A1BRTD4JD/0000000000000000000000FQ",
    SlackBot: f"slack://{SlackBot.TOKEN}/%23nowhere",
    Telegram: f"tgram://{Telegram.TOKEN}/-100999/",
    Discord: f"discord://{Discord.ID}/000000000000000000000_js",
}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (WeCom, "HTTP 200: invalid webhook url ***, hint: [1], from ip: [address] (93000)"),
        (Feishu, "HTTP 200: param invalid: incoming webhook access token invalid (19001)"),
        (DingTalk, "HTTP 200: token is not exist (300005)"),
        (SlackWebhook, "HTTP 403: invalid_token"),
        (SlackBot, "HTTP 200: channel_not_found"),
        (Telegram, "HTTP 400: Bad Request: chat not found (400)"),
        (Discord, "HTTP 401: Invalid Webhook Token (50027)"),
    ],
)
def test_a_wrong_key_is_refused_for_good_in_the_services_own_words(
    kind: Kind, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(kind, monkeypatch):
        error = refusal(channel(OTHER[kind]))
    assert (str(error), error.permanent) == (words, True)


def test_a_wrong_signature_is_refused_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(DingTalk, monkeypatch):
        error = refusal(channel(f"dingtalk://{'SEC' + '0' * 64}@{DingTalk.TOKEN}"))
    assert (str(error), error.permanent) == ("HTTP 200: sign not match (310000)", True)


SLOW_DOWN = Reply(429, {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 31",
                        "parameters": {"retry_after": 31}})  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "reply", "rest"),
    [
        (WeCom, Reply(body={"errcode": 45009, "errmsg": "api freq out of limit"}), 60),
        (Feishu, Reply(body={"code": 11232, "msg": "frequency limited"}), 60),
        (Feishu, Reply(429, {"code": 9499, "msg": "too many request"}, {"x-ogw-ratelimit-reset": "7"}), 7),
        (DingTalk, Reply(body={"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}), 600),
        (SlackWebhook, Reply(429, "rate_limited", {"Retry-After": "12"}), 12),
        (SlackBot, Reply(body={"ok": False, "error": "ratelimited"}, headers={"Retry-After": "9"}), 9),
        (Telegram, SLOW_DOWN, 31),
        (Discord, Reply(429, {"message": "You are being rate limited.", "retry_after": 0.65, "global": False}), 0.65),
    ],
)
def test_a_limited_rate_passes_and_says_when(
    kind: Kind, reply: Reply, rest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing(kind, monkeypatch, reply) as service:
        error = refusal(channel(kind.url))
        assert (error.permanent, error.retry_after_seconds) == (False, rest)
        assert len(service.calls) == 1, "the pause is kept by the sender, not by trying again"


@pytest.mark.parametrize("kind", SERVICES)
def test_a_service_that_is_down_or_away_is_tried_again(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    with playing(kind, monkeypatch, Reply(502, page)) as service:
        error = refusal(channel(kind.url))
        assert (str(error), error.permanent) == ("HTTP 502: 502 Bad Gateway", False)
        place = channel(kind.url)
    error = refusal(place)
    assert (str(error), error.permanent) == ("no connection: connection refused", False)
    assert service.taken == []


def test_a_mail_server_refuses_for_now_or_for_good() -> None:
    with MailServer("451 4.7.1 Greylisted", "552 5.3.4 Message too big", login=True) as server:
        errors = [
            refusal(channel(server.url())),
            refusal(channel(server.url())),
            refusal(channel(server.url(password="wrong-password"))),
            refusal(channel(server.url(to="nobody@example.com"))),
        ]
        assert server.taken == []
    assert [(str(error), error.permanent) for error in errors] == [
        ("SMTP 451 4.7.1 Greylisted", False),
        ("SMTP 552 5.3.4 Message too big", True),
        ("SMTP 535 5.7.8 Authentication credentials invalid", True),
        ("SMTP 550 5.1.1 no such user here", True),
    ]
    assert str(refusal(channel(server.url()))) == "no connection: connection refused"


def test_a_key_follows_no_redirect() -> None:
    with Service() as elsewhere, Service(Reply(307, "", {"Location": f"{elsewhere.base}/stolen"})) as service:
        error = refusal(channel(f"json://key:secret-word@{service.address}/hook?redirect=yes"))
        assert elsewhere.calls == []
    assert error.permanent
    assert "redirects are not followed" in str(error)


def test_a_long_answer_is_neither_read_nor_kept_in_full() -> None:
    with Service(Reply(400, "word " * 100_000)) as service:
        error = refusal(channel(f"json://{service.address}/hook"))
    assert len(str(error)) < 350
    assert str(error).endswith("word …")


def test_a_channel_that_is_not_told_of_resolved_alerts_says_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(WeCom, monkeypatch) as service:
        place = channel(WeCom.url, send_resolved=False)
        place.send(message(UP), "key", NOW_MS)
        assert service.calls == []
        place.send(message(HOT, UP), "key", NOW_MS)
        assert "photo cannot serve" not in service.calls[0].json["text"]["content"]


# --- secrets -----------------------------------------------------------------------------------------------------

KEYS = (WeCom.KEY, Feishu.TOKEN, DingTalk.TOKEN, DingTalk.SECRET, SlackBot.TOKEN, Telegram.TOKEN, Discord.TOKEN)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """All that reaches the log of a server. (caplog reads also what loggers keep to themselves.)"""
    text, root = StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("kind", SERVICES)
def test_no_key_is_in_logs_errors_or_names(kind: Kind, monkeypatch: pytest.MonkeyPatch, log: StringIO) -> None:
    echo = Reply(400, {"description": f"no access to {kind.url} {' '.join(KEYS)}"})
    with playing(kind, monkeypatch, echo):
        place = channel(kind.url)
        told = str(refusal(place)) + repr(place) + repr(place.spec) + place.send(message(DOWN), "k", NOW_MS).answer
    told += str(refusal(place)) + log.getvalue() + channel_name(kind.url)
    own = [part for part in re.split(r"[/@:?]+", kind.url.partition("://")[2]) if len(part) > 7]
    assert not [part for part in own if part in told]


def test_a_password_of_mail_is_not_told(log: StringIO) -> None:
    with MailServer(login=True) as server:
        place = channel(server.url(password="wrong-password"))
        assert "wrong-password" not in str(refusal(place)) + repr(place) + log.getvalue()


def test_a_channel_is_called_by_its_scheme_and_a_hash() -> None:
    url = "slack://TokenA/TokenB/TokenC"
    assert re.fullmatch(r"slack-[0-9a-f]{6}", channel_name(url))
    assert channel_name(url) != channel_name(url + "x")
    assert channel_name("no url").startswith("unknown-")


def test_a_url_that_apprise_does_not_know_is_said_to_be_so() -> None:
    for url in ("nosuchservice://very-secret", "not a url", ""):
        problem = AppriseService(url).check()
        assert "Apprise" in str(problem)
        assert "secret" not in str(problem)
        with pytest.raises(DeliveryError) as caught:
            AppriseService(url).deliver(Letter("title", "body"))
        assert caught.value.permanent
    assert AppriseService("json://127.0.0.1/x").check() is None
    assert AppriseService("json://127.0.0.1/x, json://127.0.0.1/y").check() == "the channel's URL is more than one"


def test_apprise_is_not_loaded_before_a_notice_is_sent() -> None:
    names = "alerts.engine, alerts.delivery.sender, alerts.delivery.switchboard, alerts.delivery.store"
    code = f"import sys, {names}; sys.exit(bool({{'apprise', 'requests', 'PIL', 'cryptography'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_spec_keeps_its_url_to_itself() -> None:
    spec = channel("json://key:very-secret@127.0.0.1/x").spec
    assert isinstance(spec.url, SecretStr)
    assert "very-secret" not in f"{spec!r}{spec}"
