"""Whether pictures show what was asked for, and a sheet of them: ``python -m examples.generate.evaluate``."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from PIL import Image

from examples.generate.drawing import COLOURS, SHAPES, SIDE, Pixels, draw_scene, paint
from examples.generate.generator import ImageGenerator
from examples.generate.judge import judge
from examples.generate.wish import Wish

STEPS: Final = (1, 2, 5, 10, 20, 50)
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Score:
    """Shares that are right, and the mean fit of the outline."""

    shape: float
    colour: float
    both: float
    fit: float


def score(pictures: Sequence[Pixels], wanted: Sequence[tuple[str, str]]) -> Score:
    """What geometry says of pictures that should show (shape, colour)."""
    shapes = colours = both = 0
    fit = 0.0
    for pixels, (shape, colour) in zip(pictures, wanted, strict=True):
        verdict = judge(pixels)
        if verdict is not None:
            shapes += verdict.shape == shape
            colours += verdict.colour == colour
            both += (verdict.shape, verdict.colour) == (shape, colour)
            fit += verdict.fit
    count = len(pictures)
    return Score(shapes / count, colours / count, both / count, fit / count)


def of_drawn(count: int, seed: int = 99) -> Score:
    """The judge's own mistakes: on pictures that were drawn by the rules."""
    rng = random.Random(seed)  # noqa: S311
    scenes = [draw_scene(rng) for _ in range(count)]
    return score([paint(scene) for scene in scenes], [(scene.shape, scene.colour) for scene in scenes])


def of_generated(generator: ImageGenerator, count: int, steps: int) -> Score:
    """Every shape in every colour in turn, each with a seed of its own."""
    wanted = [(shape, colour) for shape in SHAPES for colour in COLOURS]
    wanted = [wanted[number % len(wanted)] for number in range(count)]
    wishes = [Wish(shape=shape, colour=colour, steps=steps, seed=seed) for seed, (shape, colour) in enumerate(wanted)]
    return score([picture.pixels for picture in generator.predict(wishes)], wanted)


def sheet(generator: ImageGenerator, steps: int) -> Image.Image:
    """Every shape in every colour, seeds 0, 1, 2 …, nothing picked; below, one picture as its steps go by."""
    wanted = [(shape, colour) for colour in COLOURS for shape in SHAPES]
    wishes = [Wish(shape=shape, colour=colour, steps=steps, seed=seed) for seed, (shape, colour) in enumerate(wanted)]
    rows = [picture.pixels for picture in generator.predict(wishes)]
    going = Wish(shape="star", colour="orange", steps=8, preview=True)
    rows += [step.pixels for step in generator.stream(going) if not isinstance(step, tuple)]
    pitch = SIDE + _GAP
    image = np.full((-(-len(rows) // len(SHAPES)) * pitch + _GAP, len(SHAPES) * pitch + _GAP, 3), 255, dtype=np.uint8)
    for number, pixels in enumerate(rows):
        top, left = (place * pitch + _GAP for place in divmod(number, len(SHAPES)))
        image[top : top + SIDE, left : left + SIDE] = pixels
    whole = Image.fromarray(image)
    return whole.resize((2 * whole.width, 2 * whole.height), Image.Resampling.NEAREST)


@click.command()
@click.option("--count", default=280, show_default=True, help="Pictures for each number of steps.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write a sheet of samples there.")
def main(count: int, picture: Path | None) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    generator = ImageGenerator()
    generator.load("cpu")
    click.echo("| steps | shape | colour | both | outline | one picture |\n|---|---|---|---|---|---|")
    for steps in STEPS:
        _print(str(steps), of_generated(generator, count, steps), f"{_milliseconds(generator, steps):.0f} ms")
    _print("drawn by the rules", of_drawn(count), "")
    if picture is not None:
        sheet(generator, 20).save(picture)


def _milliseconds(generator: ImageGenerator, steps: int) -> float:
    """Of the processor's time for one picture alone: the middle one of five."""
    taken = []
    for seed in range(5):
        began = time.process_time()
        generator.predict([Wish(steps=steps, seed=seed)])
        taken.append(time.process_time() - began)
    return sorted(taken)[2] * 1e3


def _print(name: str, found: Score, took: str) -> None:
    shares = " | ".join(f"{share:.0%}" for share in (found.shape, found.colour, found.both))
    click.echo(f"| {name} | {shares} | {found.fit:.2f} | {took} |")


if __name__ == "__main__":
    main()
