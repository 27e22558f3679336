"""What a service's answer means: taken, or refused, for good or for now. Pure.

The codes are those of the services' public documentation. Many answer 200 and say in the body that they refuse.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from alerts.delivery.receipt import DeliveryError
from alerts.delivery.wire import Answer, Wire

#: Characters of a service's own words that are kept.
MAX_WORDS = 300
#: HTTP statuses after which another attempt may work; all others from 400 on are for good.
_TEMPORARY_STATUSES = frozenset({408, 421, 423, 425, 429})
#: ``errcode``s of WeCom and DingTalk that pass: busy, and too many.
_TEMPORARY_CODES = frozenset({-1, 88, 6000, 42001, 45009, 45033, 90018, 130101, 302033, 410100})
#: Seconds of rest where a service limits the rate and does not say for how long: WeCom counts by the minute, DingTalk
#: shuts a robot out for ten.
_RESTS = {45009: 60.0, 45033: 60.0, 130101: 600.0, 302033: 600.0, 410100: 600.0, 90018: 60.0, 88: 60.0}
#: Bots whose ``code`` says how it went, and the code for success.
_SUCCESS_CODES = {"feishu": 0, "lark": 0, "schan": 0, "pushplus": 200, "wxpusher": 1000, "bark": 200, "barks": 200}
#: Feishu: too many; an internal error. 9499 is a bad request as well as too many: the words tell.
_FEISHU_TEMPORARY = {11232: 60.0, 99991400: 60.0, 11233: 60.0, 1500: None, 2200: None}
#: How a mail server says goodbye, whatever came before.
_GOODBYE = ("smtp", 221)
#: Words with which Slack refuses for now.
_SLACK_TEMPORARY = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
    | {"rollup_error", "team_added_to_org", "accesslimited"}
)


class Verdict(NamedTuple):
    """``taken``, and what the service said; the rest tells how to go on where it was not.

    ``unclear``: it may have been taken all the same, or in part.
    """

    taken: bool
    words: str
    permanent: bool = False
    retry_after_seconds: float | None = None
    unclear: bool = False

    def error(self) -> DeliveryError:
        """The refusal, to be raised."""
        return DeliveryError(self.words, self.permanent, self.retry_after_seconds, self.unclear)


def judge(answer: Answer, scheme: str, now_ms: int) -> Verdict:
    """What one answer of the service behind an Apprise ``scheme`` means."""
    if answer.protocol == "smtp":
        return _judge_mail(answer)
    document = _document(answer.text)
    said = _said(document, answer.text)
    words = f"HTTP {answer.status}{': ' if said else ''}{said}"
    rest = _rest(answer, document, now_ms)
    if answer.status >= 500 or answer.status in _TEMPORARY_STATUSES:
        return Verdict(False, words, False, rest)
    inner = _inner(document, scheme)
    if inner is not None and not inner.taken:
        return inner._replace(words=f"{words}", retry_after_seconds=rest or inner.retry_after_seconds)
    if 300 <= answer.status < 400:
        return Verdict(False, f"{words} (redirects are not followed)", True)
    if answer.status >= 400:
        return Verdict(False, words, True)
    return Verdict(True, words)


def conclude(wire: Wire, scheme: str, now_ms: int, *, accepted: bool) -> Verdict | None:
    """What all that was heard means together; None where nothing was. A refusal for now outweighs one for good.

    ``accepted`` is what Apprise thinks. It is believed about mail, where a refusal on the way, such as of one kind of
    login, need not be the end; over HTTP every refusal counts.
    """
    if said(wire):
        wire, accepted = Wire([answer for answer in wire.answers if not answer.about_file]), True
    verdicts = [
        judge(answer, scheme, now_ms) for answer in wire.answers if (answer.protocol, answer.status) != _GOODBYE
    ]
    mail = any(answer.protocol == "smtp" for answer in wire.answers)
    refused = [] if mail and accepted else [verdict for verdict in verdicts if not verdict.taken]
    for_now = [verdict for verdict in refused if not verdict.permanent]
    if for_now or (wire.troubles and not accepted):
        words = "; ".join(dict.fromkeys([*(verdict.words for verdict in for_now), *wire.troubles]))
        rests = [verdict.retry_after_seconds for verdict in for_now if verdict.retry_after_seconds is not None]
        in_part = not mail and any(verdict.taken for verdict in verdicts)
        return Verdict(False, words, False, max(rests, default=None), wire.unclear or in_part)
    if refused:
        return refused[-1]
    return verdicts[-1] if verdicts else None


def said(wire: Wire) -> bool:
    """Whether all words have come to an answer of their own, and what is left is a picture: it is not worth to say the
    words twice."""
    files = [answer.about_file for answer in wire.answers]
    return any(files) and not all(files) and not wire.troubles


def _judge_mail(answer: Answer) -> Verdict:
    said = " ".join(answer.text.split())[:MAX_WORDS]
    words = f"SMTP {answer.status} {said}".strip()
    if answer.status < 0:
        return Verdict(False, "the mail server closed the connection", unclear=True)
    if answer.status < 400:
        return Verdict(True, words)
    return Verdict(False, words, permanent=answer.status >= 500)


def _inner(document: object, scheme: str) -> Verdict | None:
    """What a body says on its own account, whatever the status; None where it says nothing."""
    if not isinstance(document, Mapping):
        return None
    code = document.get("errcode", document.get("StatusCode") if scheme in ("feishu", "lark") else None)
    if isinstance(code, int) and not isinstance(code, bool) and code != 0:
        return Verdict(False, "", code not in _TEMPORARY_CODES, _RESTS.get(code))
    own = document.get("code")
    if scheme in _SUCCESS_CODES and isinstance(own, int) and own != _SUCCESS_CODES[scheme]:
        crowded = own in _FEISHU_TEMPORARY or "too many" in str(document.get("msg", "")).lower()
        return Verdict(False, "", not crowded, _FEISHU_TEMPORARY.get(own))
    if document.get("ok") is False or document.get("success") is False:
        reason = str(document.get("error", ""))
        return Verdict(False, "", reason not in _SLACK_TEMPORARY, 30.0 if "limited" in reason else None)
    return Verdict(True, "") if code == 0 or document.get("ok") is True else None


def _document(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _said(document: object, text: str) -> str:
    """A service's own words: the fields that services put them into, else the text as it is."""
    if isinstance(document, Mapping):
        number = next((document[name] for name in ("errcode", "error_code", "code") if name in document), None)
        message = next(
            (
                str(document[name])
                for name in ("errmsg", "description", "msg", "message", "error", "StatusMessage")
                if isinstance(document.get(name), str) and document[name]
            ),
            "",
        )
        if message or number is not None:
            text = f"{message} ({number})" if number not in (None, 0) and message else message or str(number)
    if re.search(r"<(!doctype|html)", text[:200], re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = title[1] if title else "a web page"
    text = " ".join(text.split())
    return text if len(text) <= MAX_WORDS else text[:MAX_WORDS].rsplit(" ", 1)[0] + " …"


def _rest(answer: Answer, document: object, now_ms: int) -> float | None:
    """Seconds after which the service wants to be asked again, where it says so."""
    found: list[Any] = [answer.headers.get("retry-after")]
    if isinstance(document, Mapping):
        parameters = document.get("parameters")  # Telegram
        found += [parameters.get("retry_after")] if isinstance(parameters, Mapping) else []
        found.append(document.get("retry_after"))  # Discord, in seconds
    found.append(answer.headers.get("x-ogw-ratelimit-reset"))  # Feishu
    for value in found:
        seconds = _seconds(value, now_ms)
        if seconds is not None:
            return seconds
    return None


def _seconds(value: Any, now_ms: int) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            seconds = parsedate_to_datetime(str(value)).timestamp() - now_ms / 1000
        except ValueError:
            return None
    return min(max(seconds, 0.0), 24 * 3600.0) if seconds == seconds else None
