"""The page's languages: one table of messages per language, keyed by the English text.

The tables lie in ``static/i18n`` because the browser reads the same files. English needs none: a text is its own key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from flask import Flask, g, request

from dashboard.services import services
from dashboard.unit import Said, duration

Language = Literal["en", "zh"]

LANGUAGES: dict[Language, str] = {"en": "English", "zh": "中文"}
COOKIE = "wakeless_language"
TABLES = Path(__file__).resolve().parent.parent / "static" / "i18n"
_PLACE, _SPLIT = re.compile(r"\{(\d)\}"), re.compile(r"\{\d\}")
_CODED, _SLUG = re.compile(r"([a-z][a-z0-9_]*): (.+)", re.DOTALL), re.compile(r"\A[a-z0-9]+(?:_[a-z0-9]+)+(?= |\Z)")
_SAID_UNITS = {"zh": {"d": "天", "h": "小时", "min": "分钟", "s": "秒"}}


@cache
def table(language: Language) -> dict[str, str]:
    """All messages of a language by their English text; empty for English."""
    if language == "en":
        return {}
    messages: dict[str, str] = json.loads((TABLES / f"{language}.json").read_text(encoding="utf-8"))
    return messages


def translate(text: str, language: Language, **values: object) -> str:
    """The text in a language, with ``{name}`` filled from ``values``. A text that has no translation stays English."""
    said = table(language).get(text, text)
    return said.format(**values) if values else said


def say_reason(reason: str, language: Language) -> str:
    """What a room says in English, a sentence or a machine-readable reason (``out_of_memory: 3 GB``), as people say it.

    Texts with values in them are looked up by their patterns (``exited with code {0}``), what is before a colon alone.
    """
    known = table(language)
    if reason in known:
        return known[reason]
    if found := _CODED.fullmatch(reason):
        code, rest = found[1], say_reason(found[2], language)
        return f"{known.get(code, code.replace('_', ' '))}{'：' if language == 'zh' else ': '}{rest}"
    for text, pattern in _patterns(language):
        if found := pattern.fullmatch(reason):
            return _filled(known[text], [_say_value(value, language) for value in found.groups()])
    return _SLUG.sub(lambda slug: slug[0].replace("_", " "), reason)


def _filled(text: str, values: Sequence[str]) -> str:
    return _PLACE.sub(lambda place: values[int(place[1])], text)


def _say_value(value: str, language: Language) -> str:
    """A value in a text is a name, unless it is several words or a reason of its own."""
    return say_reason(value, language) if " " in value or "_" in value else value


@cache
def _patterns(language: Language) -> list[tuple[str, re.Pattern[str]]]:
    """The texts with values in them, the most telling first, and what they match."""
    texts = sorted(
        (text for text in table(language) if _PLACE.search(text)), key=lambda text: -len(_PLACE.sub("", text))
    )
    return [(text, re.compile("(.+?)".join(map(re.escape, _SPLIT.split(text))), re.DOTALL)) for text in texts]


def say_duration(seconds: float, language: Language) -> str:
    """A length of time for people: ``3 d 4 h``, ``3 天 4 小时``."""
    units = _SAID_UNITS.get(language, {})
    return " ".join(f"{count}\u202f{units.get(name, name)}" for count, name in duration(seconds))


def say_rate(rate: Said, language: Language) -> str:
    """Requests per second in a sentence."""
    return translate("{number} requests/s", language, number=rate.number)


def current_language() -> Language:
    """The language of this request: the visitor's choice, else the setting, else what the browser prefers."""
    if "language" not in g:
        g.language = _choose()
    chosen: Language = g.language
    return chosen


def _choose() -> Language:
    chosen = request.cookies.get(COOKIE)
    for language in LANGUAGES:
        if chosen == language:
            return language
    configured = services().settings.language
    if configured != "auto":
        return configured
    return "zh" if request.accept_languages.best_match(["en", "zh"], "en") == "zh" else "en"


def message(text: str, **values: object) -> str:
    """``_()`` in templates: the text in the language of this request."""
    return translate(text, current_language(), **values)


def init_app(app: Flask) -> None:
    """Give templates ``_`` and the languages."""

    def context() -> dict[str, Any]:
        return {"_": message, "language": current_language(), "languages": LANGUAGES}

    app.context_processor(context)
