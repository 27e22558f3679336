"""Drawn sets of labelled photographs, in the network's input form. The same world, seed and count give the same set."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.builtin.card import KINDS
from model.builtin.drawing.dice import Dice, World
from model.builtin.drawing.scene import Scene, compose
from model.builtin.letterbox import SIDE, Letterbox, fit

#: How often each kind is drawn, in the order of ``KINDS``.
SHARES: Final = (0.19, 0.19, 0.17, 0.17, 0.28)
_CHUNK: Final = 64


@dataclass(frozen=True, slots=True)
class DrawnSet:
    """``pixels`` (n, SIDE, SIDE, 3) uint8, ``labels`` (n,) int64, ``corners`` (n, 4, 2) shares of the square.

    Where the label is ``none`` the corners are zeros and mean nothing.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    corners: NDArray[np.float32]


def draw_scene(world: World, seed: int, number: int) -> Scene:
    """Compose the ``number``-th photograph of a world and seed; its kind is drawn too."""
    dice = Dice(world, seed, number)
    return compose(dice, KINDS[int(dice.rng.choice(len(KINDS), p=SHARES))])


def _draw_chunk(world: World, seed: int, numbers: range) -> DrawnSet:
    pixels = np.empty((len(numbers), SIDE, SIDE, 3), dtype=np.uint8)
    labels = np.empty(len(numbers), dtype=np.int64)
    corners = np.zeros((len(numbers), 4, 2), dtype=np.float32)
    for row, number in enumerate(numbers):
        scene = draw_scene(world, seed, number)
        box = Letterbox.around(*scene.image.size)
        pixels[row], labels[row] = fit(scene.image, box), KINDS.index(scene.kind)
        if scene.corners is not None:
            corners[row] = box.to_square(scene.corners)
    return DrawnSet(pixels, labels, corners)


def draw_set(world: World, seed: int, count: int, workers: int = os.cpu_count() or 1) -> DrawnSet:
    """Draw ``count`` photographs on ``workers`` processes: some 30 ms of one core and 49 kB of memory each."""
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = list(pool.map(partial(_draw_chunk, world, seed), chunks))
    return DrawnSet(
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.corners for part in parts]),
    )
