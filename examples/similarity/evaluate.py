"""How well addresses are told apart, on the pairs in pairs.tsv: ``python -m examples.similarity.evaluate``.

What the rules and the thresholds were made with is marked "tuning"; the other pairs were written down after that.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

import click
import torch

from examples.similarity.matcher import AddressMatcher
from examples.similarity.question import Question, compare

PAIRS: Final = Path(__file__).with_name("pairs.tsv")
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts, and whether they are one address. ``tuning``: thresholds may be chosen by it."""

    language: str
    same: bool
    a: str
    b: str
    tuning: bool


@dataclass(frozen=True, slots=True)
class Judged:
    pair: Pair
    answer: dict[str, Any]


Way = Callable[[Judged], float]


def _product(*names: str) -> Way:
    return lambda judged: math.prod(float(judged.answer[name]) for name in names)


#: Ways of turning what is known of a pair into a score.
WAYS: Final[dict[str, Way]] = {
    "longest common parts (`difflib`)": lambda judged: SequenceMatcher(None, judged.pair.a, judged.pair.b).ratio(),
    "spelling alone": _product("spelling"),
    "network alone": _product("meaning"),
    "numbers and words": _product("numbers", "words"),
    "numbers, words and spelling": _product("numbers", "words", "spelling"),
    "numbers, words and network": _product("numbers", "words", "meaning"),
    "as served": _product("score"),
}


def read_pairs() -> list[Pair]:
    """All of them. In each language and use, half of them are one address."""
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Pair(row["language"], row["truth"] == "same", row["a"], row["b"], tuning=row["use"] == "tuning") for row in rows
    ]


def judge(matcher: AddressMatcher, pairs: Sequence[Pair]) -> list[Judged]:
    """What the model says of each, some at a time."""
    judged: list[Judged] = []
    for start in range(0, len(pairs), _AT_ONCE):
        group = pairs[start : start + _AT_ONCE]
        compared = [compare(matcher.encoder, pair.a, pair.b) for pair in group]
        answers = matcher.predict([Question((one,), single=True, characters=0) for one in compared])
        judged += [Judged(pair, answer) for pair, answer in zip(group, answers, strict=True)]
    return judged


def ranking(scores: Sequence[float], truths: Sequence[bool]) -> float:
    """The chance that a pair of one address scores above one of two addresses (area under the ROC curve)."""
    same = [score for score, truth in zip(scores, truths, strict=True) if truth]
    different = [score for score, truth in zip(scores, truths, strict=True) if not truth]
    wins = sum((one > other) + (one == other) / 2 for one in same for other in different)
    return wins / (len(same) * len(different))


def best_threshold(scores: Sequence[float], truths: Sequence[bool]) -> float:
    """From which score on to call it one address, for the fewest mistakes: midway between two scores."""
    ordered = sorted(set(scores))
    places = [(low + high) / 2 for low, high in itertools.pairwise(ordered)]
    return max(places, key=lambda place: accuracy(scores, truths, place))


def accuracy(scores: Sequence[float], truths: Sequence[bool], threshold: float) -> float:
    """The share that a threshold gets right."""
    right = sum((score >= threshold) == truth for score, truth in zip(scores, truths, strict=True))
    return right / len(scores)


def held_out_accuracy(judged: Sequence[Judged], way: Way) -> float:
    """With the threshold that is best on the tuning pairs, on the others."""
    halves: dict[bool, tuple[list[float], list[bool]]] = {True: ([], []), False: ([], [])}
    for one in judged:
        scores, truths = halves[one.pair.tuning]
        scores.append(way(one))
        truths.append(one.pair.same)
    return accuracy(*halves[False], best_threshold(*halves[True]))


def held_out_ranking(judged: Sequence[Judged], way: Way) -> float:
    """The ranking of the pairs that are not for tuning."""
    held = [one for one in judged if not one.pair.tuning]
    return ranking([way(one) for one in held], [one.pair.same for one in held])


def unrelated(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that are one address, and as many of two that have nothing to do with each other."""
    same = [pair for pair in pairs if pair.same]
    others = [replace(pair, same=False, b=same[number - 7].b) for number, pair in enumerate(same)]
    return [*same, *others]


def _print_ways(alike: Mapping[str, Sequence[Judged]], apart: Mapping[str, Sequence[Judged]]) -> None:
    click.echo("| | Chinese | English | Chinese, right | English, right | Chinese, unrelated | English, unrelated |")
    click.echo("|---|---|---|---|---|---|---|")
    for name, way in WAYS.items():
        cells = [f"{held_out_ranking(judged, way):.2f}" for judged in alike.values()]
        cells += [f"{held_out_accuracy(judged, way):.0%}" for judged in alike.values()]
        cells += [f"{held_out_ranking(judged, way):.2f}" for judged in apart.values()]
        click.echo(f"| {name} | {' | '.join(cells)} |")


def _print_classes(alike: Mapping[str, Sequence[Judged]], classes: Sequence[str]) -> None:
    click.echo(f"\n| held out | {' | '.join(classes)} |\n|---|" + "---|" * len(classes))
    for spoken, judged in alike.items():
        for same, truth in ((True, "one address"), (False, "two addresses")):
            held = [one for one in judged if one.pair.same is same and not one.pair.tuning]
            found = [one.answer["class"] for one in held]
            click.echo(f"| {spoken}, {truth} | {' | '.join(str(found.count(label)) for label in classes)} |")


@click.command()
@click.option("--every", is_flag=True, help="Print each pair with its answer, too.")
def main(every: bool) -> None:
    """Print tables in Markdown."""
    torch.set_num_threads(1)
    matcher = AddressMatcher()
    matcher.load("cpu")
    spoken = {"Chinese": "zh", "English": "en"}
    pairs = {name: [pair for pair in read_pairs() if pair.language == code] for name, code in spoken.items()}
    alike = {name: judge(matcher, chosen) for name, chosen in pairs.items()}
    apart = {name: judge(matcher, unrelated(chosen)) for name, chosen in pairs.items()}
    for one in sorted((one for judged in alike.values() for one in judged), key=lambda one: float(one.answer["score"])):
        if every:
            kind = "same" if one.pair.same else "different"
            use = "tuning" if one.pair.tuning else "held out"
            click.echo(f"{kind:9} {use} {one.answer}\n  {one.pair.a}\n  {one.pair.b}")
    _print_ways(alike, apart)
    _print_classes(alike, matcher.classes)


if __name__ == "__main__":
    main()
