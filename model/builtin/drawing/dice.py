"""Chance for the renderer: a seeded generator that draws from one of two worlds that share no photograph and no value.

Training and evaluation must not see the same things. Each world has its own photographs, its own fonts where the
machine has them, and its own share of every continuous parameter: ``span`` cuts an interval into eleven slices, and
the held-out world draws from slices that training never draws from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class World:
    """What a draw may come from: slices of every interval (of eleven), photographs and fonts by file name.

    ``unfamiliar`` draws layouts that training never draws.
    """

    name: str
    slices: tuple[int, ...]
    photographs: tuple[str, ...]
    fonts: tuple[str, ...]
    unfamiliar: bool = False


TRAINING: Final = World(
    "training",
    (0, 1, 3, 4, 6, 7, 9, 10),
    (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "cell.png",
        "china.jpg",
        "coffee.png",
        "coins.png",
        "grass.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
        "page.png",
        "retina.jpg",
    ),
    ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "LiberationSansNarrow-Regular.ttf"),
)
HELD_OUT: Final = World(
    "held-out",
    (2, 5, 8),
    ("chelsea.png", "clock_motion.png", "flower.jpg", "gravel.png", "rocket.jpg", "text.png"),
    ("DejaVuSerif.ttf", "LiberationSans-Regular.ttf", "LiberationMono-Regular.ttf"),
)
UNFAMILIAR: Final = replace(HELD_OUT, name="held-out, unfamiliar layouts", unfamiliar=True)
_SLICES: Final = 11


class Dice:
    """Draws for one image. The same world, seed and number give the same image, whoever draws it and in what order."""

    def __init__(self, world: World, seed: int, number: int) -> None:
        self.world = world
        # The number of slices keeps the draws of the two worlds apart; worlds that differ in less share them.
        self.rng = np.random.default_rng([seed, number, len(world.slices)])

    def span(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``, from this world's slices of the interval."""
        place = (self.pick(self.world.slices) + self.rng.random()) / _SLICES
        return low + (high - low) * place

    def whole(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self.rng.integers(len(items)))]

    def digits(self, count: int) -> str:
        return "".join(str(digit) for digit in self.rng.integers(0, 10, count))

    def name(self) -> str:
        """A name that nobody has: two to three syllables, drawn."""
        heads = ("Ba", "Ce", "Do", "Fi", "Ga", "Hu", "Jo", "Ke", "Lu", "Mi", "No", "Pe", "Ro", "Si", "Tu", "Ve", "Zo")
        tails = ("bra", "den", "fel", "gor", "lin", "mas", "nik", "por", "rell", "sto", "tan", "vek", "wyn", "zar")
        return self.pick(heads) + "".join(self.pick(tails) for _ in range(self.whole(1, 2)))

    def date(self) -> str:
        mark = self.pick((".", "/", "-"))
        return mark.join((f"{self.whole(1, 28):02d}", f"{self.whole(1, 12):02d}", f"{self.whole(1950, 2035)}"))
