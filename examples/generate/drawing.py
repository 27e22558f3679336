"""What the generator learns from: shapes in colours, each drawn by a few rules on a ground of its own."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE: Final = 32
_FINER: Final = 4
Pixels = NDArray[np.uint8]
#: (height, width), 0 to 1: how much of each pixel a shape covers.
Mask = NDArray[np.float64]
Outline = NDArray[np.float64]

COLOURS: Final = {
    "red": (205, 45, 48),
    "orange": (238, 140, 38),
    "yellow": (248, 214, 48),
    "green": (48, 160, 72),
    "blue": (44, 96, 210),
    "purple": (134, 62, 176),
    "white": (244, 244, 240),
}
#: How far the ground is from grey, and how bright it may be: none of the colours gets lost on it.
_GROUND_TINT: Final = 14
_GROUND: Final = (88, 128)


def _star(points: int, inner: float) -> Outline:
    turns = np.arange(2 * points) * math.pi / points - math.pi / 2
    reach = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack([reach * np.cos(turns), reach * np.sin(turns)], axis=1)


def _regular(corners: int, first: float = -math.pi / 2) -> Outline:
    turns = first + np.arange(corners) * 2 * math.pi / corners
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def _heart() -> Outline:
    t = np.linspace(0, 2 * math.pi, 60, endpoint=False)
    across = 16 * np.sin(t) ** 3
    down = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([across, down], axis=1)


def _moon() -> Outline:
    """A disc without what a second disc, to its right, covers."""
    shift, reach = 0.55, 0.85
    meet = (1 - reach**2 + shift**2) / (2 * shift)
    angle = math.acos(meet)
    outer = np.linspace(angle, 2 * math.pi - angle, 40)
    bend = math.acos((meet - shift) / reach)
    inner = np.linspace(2 * math.pi - bend, bend, 30)[1:-1]
    return np.concatenate(
        [
            np.stack([np.cos(outer), np.sin(outer)], axis=1),
            np.stack([shift + reach * np.cos(inner), reach * np.sin(inner)], axis=1),
        ]
    )


def _cross() -> Outline:
    a = 0.36
    corners = [
        (-a, -1),
        (a, -1),
        (a, -a),
        (1, -a),
        (1, a),
        (a, a),
        (a, 1),
        (-a, 1),
        (-a, a),
        (-1, a),
        (-1, -a),
        (-a, -a),
    ]
    return np.array(corners, dtype=float)


def _centred(outline: Outline) -> Outline:
    """Moved and scaled so that its centre of mass is 0 and its area 1."""
    x, y = outline[:, 0], outline[:, 1]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    cross = x * next_y - next_x * y
    area = cross.sum() / 2
    centre = np.array([((x + next_x) * cross).sum(), ((y + next_y) * cross).sum()]) / (6 * area)
    centred: Outline = (outline - centre) / math.sqrt(abs(area))
    return centred


#: Each shape around its centre, with an area of 1; a ring has the hole besides.
_HOLE: Final = 0.55
SHAPES: Final = {
    "circle": _centred(_regular(48)),
    "square": _centred(_regular(4, math.pi / 4)),
    "triangle": _centred(_regular(3)),
    "star": _centred(_star(5, 0.45)),
    "heart": _centred(_heart()),
    "moon": _centred(_moon()),
    "cross": _centred(_cross()),
    "ring": _centred(_regular(48)) / math.sqrt(1 - _HOLE**2),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture. Lengths are in pixels; ``turn`` in radians; ``size`` is the root of the shape's area."""

    shape: str
    colour: str
    centre: tuple[float, float]
    size: float
    turn: float
    ground: tuple[tuple[float, float, float], tuple[float, float, float]]
    light: float


def draw_scene(rng: random.Random) -> Scene:
    """Any scene there is."""
    grey = rng.uniform(*_GROUND)
    tint = [rng.uniform(-_GROUND_TINT, _GROUND_TINT) for _ in range(3)]
    slope = rng.uniform(-24, 24)
    top, bottom = (tuple(grey + share + way * slope for share in tint) for way in (-1, 1))
    return Scene(
        rng.choice(tuple(SHAPES)),
        rng.choice(tuple(COLOURS)),
        (SIDE / 2 + rng.uniform(-2, 2), SIDE / 2 + rng.uniform(-2, 2)),
        rng.uniform(10.5, 14),
        rng.uniform(-0.3, 0.3),
        (top, bottom),  # type: ignore[arg-type]  # three numbers each
        rng.uniform(0.05, 0.18),
    )


def mask_of(shape: str, centre: tuple[float, float], size: float, turn: float) -> Mask:
    """How much of each pixel the shape covers, (SIDE, SIDE)."""
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    image = Image.new("L", (SIDE * _FINER, SIDE * _FINER))
    brush = ImageDraw.Draw(image)

    def fill(outline: Outline, value: int) -> None:
        points = (outline @ rotation * size + np.array(centre)) * _FINER - 0.5
        brush.polygon([(float(x), float(y)) for x, y in points], fill=value)

    fill(SHAPES[shape], 255)
    if shape == "ring":
        fill(SHAPES[shape] * _HOLE, 0)
    covered: Mask = np.asarray(image.reduce(_FINER), dtype=np.float64) / 255
    return covered


def paint(scene: Scene) -> Pixels:
    """(SIDE, SIDE, 3): a ground that fades from top to bottom, and a shape that is lit from above."""
    down: NDArray[Any] = np.linspace(0, 1, SIDE)[:, None, None]
    top, bottom = (np.array(colour) for colour in scene.ground)
    ground = np.broadcast_to(top + (bottom - top) * down, (SIDE, SIDE, 3))
    lit = np.array(COLOURS[scene.colour]) * (1 + scene.light * (1 - 2 * down))
    covered = mask_of(scene.shape, scene.centre, scene.size, scene.turn)[..., None]
    pixels: Pixels = np.clip(np.rint(ground * (1 - covered) + lit * covered), 0, 255).astype(np.uint8)
    return pixels
