"""Arithmetic on label sets. An absent label and an empty one are the same thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from collectors.sample import METRIC_NAME, Labels

#: What makes two series match, or fall into one group.
Signature = tuple[object, ...]


def get(labels: Labels, name: str) -> str:
    """The value of label ``name``, or the empty string."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def drop_name(labels: Labels) -> Labels:
    """``labels`` without the metric's name."""
    if labels and labels[0][0] == METRIC_NAME:
        return labels[1:]
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)


def drop_names(labels: list[Labels]) -> list[Labels]:
    """Every label set without the metric's name."""
    return [drop_name(one) for one in labels]


def keep(labels: Labels, names: Collection[str]) -> Labels:
    """Only the labels called ``names``."""
    return tuple(pair for pair in labels if pair[0] in names)


def drop(labels: Labels, names: Collection[str]) -> Labels:
    """All but the labels called ``names``."""
    return tuple(pair for pair in labels if pair[0] not in names)


def replace(labels: Labels, name: str, value: str) -> Labels:
    """Set label ``name``; an empty ``value`` removes it."""
    others = [pair for pair in labels if pair[0] != name]
    if value:
        others.append((name, value))
        others.sort()
    return tuple(others)


def grouper(names: Collection[str], without: bool) -> Callable[[Labels], Labels]:
    """A function from a series' labels to those of its group."""
    if without:
        dropped = frozenset(names) | {METRIC_NAME}
        return lambda labels: drop(labels, dropped)
    if not names:
        return lambda labels: ()
    kept = frozenset(names)
    return lambda labels: keep(labels, kept)


def format_labels(labels: Labels) -> str:
    """``{a="b", c="d"}``, for messages."""
    return "{" + ", ".join(f"{name}={_quoted(value)}" for name, value in labels) + "}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


_DIGITS = re.compile(r"([0-9]+)")


def natural_key(value: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts ``cpu2`` before ``cpu10``."""
    return tuple(_part_key(part) for part in _DIGITS.split(value) if part)


def _part_key(part: str) -> tuple[int, int, str]:
    """Digits compare as a number would, first by how many there are: they may be more than ``int`` takes."""
    if part[0] not in "0123456789":
        return 1, 0, part
    digits = part.lstrip("0")
    return 0, len(digits), digits
