"""The page's languages: one table of messages per language, keyed by the English text.

The tables lie in ``static/i18n`` because the browser reads the same files. English needs none: a text is its own key.
"""

from __future__ import annotations

import json
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
    """A machine-readable reason (``out_of_memory: 3 GB``) as people say it: the word before the colon is looked up."""
    code, colon, rest = reason.partition(": ")
    said = table(language).get(code, code.replace("_", " "))
    return f"{said}{'：' if language == 'zh' else ': '}{rest}" if colon else said


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
