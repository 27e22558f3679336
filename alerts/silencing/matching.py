"""Which label sets do matchers mean? Alertmanager's syntax and semantics: ``service="db", zone=~"eu-.*"``.

As Alertmanager 0.25 has them: regular expressions are RE2's and match the whole value, a label that a set does not have
counts as empty, and quotes around a value are optional.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import re2

#: A regular expression may take this much memory when compiled; RE2's own default is 8 MiB.
_MAX_MEMORY = 1 << 20
#: Unicode classes (``\pL``) that one may have: RE2 spends 0.1 ms on each before it finds that they are too many.
_MAX_CLASSES = 50
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_SPACE = "[\t\n\f\r ]*"  # what Go calls a space in a regular expression
_MATCHER = re.compile(rf"{_SPACE}([a-zA-Z_:][a-zA-Z0-9_:]*){_SPACE}(=~|=|!=|!~){_SPACE}(.*?){_SPACE}", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}

Test = Callable[[str], bool]


class MatcherError(ValueError):
    """A matcher that cannot be read, or whose regular expression RE2 does not take; the sentence says which and why."""


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """One condition on one label. Raises :class:`MatcherError` for a regular expression that RE2 does not take."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __post_init__(self) -> None:
        if not _is_text(self.name) or not _is_text(self.value):
            raise MatcherError(f"the matcher of {self.name!r} is not valid UTF-8")
        if self.is_regex:
            _compiled(self.value)

    @property
    def operator(self) -> str:
        """One of ``=``, ``!=``, ``=~``, ``!~``."""
        if self.is_regex:
            return "=~" if self.is_equal else "!~"
        return "=" if self.is_equal else "!="

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition holds for a label set."""
        return self.matches_value(labels.get(self.name, ""))

    def matches_value(self, value: str) -> bool:
        """Whether the condition holds for a value of its label."""
        holds = _compiled(self.value)(value) if self.is_regex else value == self.value
        return holds == self.is_equal

    def as_dict(self) -> dict[str, Any]:
        """As Alertmanager's API has it."""
        return {"isEqual": self.is_equal, "isRegex": self.is_regex, "name": self.name, "value": self.value}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The reverse; without ``isEqual`` it is one that must hold, as before Alertmanager 0.22."""
        return cls(found["name"], found["value"], bool(found["isRegex"]), bool(found.get("isEqual", True)))

    def __str__(self) -> str:
        """As Alertmanager writes it: ``name="value"``; :func:`parse_matcher` reads it back."""
        value = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.operator}"{value}"'


def match_all(matchers: Iterable[LabelMatcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher holds for a label set; no matchers at all hold for any."""
    return all(matcher.matches(labels) for matcher in matchers)


def is_label_name(name: str) -> bool:
    """Whether Prometheus takes ``name`` as the name of a label."""
    return _LABEL_NAME.fullmatch(name) is not None


def parse_matchers(text: str) -> list[LabelMatcher]:
    """The matchers of a list such as ``{a="b", c!~"d|e"}``; braces may be left out. Raises :class:`MatcherError`."""
    return [parse_matcher(token) for token in _split(text.removeprefix("{").removesuffix("}"))]


def parse_matcher(text: str) -> LabelMatcher:
    """One matcher, ``a="b"`` or ``a=b``. Raises :class:`MatcherError`, worded as Alertmanager words it."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError(f"bad matcher format: {text}")
    name, operator, raw = found.groups()
    if not _is_text(raw):
        raise MatcherError(f"matcher value not valid UTF-8: {raw!r}")
    return LabelMatcher(name, _unquoted(raw), is_regex=operator.endswith("~"), is_equal=not operator.startswith("!"))


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no quotes."""
    tokens: list[str] = []
    quoted = escaped = False
    start = 0
    for index, char in enumerate(text):
        if char == "," and not quoted:
            tokens.append(text[start:index])
            start = index + 1
        elif char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
    last = text[start:].strip()
    return [*tokens, last] if last else tokens


def _unquoted(raw: str) -> str:
    """A value without its quotes and escapes. A backslash before any other letter stands for itself."""
    is_quoted = raw.startswith('"')
    inner = raw[1:] if is_quoted else raw
    parts: list[str] = []
    index = 0
    while index < len(inner):
        char = inner[index]
        if char == "\\" and index + 1 < len(inner):
            follower = inner[index + 1]
            parts.append(_ESCAPES.get(follower, f"\\{follower}"))
            index += 2
            continue
        if char == '"':
            if not is_quoted or index + 1 < len(inner):
                break
            return "".join(parts)
        parts.append(char)
        index += 1
    else:
        if not is_quoted:
            return "".join(parts)
    raise MatcherError(f"matcher value contains unescaped double quote: {raw}")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Test:
    if pattern.count("\\p") + pattern.count("\\P") > _MAX_CLASSES:
        raise MatcherError(f"the regular expression {pattern[:100]!r} has more than {_MAX_CLASSES} Unicode classes")
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    options.never_capture = True  # and no dot_nl: unlike Prometheus, Alertmanager compiles without (?s)
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error.args[0]
        raise MatcherError(f"the regular expression {pattern[:100]!r} is not valid: {reason[:200]}") from error
    return lambda text: compiled.fullmatch(text) is not None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
