"""The grammar of one line of OpenMetrics text: ``name{label="value",…} value timestamp``, an exemplar, a comment.

Slow and exact: :mod:`storage.openmetrics` asks here once for each series, and for each line that is unusual.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from collectors.sample import METRIC_NAME, Labels

#: The latest moment that a sample can have, in UTC milliseconds: some time in the year 2248.
LATEST_MS = 2**43 - 1

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
#: A label, or a quoted metric name, and what ends it.
_LABEL = re.compile(rf"[ \t]*(?:([a-zA-Z_][a-zA-Z0-9_]*)|{_QUOTED})[ \t]*(?:=[ \t]*{_QUOTED}[ \t]*)?([,}}])")
_END = re.compile(r"[ \t]*}")
#: Value, timestamp and exemplar, of which the exemplar is checked no further than its brace.
_NUMBERS = re.compile(r"[ \t]*([^\s#{]\S*)(?:[ \t]+([^\s#{]\S*))?(?:[ \t]+#[ \t]+\{.*)?[ \t]*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?inf(?:inity)?|nan", re.ASCII | re.I)
_ESCAPE = re.compile(r"\\(.)")
_MEANS = {"n": "\n", '"': '"', "\\": "\\"}


class LineError(ValueError):
    """What is wrong with a line, in words that follow "line 7: "."""


class Numbers(NamedTuple):
    """The text behind a series: its value and its timestamp in seconds, where it has one. Both are valid numbers."""

    value: str
    timestamp: str | None


def split_line(line: str) -> tuple[str, Labels, Numbers]:
    """The text of the series, its labels with ``__name__`` (sorted, none empty), and the numbers behind it.

    Raises :class:`LineError`.
    """
    name = _NAME.match(line)
    position = name.end() if name else 0
    pairs: dict[str, str] = {}
    if line.startswith("{", position):
        position = _read_labels(line, position + 1, pairs)
    if name:
        if METRIC_NAME in pairs:
            raise LineError("the metric's name is given twice")
        pairs[METRIC_NAME] = name.group()
    if not pairs.get(METRIC_NAME):
        raise LineError(f"no metric's name at {_excerpt(line)}")
    if position < len(line) and line[position] not in " \t":
        raise LineError(f"a blank is missing before {_excerpt(line[position:])}")
    labels = tuple(sorted((label, value) for label, value in pairs.items() if value))
    return line[:position], labels, read_numbers(line[position:])


def read_numbers(text: str) -> Numbers:
    """The value and the timestamp of a line, an exemplar left out. Raises :class:`LineError`."""
    found = _NUMBERS.fullmatch(text)
    if found is None:
        words = text.strip()
        if words.startswith("{"):
            raise LineError("native histograms cannot be read")
        raise LineError(f"a value and a timestamp should follow the series, not {_excerpt(words)}")
    for what, number in zip(("value", "timestamp"), found.groups(), strict=True):
        if number is not None and not _NUMBER.fullmatch(number):
            raise LineError(f"the {what} {_excerpt(number)} is not a number")
    return Numbers(*found.groups())


def read_time(text: str) -> int:
    """UTC milliseconds of a timestamp in seconds. Raises :class:`LineError` when the store cannot hold it."""
    seconds = float(text)
    if not -1 < seconds < LATEST_MS or not 0 <= round(seconds * 1000) <= LATEST_MS:  # NaN is not, either
        hint = " (OpenMetrics counts seconds, not milliseconds)" if seconds * 1000 > LATEST_MS else ""
        raise LineError(f"the timestamp {_excerpt(text)} is outside 1970 to 2248{hint}")
    return round(seconds * 1000)


def is_end(line: str) -> bool:
    """Whether a comment is ``# EOF``."""
    return line.rstrip() == "# EOF"


def _read_labels(line: str, position: int, pairs: dict[str, str]) -> int:
    """Fill ``pairs`` with what stands in braces; returns the position behind them."""
    while True:
        end = _END.match(line, position)
        if end:
            return end.end()
        found = _LABEL.match(line, position)
        if found is None:
            raise LineError(f'a label should be written name="value", not {_excerpt(line[position:])}')
        name, quoted, value, mark = found.groups()
        label = _unescape(quoted) if name is None else name
        if value is None:  # a name in quotes, which no other syntax has
            if name is not None or METRIC_NAME in pairs:
                raise LineError(f'a label should be written name="value", not {_excerpt(line[position:])}')
            label, value = METRIC_NAME, quoted
        elif label == METRIC_NAME:
            raise LineError(f"the label {METRIC_NAME} is reserved")
        elif not label:
            raise LineError("a label without a name")
        if label in pairs:
            raise LineError(f"the label {label} is given twice")
        pairs[label] = _unescape(value)
        position = found.end()
        if mark == "}":
            return position


def _unescape(text: str) -> str:
    r"""``\n``, ``\"`` and ``\\`` have a meaning; any other backslash is itself."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _MEANS.get(found.group(1), found.group()), text)


def _excerpt(text: str) -> str:
    """What an error quotes: enough to find the place, never a megabyte."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
