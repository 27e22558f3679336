"""The texts and numbers that are written in templates, as Go reads them."""

from __future__ import annotations

import re

from alerts.quantity import TemplateError
from alerts.token import Token

_SIMPLE_ESCAPES = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.)|$)", re.DOTALL)


def unquoted(token: Token) -> str:
    """What a text between quotes says. Raises :class:`TemplateError`."""
    if token.kind == "raw":
        return token.text[1:-1].replace("\r", "")
    quote = token.text[0]

    def replace(match: re.Match[str]) -> str:
        digits = match[1] or match[2] or match[3]
        code = int(digits, 16) if digits else int(match[4], 8) if match[4] else None
        if code is not None and (code > 0x10FFFF or 0xD800 <= code < 0xE000 or (match[4] and code > 0xFF)):
            raise TemplateError(f"{match[0]!r} stands for no character")
        if code is not None:
            return chr(code)
        if match[5] == quote:
            return quote
        if match[5] not in _SIMPLE_ESCAPES:
            raise TemplateError(f"unknown escape {match[0]!r} in a text")
        return _SIMPLE_ESCAPES[match[5]]

    return _ESCAPE.sub(replace, token.text[1:-1])


def number(token: Token) -> int | float | complex:
    """The value of a number or of a character. Raises :class:`TemplateError`."""
    text = token.text
    if token.kind == "char":
        character = unquoted(token)
        if len(character) != 1:
            raise TemplateError(f"{text} is not one character")
        return ord(character)
    if text.endswith("i"):
        return _complex(text)
    plain = text.lstrip("+-").lower()
    try:
        if not plain.startswith("0x") and any(mark in plain for mark in ".e"):
            return float(text)
        if plain.startswith("0x") and any(mark in plain for mark in ".p"):
            return float.fromhex(text)
        whole = int(text, 8) if _OCTAL.fullmatch(plain) else int(text, 0)
    except ValueError:
        raise TemplateError(f"{text!r} is not a number") from None
    if not -(2**63) <= whole < 2**64:
        raise TemplateError(f"{text!r} is too large")
    return whole


_OCTAL = re.compile(r"0[0-7_]+")


def _complex(text: str) -> complex:
    """Go's templates know them; nothing can be done with one but to write it."""
    try:
        return complex(text.removesuffix("i") + "j")
    except ValueError:
        raise TemplateError(f"{text!r} is not a number") from None
