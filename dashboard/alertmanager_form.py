"""The forms of Alertmanager's API: bodies as it reads them, values as it writes them, errors in its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request

from alerts.posted import Posted
from alerts.silencing.matching import LabelMatcher, MatcherError, is_label_name, parse_matcher
from alerts.silencing.silence import Silence, quoted
from dashboard.moment import iso
from dashboard.parameter import parse_time

if TYPE_CHECKING:
    from alerts.state import Alert

JSON = "application/json"
#: Characters of one alert's labels together, and of its annotations: they are kept in memory while it fires.
MAX_LABELS = 8_192
MAX_ANNOTATIONS = 32_768
#: What Go writes where there is no time.
_NO_TIME_MS = -62_135_596_800_000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_URI = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]*|/[^\s]*)", re.ASCII)
#: What go-openapi takes for yes; everything else is no.
_YES = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_REQUIRED, _TOO_FEW, _WRONG_TYPE = 602, 612, 601


class FormError(Exception):
    """An error answer: ``body`` is a text, or an object with ``code`` and ``message``, as Alertmanager has it."""

    def __init__(self, status: int, body: str | Mapping[str, object]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def failure(error: FormError) -> Response:
    """The answer that an error becomes."""
    return answer(error.body, error.status)


def answer(document: object, status: int = 200) -> Response:
    """JSON."""
    return Response(orjson.dumps(document), status, mimetype=JSON)


# --- reading -----------------------------------------------------------------------------------------------------


def silence_id(text: str) -> str:
    """An id from an address."""
    if not _UUID.fullmatch(text):
        raise _unfit(_WRONG_TYPE, f"silenceID in path must be of type uuid: {quoted(text)}")
    return text.lower()


def flag(name: str) -> bool:
    """A yes or no from the query; yes without it."""
    given = request.args.get(name)
    return given is None or given.lower() in _YES


def matchers() -> list[LabelMatcher]:
    """The query's filters."""
    try:
        return [parse_matcher(text) for text in request.args.getlist("filter")]
    except MatcherError as error:
        raise FormError(400, str(error)) from error


def receiver_test() -> Callable[[str], bool]:
    """Whether a receiver's name is one of those that the query asks for."""
    pattern = request.args.get("receiver", "")
    if not pattern:
        return lambda name: True
    try:
        return LabelMatcher("receiver", pattern, is_regex=True).matches_value
    except MatcherError as error:
        raise FormError(400, f"failed to parse receiver param: {error}") from error


def posted_alerts() -> tuple[list[Posted], list[str]]:
    """The alerts of the body that can be taken, and what is wrong with the others."""
    document = _body("alerts")
    if not isinstance(document, list):
        raise _unreadable("alerts", "it is no list of alerts")
    good, problems = [], []
    for one in [_alert(index, found) for index, found in enumerate(document)]:
        problem = _problem_of(one)
        if problem is None:
            good.append(one)
        else:
            problems.append(problem)
    return good, problems


def posted_silence() -> Silence:
    """The silence of the body."""
    found = _body("silence")
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise _unreadable("silence", "it is no object")
    for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if found.get(name) is None:
            raise _unfit(_REQUIRED, f"{name} in body is required")
    starts_ms, ends_ms = (_moment(found, name, "silence") for name in ("startsAt", "endsAt"))
    entries = found["matchers"]
    if not isinstance(entries, list):
        raise _unreadable("silence", "matchers is no list")
    if not entries:
        raise _unfit(_TOO_FEW, "matchers in body should have at least 1 items")
    return Silence(
        id=_text(found, "id", "silence"),
        matchers=tuple(_matcher(index, entry) for index, entry in enumerate(entries)),
        starts_ms=_NO_TIME_MS if starts_ms is None else starts_ms,
        ends_ms=_NO_TIME_MS if ends_ms is None else ends_ms,
        created_by=_text(found, "createdBy", "silence"),
        comment=_text(found, "comment", "silence"),
    )


def _body(what: str) -> Any:
    if request.mimetype != JSON:
        message = f"unsupported media type {quoted(request.mimetype)}, only [{JSON}] are allowed"
        raise FormError(415, {"code": 415, "message": message})
    raw = request.get_data(cache=False)
    if not raw:
        raise _unfit(_REQUIRED, f"{what} in body is required")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _unreadable(what, str(error)) from error


