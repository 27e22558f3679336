"""What lies behind a card: crops of real photographs, and surfaces that are computed (desks, cloth, stone, light)."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from model.builtin.drawing.dice import Dice
from model.builtin.drawing.ink import hsv


@lru_cache(maxsize=32)
def photograph(name: str) -> Image.Image:
    """One of the photographs that scikit-image and scikit-learn carry inside their packages, as RGB.

    Raises ``FileNotFoundError`` when neither package is installed: they are needed to train and to evaluate only.
    """
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / folder / name
            if path.is_file():
                with Image.open(path) as image:
                    return image.convert("RGB")
    raise FileNotFoundError(f"photograph {name} is missing: pip install -r requirements-dev.txt")


def photograph_crop(dice: Dice, size: tuple[int, int]) -> Image.Image:
    """A drawn crop of a drawn photograph, sometimes mirrored or turned, filling ``size``."""
    image = photograph(dice.pick(dice.world.photographs))
    if dice.chance(0.5):
        image = ImageOps.mirror(image)
    if dice.chance(0.25):
        image = image.transpose(Image.Transpose.ROTATE_90)
    share = dice.span(0.35, 1.0)
    proportion = size[0] / size[1]
    height = min(image.height, image.width / proportion) * share
    width = height * proportion
    left = dice.rng.random() * (image.width - width)
    top = dice.rng.random() * (image.height - height)
    return image.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))


def surface(dice: Dice, size: tuple[int, int]) -> Image.Image:
    """A computed surface: even, grained like wood, woven, tiled or clouded, in one or two colours."""
    width, height = size
    first, second = (np.array(hsv(dice.span(0, 1), dice.span(0, 0.6), dice.span(0.08, 1.0))) for _ in range(2))
    if dice.chance(0.4):
        second = np.clip(first * dice.span(0.7, 1.3), 0, 255).astype(int)
    look = dice.pick(("even", "grain", "weave", "tiles", "clouds"))
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float64)
    if look == "even":
        mix = (xs / width + ys / height) / 2
    elif look == "grain":
        warp = _clouds(dice, size) * dice.span(10, 40)
        mix = (np.sin((ys + warp) / dice.span(2, 12)) + 1) / 2
    elif look == "weave":
        pitch = dice.span(2.0, 9.0)
        mix = (np.sin(xs / pitch) * np.sin(ys / pitch) + 1) / 2
    elif look == "tiles":
        pitch = dice.span(20, 90)
        angle = dice.span(0, 1.57)
        along, across = xs * np.cos(angle) + ys * np.sin(angle), ys * np.cos(angle) - xs * np.sin(angle)
        joints = (along % pitch < 3) | (across % pitch < 3)
        checks = ((along // pitch + across // pitch) % 2) * float(dice.chance(0.5))
        mix = np.where(joints, 1.0, checks * 0.6)
    else:
        mix = _clouds(dice, size)
    field = first * (1 - mix[..., None]) + second * mix[..., None]
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def _clouds(dice: Dice, size: tuple[int, int]) -> NDArray[np.float64]:
    """Smooth noise between 0 and 1, as (height, width)."""
    coarse = dice.whole(3, 12)
    seeds = Image.fromarray(dice.rng.integers(0, 256, (coarse, coarse), dtype=np.uint8))
    cloud: NDArray[np.float64] = np.asarray(seeds.resize(size, Image.Resampling.BICUBIC), dtype=np.float64) / 255
    return cloud


def background(dice: Dice, size: tuple[int, int]) -> Image.Image:
    """Six in ten are photographs; some are out of focus, as a table behind a card often is."""
    image = photograph_crop(dice, size) if dice.chance(0.6) else surface(dice, size)
    if dice.chance(0.3):
        image = image.filter(ImageFilter.GaussianBlur(dice.span(1, 5)))
    return image
