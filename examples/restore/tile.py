"""An image of any size as overlapping windows of one size, so that a network needs the same memory for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from examples.restore.network import MARGIN

#: The side of what a tile contributes, in pixels. Even, like MARGIN: pixels are taken in pairs.
CORE: Final = 128
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a tile's contribution begins, and how much of it is inside the image."""

    top: int
    left: int
    height: int
    width: int


def tiles_of(height: int, width: int) -> list[Tile]:
    """Tiles that cover the image once, row by row; the last ones of a row or column may be cut off."""
    return [
        Tile(top, left, min(CORE, height - top), min(CORE, width - left))
        for top in range(0, height, CORE)
        for left in range(0, width, CORE)
    ]


def in_groups(tiles: Sequence[Tile], size: int) -> Iterator[Sequence[Tile]]:
    """So many at a time."""
    for start in range(0, len(tiles), size):
        yield tiles[start : start + size]


def window(image: Pixels, tile: Tile) -> Pixels:
    """(CORE + 2 MARGIN) squared pixels around a tile; beyond its borders the image is mirrored."""
    rows = _mirrored(tile.top, image.shape[0])
    columns = _mirrored(tile.left, image.shape[1])
    return image[rows[:, None], columns]


def _mirrored(start: int, length: int) -> NDArray[np.intp]:
    """Places of a window along one side of ``length`` pixels, folded back at both ends as often as it takes."""
    places: NDArray[Any] = np.arange(start - MARGIN, start + CORE + MARGIN)
    if length == 1:
        return np.zeros(len(places), dtype=np.intp)
    folded = np.abs(places) % (2 * length - 2)
    mirrored: NDArray[np.intp] = np.minimum(folded, 2 * length - 2 - folded).astype(np.intp)
    return mirrored
