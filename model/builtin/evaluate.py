"""Measure the detector on photographs it never saw: ``python -m model.builtin.evaluate``.

The set has its own seed, its own backgrounds, its own fonts where the machine has them, and its own share of every
layout parameter (see ``drawing.dice``). Each photograph goes the way of a request: JPEG bytes, decode, predict, encode.
A second, smaller set is of layouts that training never draws: the nearer guess at cards of issuers nobody drew.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from numpy.typing import NDArray

from model.builtin.card import KINDS, NONE
from model.builtin.dataset import draw_scene
from model.builtin.detector import WEIGHTS, CardDetector
from model.builtin.drawing.dice import HELD_OUT, UNFAMILIAR, World
from model.builtin.render import jpeg_of, truth_of

SEED: Final = 20_261_121
_BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Score:
    """``confusion`` (kinds, kinds): truth by row, answer by column. Errors are the mean of a card's four corners.

    ``of_image`` and ``of_card`` are shares of the photograph's and the card's diagonal, for every card that was
    found to be one (whatever its kind).
    """

    confusion: NDArray[np.int64]
    of_image: NDArray[np.float64]
    of_card: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        return float(self.confusion.trace() / self.confusion.sum())


def _draw(world: World, seed: int, number: int) -> tuple[bytes, dict[str, Any]]:
    scene = draw_scene(world, seed, number)
    return jpeg_of(scene), truth_of(scene)


def draw_requests(world: World, count: int, seed: int, workers: int) -> list[tuple[bytes, dict[str, Any]]]:
    """Request bodies and the truth about them."""
    if workers == 1:
        return [_draw(world, seed, number) for number in range(count)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(_draw, world, seed), range(count), chunksize=32))


def _answers(detector: CardDetector, bodies: list[bytes]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(bodies), _BATCH):
        photos = [detector.decode(body, "image/jpeg") for body in bodies[start : start + _BATCH]]
        yield from map(detector.encode, detector.predict(photos))


def evaluate(detector: CardDetector, requests: list[tuple[bytes, dict[str, Any]]]) -> Score:
    """Ask the detector about every request and compare."""
    confusion = np.zeros((len(KINDS), len(KINDS)), dtype=np.int64)
    of_image, of_card = [], []
    answers = _answers(detector, [body for body, _ in requests])
    for answer, (_, truth) in zip(answers, requests, strict=True):
        confusion[KINDS.index(truth["class"]), KINDS.index(answer["class"])] += 1
        if answer["corners"] is not None and truth["corners"] is not None:
            true = np.array(truth["corners"])
            error = float(np.linalg.norm(np.array(answer["corners"]) - true, axis=1).mean())
            of_image.append(error / float(np.hypot(truth["width"], truth["height"])))
            of_card.append(error / float(np.linalg.norm(true[2] - true[0])))
    return Score(confusion, np.array(of_image), np.array(of_card))


def report(score: Score) -> str:
    """The score as a table for people."""
    counts = score.confusion
    lines = [f"{counts.sum()} photographs, type accuracy {score.accuracy:.2%}", ""]
    lines.append("truth \\ answer".ljust(17) + "".join(kind.rjust(17) for kind in KINDS) + "recall".rjust(9))
    for row, kind in enumerate(KINDS):
        recall = counts[row, row] / max(1, counts[row].sum())
        lines.append(kind.ljust(17) + "".join(f"{count:17d}" for count in counts[row]) + f"{recall:9.2%}")
    precision = counts.diagonal() / np.maximum(1, counts.sum(axis=0))
    lines.append("precision".ljust(17) + "".join(f"{share:17.2%}" for share in precision))
    lines.append("")
    for errors, whose in ((score.of_image, "photograph's"), (score.of_card, "card's")):
        median, high = np.percentile(errors, [50, 95])
        lines.append(f"corner error as a share of the {whose} diagonal: median {median:.2%}, p95 {high:.2%}")
    missed = int(counts[:NONE, NONE].sum())
    lines.append(f"({len(score.of_image)} cards found; {missed} cards missed have no corners)")
    return "\n".join(lines)


@click.command()
@click.option("--images", default=4000, show_default=True)
@click.option("--seed", default=SEED, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--weights", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path, exists=True))
def main(images: int, seed: int, workers: int, weights: Path) -> None:
    """Draw the held-out sets and print how well the detector does on each."""
    detector = CardDetector(weights)
    detector.load("cpu")
    for world, count in ((HELD_OUT, images), (UNFAMILIAR, images // 4)):
        requests = draw_requests(world, count, seed, workers)
        click.echo(f"== {world.name}: {report(evaluate(detector, requests))}\n")


if __name__ == "__main__":
    main()
