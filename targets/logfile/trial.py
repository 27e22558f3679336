"""Patterns tried on lines that somebody has pasted: what they would find, and the metrics that would come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config_target import LogTarget
from targets.logfile.check import log_problems
from targets.logfile.entry import Entry
from targets.logfile.matching import Matcher
from targets.logfile.multiline import rule
from targets.logfile.tally import MAX_LINE
from targets.logfile.wording import plain, readable

#: Entries that are told; of those that follow, only what they count.
MAX_TOLD = 500


class TrialError(ValueError):
    """What is to be tried cannot be; the message says which setting and why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """``entries`` says of each which patterns find it; ``series`` are the metrics afterwards."""

    entries: list[dict[str, Any]]
    counts: dict[str, int]
    active: list[str]
    series: list[dict[str, Any]]


def try_out(settings: LogTarget, text: str) -> Trial:
    """What ``settings`` make of these lines, all read at once. Raises :class:`TrialError`."""
    found = log_problems(settings)
    if found:
        raise TrialError(found[0].lstrip("."))
    matcher = Matcher("trial", "trial", settings)
    told: list[dict[str, Any]] = []
    counts = {pattern.title: 0 for pattern in matcher.patterns}
    entries = _entries(text, matcher.multiline)
    for line, entry in entries:
        raw = plain(entry).encode(errors="replace")
        titles = [pattern.title for pattern in matcher.patterns if pattern.search(raw) is not None]
        for title in titles:
            counts[title] += 1
        if len(told) < MAX_TOLD:
            told.append({"line": line, "text": readable(entry.partition("\n")[0], MAX_LINE), "patterns": titles})
    matcher.feed([Entry(entry, 0, entry.count("\n") + 1, len(entry)) for _, entry in entries], 0)
    series = [
        {"name": one.name, "labels": {k: v for k, v in one.labels if k not in ("target", "source")}, "value": one.value}
        for one in matcher.samples(0)
        if not one.name.startswith("log_")
    ]
    return Trial(told, counts, sorted(matcher.active), series)


def _entries(text: str, multiline: str | None) -> list[tuple[int, str]]:
    """The entries that the follower would make of these lines, each with the number of its first line from 1."""
    continues = rule(multiline)
    found: list[tuple[int, list[str]]] = []
    previous = b""
    for number, line in enumerate(text.split("\n"), start=1):
        raw = line.encode(errors="replace")
        if found and continues(raw, previous):
            found[-1][1].append(line)
        elif line.strip():
            found.append((number, [line]))
        previous = raw
    return [(number, "\n".join(lines).rstrip()) for number, lines in found]
