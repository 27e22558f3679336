"""Two versions side by side, measured on the same days' requests, and what their difference is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.significance import RISK, bar, least_share, rank_errors, share_errors
from model.tally import Figures, Tally

#: Where one side has fewer requests than this, only a difference that is beyond doubt is told.
LEAST_REQUESTS = 50

Verdict = Literal["too_few", "alike", "better", "worse", "different"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one difference.

    ``value`` is the canary's share less the other's for failures and for ``subject``, a class; for latency, how likely
    a request of the canary takes longer than one of the other. ``unseen`` is how large a difference of shares may be
    and not show yet. ``errors`` is how many standard errors apart the two are, ``needed`` how many they had to be.
    """

    what: Literal["failures", "latency", "classes"]
    verdict: Verdict
    value: float | None
    errors: float
    needed: float | None
    unseen: float | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both sides since the canary began, ``seconds`` ago."""

    seconds: float
    serving: Figures
    canary: Figures
    findings: tuple[Finding, ...]


def compare(serving: Tally, canary: Tally, seconds: float) -> Comparison:
    """What was counted of both."""
    theirs, mine = serving.figures(seconds), canary.figures(seconds)
    findings = [_failures(mine, theirs), _latency(canary, serving)]
    if mine.classes or theirs.classes:
        findings.append(_classes(mine, theirs))
    return Comparison(seconds, theirs, mine, tuple(findings))


def _failures(mine: Figures, theirs: Figures) -> Finding:
    errors = share_errors(mine.failed, mine.judged, theirs.failed, theirs.judged)
    needed = bar(mine.judged, theirs.judged)
    return Finding(
        "failures",
        _verdict(errors, needed, min(mine.judged, theirs.judged)),
        _difference(mine.failed, mine.judged, theirs.failed, theirs.judged),
        errors,
        _finite(needed),
        least_share(mine.failed + theirs.failed, mine.judged, theirs.judged),
    )


def _latency(mine: Tally, theirs: Tally) -> Finding:
    slots, other = mine.durations(), theirs.durations()
    count, other_count = sum(slots.values()), sum(other.values())
    errors, chance = rank_errors(slots, other)
    needed = bar(count, other_count)
    least = min(count, other_count)
    # Ranks of a handful are no normal distribution: they never count.
    verdict: Verdict = "too_few" if least < LEAST_REQUESTS else _verdict(errors, needed, least)
    return Finding("latency", verdict, chance if count and other_count else None, errors, _finite(needed))


def _classes(mine: Figures, theirs: Figures) -> Finding:
    """The class whose share differs most; the more classes there are, the more it must."""
    names = sorted({*mine.classes, *theirs.classes})
    count, other_count = sum(mine.classes.values()), sum(theirs.classes.values())

    def errors_of(name: str) -> float:
        return share_errors(mine.classes.get(name, 0), count, theirs.classes.get(name, 0), other_count)

    subject = max(names, key=lambda name: abs(errors_of(name)))
    errors, hits, other_hits = errors_of(subject), mine.classes.get(subject, 0), theirs.classes.get(subject, 0)
    needed = bar(count, other_count, RISK / len(names))
    verdict = _verdict(errors, needed, min(count, other_count))
    return Finding(
        "classes",
        "different" if verdict in ("better", "worse") else verdict,
        _difference(hits, count, other_hits, other_count),
        errors,
        _finite(needed),
        least_share(hits + other_hits, count, other_count),
        subject,
    )


def _verdict(errors: float, needed: float, least: int) -> Verdict:
    if abs(errors) >= needed:
        return "worse" if errors > 0 else "better"
    return "too_few" if least < LEAST_REQUESTS else "alike"


def _difference(hits: int, count: int, other_hits: int, other_count: int) -> float | None:
    return hits / count - other_hits / other_count if count and other_count else None


def _finite(needed: float) -> float | None:
    return needed if needed < float("inf") else None
