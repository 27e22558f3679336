"""What a picture shows, found out by geometry alone: so that the generator is judged by something that never learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from examples.generate.drawing import COLOURS, SHAPES, SIDE, Mask, Pixels, mask_of

#: Turns that are tried for each shape, in radians.
_TURNS: Final = np.linspace(-0.35, 0.35, 8)
#: How many pixels along each edge are taken for the ground.
_EDGE: Final = 1
#: What is less than this far from the ground, in levels of 255, is ground.
_FAINT: Final = 24.0
#: How much of the left and right edges may be no ground, on average.
_STRAY: Final = 0.2


@dataclass(frozen=True, slots=True)
class Verdict:
    """``fit``: how well the shape's outline is met, as the overlap of both over what either covers."""

    shape: str
    colour: str
    fit: float


def judge(pixels: Pixels) -> Verdict | None:
    """The nearest shape and colour; ``None`` for a picture with nothing in it, or with no ground around it."""
    covered = _covered(pixels.astype(np.float64))
    area = covered.sum()
    if area < SIDE or covered[:, [0, -1]].mean() > _STRAY:
        return None
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    centre = float((x * covered).sum() / area), float((y * covered).sum() / area)
    shape, fit = max(
        ((shape, _fit(covered, shape, centre, math.sqrt(area))) for shape in SHAPES), key=lambda one: one[1]
    )
    return Verdict(shape, _colour(pixels[covered > 0.8]), fit)


def _covered(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Mask:
    """How much of each pixel is not ground. The ground of a row is what it shows at both ends."""
    ends = np.concatenate([pixels[:, :_EDGE], pixels[:, -_EDGE:]], axis=1).mean(axis=1, keepdims=True)
    apart = np.linalg.norm(pixels - ends, axis=-1)
    full = float(np.quantile(apart[apart > _FAINT], 0.6)) if (apart > _FAINT).any() else math.inf
    covered: Mask = np.clip(apart / full, 0, 1) * (apart > _FAINT / 2)
    return covered


def _fit(covered: Mask, shape: str, centre: tuple[float, float], size: float) -> float:
    """The best overlap over all turns."""
    best = 0.0
    for turn in _TURNS:
        mask = mask_of(shape, centre, size, float(turn))
        best = max(best, float(np.minimum(mask, covered).sum() / np.maximum(mask, covered).sum()))
    return best


def _colour(inside: Pixels) -> str:
    """The nearest by hue and strength, whatever the light."""
    if not len(inside):
        return ""
    seen = np.median(inside, axis=0)
    return min(COLOURS, key=lambda name: float(np.linalg.norm(seen - np.array(COLOURS[name]))))
