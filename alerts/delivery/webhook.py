"""A webhook: Alertmanager's payload, version 4, as programs that listen to Alertmanager expect it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

import orjson

from alerts.delivery.message import Fact, Message
from alerts.delivery.receipt import DeliveryError, Receipt
from alerts.delivery.secret import Secrets
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.verdict import conclude
from alerts.delivery.wire import listen
from mask import deidentify

#: Seconds for the connection, and for each wait on the answer.
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
#: What Alertmanager never tells: its listeners would take it for a repetition.
_UNKNOWN = ("acknowledged", "action", "report")
#: What Go writes for a time that is not set.
_NEVER = "0001-01-01T00:00:00Z"


class WebhookChannel:
    """Posts a message's alerts to a URL. Redirects are not followed; the answer is read within bounds."""

    def __init__(self, spec: ChannelSpec, public_url: str | None = None) -> None:
        self.spec = spec
        self._public_url = public_url
        self._url = spec.url.get_secret_value()
        self._secrets = Secrets(self._url, [value.get_secret_value() for _, value in spec.headers])

    def __repr__(self) -> str:
        return f"WebhookChannel({self.name})"

    @property
    def name(self) -> str:
        return self.spec.name

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        if message.kind in _UNKNOWN:
            return Receipt("", "", "nothing to tell: Alertmanager's payload has no word for it")
        document = payload(message, self.spec, self._public_url or "")
        if not document["alerts"] and message.alerts:
            return Receipt("", "", "nothing to tell: this channel is not told of what has resolved")
        body = orjson.dumps(document)
        answer = self._post(body, key)
        title = f"{document['status']}: {len(document['alerts'])} alerts"
        return Receipt(title, body.decode(), answer)

    def _post(self, body: bytes, key: str) -> str:
        # Imported on first use, as Apprise is: most servers have no channel.
        import requests

        headers = {name: value.get_secret_value() for name, value in self.spec.headers}
        headers |= {"Content-Type": "application/json", "User-Agent": "Wakeless", "Idempotency-Key": key}
        now_ms = time.time_ns() // 1_000_000
        with listen() as wire:
            try:
                response = requests.post(
                    self._url,
                    data=body,
                    headers=headers,
                    timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                    allow_redirects=False,
                )
                accepted = response.ok
            except (requests.RequestException, ValueError) as error:
                accepted = False
                if not wire.answers and not wire.troubles:  # it was never sent
                    reason = f"the webhook cannot be called: {type(error).__name__}"
                    raise DeliveryError(reason, permanent=isinstance(error, ValueError), unclear=False) from None
        verdict = conclude(wire, "", now_ms, accepted=accepted)
        if verdict is None:
            raise DeliveryError("the webhook gave no answer")
        words = self._secrets.scrub(verdict.words)
        if not verdict.taken:
            raise verdict._replace(words=words).error()
        return words


def payload(message: Message, spec: ChannelSpec, external_url: str) -> dict[str, Any]:
    """What Alertmanager 0.25 sends for these alerts, in its order of alerts and of fields."""
    facts = sorted(message.alerts if spec.send_resolved else message.firing, key=cmp_to_key(_compare))
    shown = facts[: spec.max_alerts] if spec.max_alerts > 0 else facts
    alerts = [_alert(fact, external_url) for fact in shown]
    return {
        "receiver": message.receiver,
        "status": "firing" if any(fact.firing for fact in shown) else "resolved",
        "alerts": alerts,
        "groupLabels": dict(message.labels),
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": external_url,
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": len(facts) - len(shown),
    }


def _alert(fact: Fact, external_url: str) -> dict[str, Any]:
    ended_ms = None if fact.firing else fact.resolved_ms
    return {
        "status": "firing" if fact.firing else "resolved",
        "labels": dict(sorted(fact.labels.items())),
        "annotations": {
            name: text if _is_ours(text, external_url) else deidentify(text)
            for name, text in sorted(fact.annotations.items())
            if not name.startswith("wakeless_")
        },
        "startsAt": _moment(fact.firing_ms if fact.firing_ms is not None else fact.active_ms),
        "endsAt": _NEVER if ended_ms is None else _moment(ended_ms),
        "generatorURL": fact.generator_url or "",
        "fingerprint": fact.fingerprint,
    }


def _is_ours(text: str, external_url: str) -> bool:
    """Whether an annotation is a link to our own page, such as ``runbook_url``: where that is, is no secret here."""
    return bool(external_url) and text.startswith(f"{external_url}/") and not any(letter.isspace() for letter in text)


def _moment(time_ms: int) -> str:
    """RFC 3339 as Go writes it: no zeros at the end of a fraction."""
    text = datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{time_ms % 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all of them have."""
    if not maps:
        return {}
    return {name: text for name, text in maps[0].items() if all(one.get(name) == text for one in maps[1:])}


def _compare(one: Fact, other: Fact) -> int:
    """Alertmanager's order of a group's alerts: by job and instance, those that have none last; then the one with fewer
    labels; then the first label, by name, that only one has (it comes second) or that differs.
    """
    mine, theirs = one.labels, other.labels
    for name in ("job", "instance"):
        if (name in mine) != (name in theirs):
            return -1 if name in mine else 1
        if mine.get(name) != theirs.get(name):
            return -1 if mine[name] < theirs[name] else 1
    if len(mine) != len(theirs):
        return len(mine) - len(theirs)
    for name in sorted({*mine, *theirs}):
        if (name in mine) != (name in theirs):
            return 1 if name in mine else -1
        if mine[name] != theirs[name]:
            return -1 if mine[name] < theirs[name] else 1
    return 0
