"""How an image of any size becomes the network's square input, and how points find their way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: The side of the network's square input, in pixels.
SIDE: Final = 128
#: The grey of the bars beside an image that is not square.
BAR: Final = (114, 114, 114)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image of ``width`` x ``height`` pixels lies inside the square: its size there and its offset."""

    width: int
    height: int
    inner_width: int
    inner_height: int
    left: int
    top: int

    @classmethod
    def around(cls, width: int, height: int) -> Letterbox:
        scale = SIDE / max(width, height)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(width, height, inner_width, inner_height, (SIDE - inner_width) // 2, (SIDE - inner_height) // 2)

    def to_square(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (n, 2) points from pixels of the image to shares (0 to 1) of the square."""
        scale = np.array([self.inner_width / self.width, self.inner_height / self.height])
        square: NDArray[np.float64] = (points * scale + np.array([self.left, self.top])) / SIDE
        return square

    def to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map (n, 2) shares of the square to pixels of the image, kept inside it."""
        scale = np.array([self.inner_width / self.width, self.inner_height / self.height])
        inside: NDArray[np.float64] = (points * SIDE - np.array([self.left, self.top])) / scale
        return np.minimum(np.maximum(inside, 0.0), np.array([self.width, self.height], dtype=np.float64))


def fit(image: Image.Image, box: Letterbox) -> NDArray[np.uint8]:
    """Resize an RGB image into the square: a (SIDE, SIDE, 3) array."""
    small = image.resize((box.inner_width, box.inner_height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    square = Image.new("RGB", (SIDE, SIDE), BAR)
    square.paste(small, (box.left, box.top))
    return np.asarray(square, dtype=np.uint8)