def _alert(index: int, found: object) -> Posted:
    if not isinstance(found, dict):
        raise _unreadable("alerts", f"{index} is no object")
    if found.get("labels") is None:
        raise _unfit(_REQUIRED, f"{index}.labels in body is required")
    url = _text(found, "generatorURL", "alerts")
    if url and not _URI.fullmatch(url):
        raise _unfit(_WRONG_TYPE, f"{index}.generatorURL in body must be of type uri: {quoted(url)}")
    return Posted(
        labels={name: value for name, value in _texts(found, "labels").items() if value},
        annotations=_texts(found, "annotations"),
        starts_ms=_moment(found, "startsAt", "alerts"),
        ends_ms=_moment(found, "endsAt", "alerts"),
        generator_url=url or None,
    )


def _problem_of(one: Posted) -> str | None:
    """Why an alert cannot be taken, in Alertmanager's words."""
    if one.starts_ms is not None and one.ends_ms is not None and one.ends_ms < one.starts_ms:
        return "start time must be before end time"
    if not one.labels:
        return "at least one label pair required"
    for what, texts, most in (("label set", one.labels, MAX_LABELS), ("annotations", one.annotations, MAX_ANNOTATIONS)):
        bad = next((name for name in texts if not is_label_name(name)), None)
        if bad is not None:
            return f"invalid {what}: invalid name {quoted(bad)}"
        if sum(len(name) + len(value) for name, value in texts.items()) > most:
            return f"invalid {what}: more than {most} characters"
    return None


def _matcher(index: int, entry: object) -> LabelMatcher:
    if not isinstance(entry, dict):
        raise _unreadable("silence", f"matchers.{index} is no object")
    for name in ("isRegex", "name", "value"):
        if entry.get(name) is None:
            raise _unfit(_REQUIRED, f"matchers.{index}.{name} in body is required")
    is_equal = entry.get("isEqual")
    if not isinstance(entry["isRegex"], bool) or not (is_equal is None or isinstance(is_equal, bool)):
        raise _unreadable("silence", f"isRegex or isEqual of matchers.{index} is neither true nor false")
    name, value = (_text(entry, field, "silence") for field in ("name", "value"))
    try:
        return LabelMatcher(name, value, entry["isRegex"], is_equal is not False)
    except MatcherError as error:
        raise FormError(400, f"silence invalid: invalid label matcher {index}: {error}") from error


def _texts(found: Mapping[str, Any], field: str) -> dict[str, str]:
    texts = found.get(field) or {}
    if not isinstance(texts, dict) or not all(isinstance(value, str) for value in texts.values()):
        raise _unreadable("alerts", f"{field} is no object of texts")
    return texts


def _text(found: Mapping[str, Any], field: str, what: str) -> str:
    text = found.get(field)
    if text is not None and not isinstance(text, str):
        raise _unreadable(what, f"{field} is no text")
    return text or ""


def _moment(found: Mapping[str, Any], field: str, what: str) -> int | None:
    text = _text(found, field, what)
    if not text:
        return None
    try:
        if not _DATE.match(text):
            raise ValueError("must be an RFC 3339 time")
        time_ms = parse_time(text)
    except (ValueError, OverflowError) as error:
        raise _unreadable(what, f"{field} is {quoted(text[:50])}, but {error}") from error
    return None if time_ms == _NO_TIME_MS else time_ms


def _unreadable(what: str, reason: str) -> FormError:
    return FormError(400, {"code": 400, "message": f'parsing {what} body from "" failed, because {reason}'})


def _unfit(code: int, message: str) -> FormError:
    return FormError(422, {"code": code, "message": message})


# --- writing -----------------------------------------------------------------------------------------------------


def gettable_silence(silence: Silence, now_ms: int) -> dict[str, Any]:
    """A silence as it is read."""
    return {
        "id": silence.id,
        "status": {"state": silence.state(now_ms)},
        "updatedAt": iso(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": iso(silence.ends_ms),
        "matchers": [matcher.as_dict() for matcher in silence.matchers],
        "startsAt": iso(silence.starts_ms),
    }


def gettable_alert(
    alert: Alert, receivers: Sequence[str], silenced_by: Sequence[str], inhibited_by: Sequence[str], ends_ms: int
) -> dict[str, Any]:
    """A firing alert as it is read."""
    found = {
        "annotations": dict(alert.annotations),
        "endsAt": iso(ends_ms),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in receivers],
        "startsAt": iso(starts_ms(alert)),
        "status": {
            "inhibitedBy": list(inhibited_by),
            "silencedBy": list(silenced_by),
            "state": "suppressed" if silenced_by or inhibited_by else "active",
        },
        "updatedAt": iso(alert.seen_ms),
        "labels": dict(alert.labels),
    }
    return found | ({"generatorURL": alert.generator_url} if alert.generator_url else {})


def starts_ms(alert: Alert) -> int:
    """Since when an alert fires."""
    return alert.firing_ms if alert.firing_ms is not None else alert.active_ms
