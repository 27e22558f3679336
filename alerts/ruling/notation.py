"""The notation of rule tests: series such as ``up{job="a"}`` and their values such as ``1+2x3 _ stale``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from collectors.sample import METRIC_NAME, STALE, Labels, Times, Values
from promql.literal import unquote

#: Samples that one series may have.
MAX_SAMPLES = 2_000_000

_NUMBER = r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(
    rf"(?P<blank>_)(?:x(?P<blanks>[0-9]+))?"
    rf"|(?P<value>stale|[+-]?{_NUMBER})(?:(?P<slope>[+-]{_NUMBER})(?=x))?(?:x(?P<times>[0-9]+))?"
)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PAIR = re.compile(
    r"""\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*(?P<value>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)\s*"""
)


class NotationError(ValueError):
    """A series or its values that cannot be read; the message names the piece."""


def parse_labels(text: str) -> Labels:
    """The label set that ``text`` describes. Raises :class:`NotationError`."""
    rest = text.strip()
    found: dict[str, str] = {}
    name = _NAME.match(rest)
    if name is not None:
        found[METRIC_NAME] = name[0]
        rest = rest[name.end() :].lstrip()
    if not rest:
        return tuple(sorted(found.items()))
    if not rest.startswith("{") or not rest.endswith("}"):
        raise NotationError(f'{text!r} is not a series such as up{{job="a"}}')
    rest = rest[1:-1]
    while rest.strip():
        pair = _PAIR.match(rest)
        if pair is None:
            raise NotationError(f'{text!r}: expected label="value" at {rest.strip()[:30]!r}')
        if pair["name"] in found:
            raise NotationError(f"{text!r}: label {pair['name']} is given twice")
        try:
            found[pair["name"]] = unquote(pair["value"])
        except ValueError as error:
            raise NotationError(f"{text!r}: {error}") from error
        rest = rest[pair.end() :]
        if rest.startswith(","):
            rest = rest[1:]
        elif rest:
            raise NotationError(f"{text!r}: expected ',' at {rest[:30]!r}")
    return tuple(sorted((label, value) for label, value in found.items() if value))


def parse_values(text: str, interval_ms: int) -> tuple[Times, Values]:
    """The moments, one every ``interval_ms`` from 0, and the values. Raises :class:`NotationError`."""
    if "{{" in text:
        raise NotationError("native histograms ({{…}}) are not supported")
    values: list[float | None] = []
    for item in text.split():
        values += _expanded(item, MAX_SAMPLES - len(values))
    present = [index for index, value in enumerate(values) if value is not None]
    times = np.array(present, dtype=np.int64) * interval_ms
    return times, np.array([values[index] for index in present], dtype=np.float64)


def _expanded(item: str, room: int) -> Iterator[float | None]:
    found = _ITEM.fullmatch(item)
    if found is None:
        raise NotationError(f"{item!r} is not a value such as 1, 1x5, 1+2x5, _, _x5 or stale")
    times = int(found["blanks"] or found["times"] or 0)
    count = (max(times, 0) if found["blanks"] is not None else 1) if found["blank"] else times + 1
    if count > room:
        raise NotationError(f"{item!r}: a series may have {MAX_SAMPLES} samples")
    if found["blank"]:
        yield from [None] * count
        return
    value = STALE if found["value"] == "stale" else _number(found["value"])
    slope = _number(found["slope"]) if found["slope"] else 0.0
    for _ in range(count):
        yield value
        if found["slope"]:
            value += slope


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value) and not text.lower().endswith("inf"):
        raise NotationError(f"{text!r} is out of range")
    return value
