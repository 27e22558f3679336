"""Where a file went: what rotation calls its older copies, and in which order they were written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from targets.logfile.piece import COMPRESSED, Facts, Unreadable, look_at

#: What rotation puts behind a name: logrotate's number, its dates (dateext, dateformat), Python's handlers, epochs.
_SUFFIX = (
    r"(?:\.(?P<number>\d{1,6})"
    r"|(?P<date>[.\-_](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{10})(?:[T_\-.]?\d{2,6}(?:[-:_]?\d{2}){0,2}|\.\d{1,6})?))"
)
_BEHIND = re.compile(_SUFFIX + r"(?P<packed>\.(?:gz|bz2|xz|zst|zip|Z|lz4))?")
_ROTATED = re.compile(r"(?P<base>.+?)" + _SUFFIX + r"(?P<extension>\.[A-Za-z]+)??(?:\.(?:gz|bz2|xz|zst|zip|Z|lz4))?")


class Sibling(NamedTuple):
    """An older copy of a log, by its name."""

    path: str
    facts: Facts
    number: int | None
    date: str

    @property
    def compressed(self) -> bool:
        """Whether it is compressed."""
        return self.path.endswith(COMPRESSED)


def siblings(path: str) -> list[Sibling]:
    """The copies of ``path`` that rotation left beside it, the oldest first. What is being compressed is there once.

    ``path.1``, ``path-20260131``, ``path.2026-01-31``, the same before the extension (``app-20260131.log``), and any
    of these compressed.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return []
    found: dict[str, Sibling] = {}
    for other in names:
        match = _BEHIND.fullmatch(other[len(name) :]) if other.startswith(name) else None
        if match is None and extension and other.startswith(stem):
            match = _between(other[len(stem) :], extension)
        if match is not None:
            _note(found, os.path.join(folder, other), match)
    return sorted(found.values(), key=_age(list(found.values())))


def _between(rest: str, extension: str) -> re.Match[str] | None:
    """logrotate's ``extension``: the date stands before it."""
    packed = next((ending for ending in COMPRESSED if rest.endswith(ending)), "")
    plain = rest[: len(rest) - len(packed)]
    return _BEHIND.fullmatch(plain[: -len(extension)] + packed) if plain.endswith(extension) else None


def _note(found: dict[str, Sibling], path: str, match: re.Match[str]) -> None:
    try:
        facts = look_at(path)
    except Unreadable:
        return
    number = None if match["number"] is None else int(match["number"])
    sibling = Sibling(path, facts, number, match["date"] or "")
    key = f"{sibling.number}{sibling.date}"
    if key not in found or found[key].compressed:  # the plain one is whole until its compressed copy is
        found[key] = sibling


def _age(found: list[Sibling]) -> Callable[[Sibling], Any]:
    """By what they are sorted: their numbers or their dates, where all have such; else by when they were written."""
    if all(sibling.number is not None for sibling in found):
        return lambda sibling: -(sibling.number or 0)
    if all(sibling.date for sibling in found) and len({len(sibling.date) for sibling in found}) == 1:
        return lambda sibling: sibling.date
    return lambda sibling: (sibling.facts.mtime_ns, -(sibling.number or 0))


def is_rotated(path: str, others: set[str]) -> bool:
    """Whether ``path`` is an older copy of one of ``others``, or compressed: nothing to follow on its own."""
    if path.endswith(COMPRESSED):
        return True
    folder, name = os.path.split(path)
    match = _ROTATED.fullmatch(name)
    return match is not None and os.path.join(folder, match["base"] + (match["extension"] or "")) in others
