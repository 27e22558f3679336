"""The notation of series in Prometheus' test files: ``name{label="value"} 1 2+3x2 _ stale``."""

from __future__ import annotations

import re

from collectors.sample import METRIC_NAME, STALE, Labels
from promql.literal import duration_ms as literal_ms
from promql.literal import unquote

_STRING = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
_SERIES = re.compile(rf"(?P<name>[A-Za-z_:][\w:]*)?\s*(?:\{{(?P<labels>(?:[^}}\"'`]|{_STRING})*)\}})?")
_LABEL = re.compile(rf"\s*(?:(?P<name>[A-Za-z_]\w*|{_STRING})\s*=\s*)?(?P<value>{_STRING})\s*(?:,|$)")
_REPEAT = re.compile(r"(?P<first>[^x]+?)(?:(?P<sign>[+-])(?P<delta>[^x+-]+(?:e[+-]?\d+)?))?x(?P<times>\d+)")


class NotationError(ValueError):
    """A series that cannot be read; the message shows it."""


def duration_ms(text: str) -> int:
    """``1h30m``, ``-5m`` or plain seconds as milliseconds."""
    if re.search("[smhdwy]$", text):
        return -literal_ms(text[1:]) if text.startswith("-") else literal_ms(text)
    return round(float(text) * 1000)


def parse_labels(text: str) -> tuple[Labels, str]:
    """A series' notation at the start of ``text``, and the rest."""
    found = _SERIES.match(text)
    assert found is not None
    pairs: list[tuple[str, str]] = [(METRIC_NAME, found["name"])] if found["name"] else []
    inside = (found["labels"] or "").strip()
    position = 0
    while position < len(inside):
        label = _LABEL.match(inside, position)
        if label is None:
            raise NotationError(f"bad labels: {inside!r}")
        name = label["name"] or METRIC_NAME
        pairs.append((unquote(name) if name[0] in "\"'`" else name, unquote(label["value"])))
        position = label.end()
    return tuple(sorted(pairs)), text[found.end() :].strip()


def parse_values(text: str) -> list[float | None]:
    """``1 2+3x2 _ stale NaN`` as values; None where there is no sample."""
    values: list[float | None] = []
    for word in text.split():
        if word.startswith("_"):
            values += [None] * int(word[2:]) if word.startswith("_x") else [None]
        elif found := _REPEAT.fullmatch(word):
            values += _repeated(found)
        else:
            values.append(_value(word))
    return values


def _repeated(found: re.Match[str]) -> list[float]:
    """``1+2x3`` is four values: the first one and three more."""
    first, times = _value(found["first"]), int(found["times"])
    if found["first"] == "stale":
        return [STALE] * (times + 1)
    delta = float(found["delta"] or 0) * (-1 if found["sign"] == "-" else 1)
    values = [first]
    for _ in range(times):  # added up one by one, with the rounding that the files expect
        values.append(values[-1] + delta)
    return values


def _value(word: str) -> float:
    if word == "stale":
        return STALE
    try:
        return float(word)
    except ValueError:
        raise NotationError(f"bad value: {word!r}") from None
