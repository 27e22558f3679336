"""The golden inputs: computed pictures with noise on them, of which most must be gone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from examples.restore.photo import Photo, from_png
from examples.restore.quality import psnr, with_noise
from examples.restore.tile import Pixels
from model.interface import Golden

#: Height and width: one in a single tile, one over the edge of two, in odd numbers.
_SIZES: Final = ((96, 128), (41, 201))
_SIGMA: Final = 25.0
#: How much better than before the answer must be, in dB.
_GAIN: Final = 5.0
#: What of a picture without noise must be left, in dB.
_KEPT: Final = 30.0


def golden_pairs() -> Sequence[Golden]:
    pairs: list[Golden] = []
    for number, (height, width) in enumerate(_SIZES):
        clean = picture(height, width)
        noisy = with_noise(clean, _SIGMA, np.random.default_rng(number))
        pairs.append((Photo(noisy, "PNG"), partial(_holds, clean, psnr(noisy, clean) + _GAIN)))
    clean = picture(*_SIZES[0])
    return [*pairs, (Photo(clean, "PNG"), partial(_holds, clean, _KEPT))]


def picture(height: int, width: int) -> Pixels:
    """A slope of colour, a disc and stripes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    slope = np.stack([60 + 120 * x / width, 90 + 100 * y / height, 160 - 60 * x / width], axis=-1)
    disc = np.hypot(y - height * 0.45, x - width * 0.35) < min(height, width) * 0.28
    stripes = (x > width * 0.7) & (x // 8 % 2 == 0)
    slope[disc] = (205, 170, 60)
    slope[stripes] = (40, 60, 90)
    return slope.astype(np.uint8)


def _holds(clean: Pixels, least: float, answer: Any) -> bool:
    """Whether an encoded answer is at least so near to the picture without noise, in dB."""
    pixels = from_png(answer["image"])
    return pixels.shape == clean.shape and psnr(pixels, clean) >= least
