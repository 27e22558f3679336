"""The questions that are asked first when something is wrong, with what is known: pure, each from plain data.

Sentences are English; the page has them in every language by their patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import structlog

from reports.common import Comparison

log = structlog.get_logger(__name__)

Verdict = Literal["ok", "bad", "unknown"]
QUESTIONS = {
    "alive": "Is it alive?",
    "resources": "Has it enough of everything?",
    "changes": "What changed in the last hour?",
    "first_error": "What was the first error?",
    "inputs": "What do failing inputs share?",
}
#: Facts and lines of a step.
_MOST_FACTS, _MOST_LINES = 30, 20


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is known: a number in ``unit`` (as ``bytes``, ``ratio``, ``celsius``), or words.

    ``time_ms`` where its name is that moment, for who shows it on the reader's own clock.
    """

    name: str
    value: float | str | bool | None
    unit: str | None = None
    link: str | None = None
    time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A question and its answer."""

    key: str
    verdict: Verdict
    answer: str
    facts: tuple[Fact, ...] = ()
    lines: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As the page has it."""
        facts = [
            {name: value for name in Fact.__slots__ if (value := getattr(fact, name)) is not None or name == "value"}
            for fact in self.facts[:_MOST_FACTS]
        ]
        found: dict[str, Any] = {
            "key": self.key,
            "question": QUESTIONS[self.key],
            "verdict": self.verdict,
            "answer": self.answer,
            "facts": facts,
        }
        return found | ({"lines": [*self.lines[:_MOST_LINES]]} if self.lines else {})


class Sign(NamedTuple):
    """One sign of life: a check of health, a probe. ``ok`` is None where nobody knows yet."""

    name: str
    ok: bool | None
    reason: str | None = None
    link: str | None = None


class Level(NamedTuple):
    """How much of something is used, and from where on that is too much (None: there is no such bound)."""

    name: str
    value: float
    unit: str
    most: float | None = None
    link: str | None = None


class Change(NamedTuple):
    """Something that was changed, or happened; ``planned`` if somebody wanted it, ``failed`` if it came to nothing."""

    time_ms: int
    what: str
    planned: bool = True
    link: str | None = None
    failed: bool = False


class Failure(NamedTuple):
    """An error, from whichever log."""

    time_ms: int
    text: str
    lines: tuple[str, ...] = ()
    link: str | None = None


def alive(signs: Sequence[Sign]) -> Step:
    """Of all signs of life."""
    facts = tuple(
        Fact(
            sign.name,
            sign.reason or ("not known" if sign.ok is None else "well" if sign.ok else "not well"),
            None,
            sign.link,
        )
        for sign in sorted(signs, key=lambda sign: (sign.ok is not False, sign.ok is not None))
    )
    bad = [sign.name for sign in signs if sign.ok is False]
    if bad:
        return Step("alive", "bad", f"Not well: {', '.join(bad)}.", facts)
    if not any(sign.ok for sign in signs):
        return Step("alive", "unknown", "Nothing is known of it yet.", facts)
    return Step("alive", "ok", "It is alive, and all that is looked at is well.", facts)


def resources(levels: Sequence[Level]) -> Step:
    """Of what it runs on; only what there is."""
    short = [level for level in levels if level.most is not None and level.value > level.most]
    ordered = [*short, *(level for level in levels if level not in short)]
    facts = tuple(Fact(level.name, level.value, level.unit, level.link) for level in ordered)
    if not levels:
        return Step("resources", "unknown", "No figures are there yet.")
    if short:
        return Step("resources", "bad", f"At its limit: {', '.join(level.name for level in short)}.", facts)
    return Step("resources", "ok", "Nothing is short.", facts)


def changes(found: Sequence[Change], say_time: Callable[[int], str]) -> Step:
    """Of what was done and what happened in the hour before, the newest first."""
    newest = sorted(found, key=lambda change: -change.time_ms)
    facts = tuple(Fact(say_time(change.time_ms), change.what, None, change.link, change.time_ms) for change in newest)
    unplanned = [change for change in newest if not change.planned]
    failed = [change for change in newest if change.failed]
    if not newest:
        return Step("changes", "ok", "Nothing was changed in the hour before.")
    if unplanned:
        return Step("changes", "bad", f"Nobody asked for this: {unplanned[-1].what}.", facts)
    if failed:
        return Step("changes", "bad", f"Look at this first: {failed[-1].what}.", facts)
    if len(newest) == 1:
        return Step("changes", "ok", f"One change in the hour before: {newest[0].what}.", facts)
    return Step("changes", "ok", f"{len(newest)} changes in the hour before, the last one: {newest[0].what}.", facts)


def first_error(failures: Sequence[Failure], say_time: Callable[[int], str]) -> Step:
    """Of all errors around it, the one that came first. What came more than once is told as of its first time."""
    once: dict[str, Failure] = {}
    for one in sorted(failures, key=lambda failure: failure.time_ms):
        once.setdefault(one.text, one)
    ordered = [*once.values()]
    if not ordered:
        return Step("first_error", "ok", "No error was logged around it.")
    first = ordered[0]
    facts = tuple(
        Fact(say_time(one.time_ms), "the one above" if one is first else one.text, None, one.link, one.time_ms)
        for one in ordered
    )
    return Step("first_error", "bad", f"The first error: {first.text}", facts, first.lines)


def inputs(found: Comparison, least: int) -> Step:
    """Of inputs that failed beside those that did not."""
    if not found.failing:
        return Step("inputs", "ok", "No input has failed.")
    facts = (Fact("Failing inputs", found.failing, "count", "/requests"), Fact("Good inputs", found.good, "count"))
    if found.failing < least or not found.good:
        return Step("inputs", "unknown", "Too few inputs have failed, or gone well, to compare them.", facts)
    telling = [trait for trait in found.traits if trait.significant]
    if not telling:
        return Step("inputs", "ok", "Inputs fail, but share nothing that good ones do not have as well.", facts)
    first = telling[0]
    shares = tuple(Fact(f"{trait.name} {trait.value}", trait.failing_share, "ratio") for trait in telling[:5])
    shared = f"{first.name} {first.value}"
    said = f"{first.failing_share:.0%} of failing inputs have {shared}, of good ones {first.good_share:.0%}."
    return Step("inputs", "bad", said, (*facts, *shares))


def run(steps: dict[str, Callable[[], Step]], seconds: float) -> list[Step]:
    """All steps side by side. One that fails or takes too long says so, and leaves the others alone."""
    pool = ThreadPoolExecutor(len(steps), thread_name_prefix="checkup")
    try:
        under_way = {key: pool.submit(step) for key, step in steps.items()}
        wait(under_way.values(), timeout=seconds)
        return [_told(key, future) for key, future in under_way.items()]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _told(key: str, future: Future[Step]) -> Step:
    if not future.done():
        log.warning("checkup_step_late", step=key)
        return Step(key, "unknown", "This took too long to find out.")
    error = future.exception()
    if error is not None:
        log.error("checkup_step_failed", step=key, exc_info=error)
        return Step(key, "unknown", "This could not be found out; the log says why.")
    return replace(future.result(), key=key)
