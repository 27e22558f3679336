"""A webhook gets what Alertmanager would send it: held against Debian's Alertmanager itself, field by field."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from alerts.delivery.message import Fact, Message
from alerts.delivery.receipt import DeliveryError
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel, payload
from alerts.state import fingerprint
from tests.alerts.delivery.receivers.http import Call, Reply, Service
from tests.alerts.delivery.story import HOT, NOW_MS, UP, message

ALERTMANAGER = shutil.which("prometheus-alertmanager") or "/usr/bin/prometheus-alertmanager"


def place(url: str, **options: Any) -> WebhookChannel:
    return WebhookChannel(ChannelSpec("hook", "webhook", SecretStr(url), **options), "https://watch.example.com")


# --- against the real one ----------------------------------------------------------------------------------------


class Listening(Service):
    """Keeps what is posted to each path."""

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [call.json for call in self.taken if call.path == path]

    def answer(self, call: Call) -> Reply:
        return Reply()


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[tuple[str, Listening]]:
    """The address of a running Alertmanager, and who listens to it; ``/few`` is told of two alerts at most."""
    if not Path(ALERTMANAGER).exists():
        assert os.environ.get("CI") != "true", "Alertmanager is missing, and CI must not skip the comparison"
        pytest.skip("Debian's package prometheus-alertmanager is not installed")
    with Listening() as listening, socket.create_server(("127.0.0.1", 0)) as free:
        assert isinstance(listening, Listening)
        port = free.getsockname()[1]
        free.close()
        hooks = [{"url": f"{listening.base}/all"}, {"url": f"{listening.base}/few", "max_alerts": 2}]
        route = {"receiver": "on-call", "group_by": ["team"], "group_wait": "0s", "group_interval": "100ms"}
        config = {"route": route, "receivers": [{"name": "on-call", "webhook_configs": hooks}]}
        (tmp_path / "alertmanager.yml").write_text(json.dumps(config))
        command = [
            ALERTMANAGER,
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.external-url=https://watch.example.com",
            "--cluster.listen-address=",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}", listening
        finally:
            process.terminate()
            process.wait(10)


def post(base: str, alerts: list[dict[str, Any]], deadline: float) -> None:
    """Hand alerts to Alertmanager, as soon as it listens."""
    body = json.dumps(alerts).encode()
    request = urllib.request.Request(f"{base}/api/v2/alerts", body, {"Content-Type": "application/json"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "Alertmanager does not listen"


def wait_for(listening: Listening, path: str, count: int, deadline: float) -> dict[str, Any]:
    """The first body at ``path`` that tells of so many alerts."""
    while True:
        for body in listening.bodies(path):
            if len(body["alerts"]) + body["truncatedAlerts"] == count:
                return body
        assert time.monotonic() < deadline, "Alertmanager does not tell"


def moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()


def fact(labels: Mapping[str, str], annotations: Mapping[str, str], start_ms: int, end_ms: int | None = None) -> Fact:
    return replace(
        HOT,
        fingerprint=fingerprint(tuple(sorted(labels.items()))),
        firing=end_ms is None,
        labels=labels,
        annotations=annotations,
        firing_ms=start_ms,
        resolved_ms=end_ms,
        generator_url="https://prometheus.example.com/graph?g0.expr=up",
    )


def test_it_is_what_alertmanager_sends_for_the_same_alerts(alertmanager: tuple[str, Listening]) -> None:
    base, listening = alertmanager
    now_ms = time.time_ns() // 1_000_000
    shared = {"team": "vision", "severity": "critical"}
    facts = [
        fact(
            {"alertname": "B", "instance": "b", "job": "gpu", **shared}, {"summary": "s", "note": "x"}, now_ms - 60_500
        ),
        fact({"alertname": "A", "instance": "b", "job": "gpu", "z": "1", **shared}, {"summary": "s"}, now_ms - 60_120),
        fact({"alertname": "A", "instance": "a", "job": "gpu", **shared}, {"summary": "s"}, now_ms - 60_003),
        fact(
            {"alertname": "Ü", **shared}, {"summary": "s", "description": "<b> & 温度"}, now_ms // 1000 * 1000 - 60_000
        ),
    ]
    posted = [
        {
            "labels": dict(one.labels),
            "annotations": dict(one.annotations),
            "startsAt": moment(one.firing_ms or 0),
            "generatorURL": one.generator_url,
        }
        for one in facts
    ]
    deadline = time.monotonic() + 30
    post(base, posted, deadline)
    for path, most in (("/all", 0), ("/few", 2)):
        theirs = wait_for(listening, path, len(facts), deadline)
        spec = ChannelSpec("hook", "webhook", SecretStr("http://x"), max_alerts=most)
        told = Message("alerts", "on-call", theirs["groupKey"], {"team": "vision"}, tuple(facts), now_ms)
        ours = json.loads(json.dumps(payload(told, spec, "https://watch.example.com")))
        assert ours == theirs
        assert list(ours) == list(theirs), "the fields come in the same order"
        assert list(ours["alerts"][0]) == list(theirs["alerts"][0])

    ended = now_ms - 1_000
    ends = [one | {"endsAt": moment(ended)} for one in posted]
    post(base, ends, deadline)
    while not any(body["status"] == "resolved" for body in listening.bodies("/all")):
        assert time.monotonic() < deadline, "Alertmanager does not tell of the end"
    theirs = next(body for body in listening.bodies("/all") if body["status"] == "resolved")
    over = tuple(replace(one, firing=False, resolved_ms=ended) for one in facts)
    told = Message("alerts", "on-call", theirs["groupKey"], {"team": "vision"}, over, now_ms)
    assert payload(told, ChannelSpec("hook", "webhook", SecretStr("http://x")), "https://watch.example.com") == theirs


# --- on the wire -------------------------------------------------------------------------------------------------


def test_it_posts_with_its_key_and_the_users_headers_and_keeps_what_was_answered() -> None:
    with Service(Reply(202, {"message": "queued"})) as service:
        headers = (("Authorization", SecretStr("Bearer very-secret")),)
        receipt = place(f"{service.base}/hook", headers=headers).send(message(HOT, UP), "key-1", NOW_MS)
        (call,) = service.calls
    assert call.headers["idempotency-key"] == "key-1"
    assert call.headers["authorization"] == "Bearer very-secret"
    assert call.headers["content-type"] == "application/json"
    assert [alert["status"] for alert in call.json["alerts"]] == ["resolved", "firing"]
    assert receipt.answer == "HTTP 202: queued"
    assert json.loads(receipt.body) == call.json


def test_our_own_notes_and_what_is_internal_stay_here() -> None:
    document = payload(message(HOT), ChannelSpec("hook", "webhook", SecretStr("http://x")), "")
    annotations = document["alerts"][0]["annotations"]
    assert not [name for name in annotations if name.startswith("wakeless_")]
    assert annotations["description"] == "Read [path] or ask [address]; <b>a & b<[path]>."


@pytest.mark.parametrize(
    ("reply", "words", "permanent", "rest"),
    [
        (Reply(500, "boom"), "HTTP 500: boom", False, None),
        (Reply(429, "", {"Retry-After": "17"}), "HTTP 429", False, 17.0),
        (Reply(400, {"error": "bad payload"}), "HTTP 400: bad payload", True, None),
        (Reply(404, ""), "HTTP 404", True, None),
        (Reply(410, ""), "HTTP 410", True, None),
        (Reply(401, "no Bearer very-secret here"), "HTTP 401: no *** here", True, None),
    ],
)
def test_a_refusal_is_for_now_or_for_good(reply: Reply, words: str, permanent: bool, rest: float | None) -> None:
    with Service(reply) as service:
        hook = place(f"{service.base}/hook", headers=(("Authorization", SecretStr("Bearer very-secret")),))
        with pytest.raises(DeliveryError) as caught:
            hook.send(message(HOT), "key", NOW_MS)
    assert (str(caught.value), caught.value.permanent, caught.value.retry_after_seconds) == (words, permanent, rest)


def test_it_follows_no_redirect_and_says_why_there_is_no_answer() -> None:
    with Service() as elsewhere, Service(Reply(302, "", {"Location": f"{elsewhere.base}/"})) as service:
        with pytest.raises(DeliveryError, match="redirects are not followed"):
            place(f"{service.base}/very-secret").send(message(HOT), "key", NOW_MS)
        assert elsewhere.calls == []
        address = service.base
    with pytest.raises(DeliveryError, match="no connection: connection refused") as caught:
        place(f"{address}/very-secret").send(message(HOT), "key", NOW_MS)
    assert not caught.value.permanent
    assert "secret" not in repr(place(f"{address}/very-secret"))


def test_a_hook_that_is_not_told_of_resolved_alerts_is_not_called_for_them() -> None:
    with Service() as service:
        hook = place(f"{service.base}/hook", send_resolved=False)
        hook.send(message(UP), "key", NOW_MS)
        assert service.calls == []
        hook.send(message(HOT, UP), "key", NOW_MS)
        assert [alert["status"] for alert in service.calls[0].json["alerts"]] == ["firing"]


def test_links_to_our_own_page_arrive_whole_wherever_it_is() -> None:
    page = "http://10.0.0.5:8000"
    links = {"runbook_url": f"{page}/runbook#Hot", "other": "http://10.0.0.6/x", "words": f"{page}/x and 10.0.0.7"}
    fact = replace(HOT, annotations={**HOT.annotations, **links})
    document = payload(message(fact), ChannelSpec("hook", "webhook", SecretStr("http://x")), page)
    said = document["alerts"][0]["annotations"]
    assert said["runbook_url"] == f"{page}/runbook#Hot"
    assert "10.0.0.6" not in said["other"]
    assert "10.0.0.7" not in said["words"]
