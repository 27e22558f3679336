"""Changes drawn anew for every pass over the training set: small moves, light, colour, noise, cut-outs."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

#: Corners closer to the border than this (a share of the square) veto a move, so that the whole card stays in view.
_EDGE: Final = 0.004


def _moves(count: int, generator: torch.Generator) -> Tensor:
    """(count, 2, 3) affine maps about the middle of the square: turn, zoom, stretch and shift, all small."""
    turn, zoom, stretch, right, down = (torch.rand(5, count, generator=generator) * 2 - 1).unbind()
    angle = turn * math.radians(8)
    across, along = 1 + 0.12 * zoom + 0.06 * stretch, 1 + 0.12 * zoom - 0.06 * stretch
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([across * cos, -along * sin, 0.08 * right], dim=1)
    second = torch.stack([across * sin, along * cos, 0.08 * down], dim=1)
    return torch.stack([first, second], dim=1)


def move(x: Tensor, corners: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move images (n, 3, s, s) and their corners (n, 4, 2) together; a move that loses a corner is not made."""
    maps = _moves(len(x), generator)
    centred = corners * 2 - 1
    # grid_sample maps places in the result to places in the source; the corners go the other way.
    moved = (torch.linalg.solve(maps[:, :, :2], (centred - maps[:, None, :, 2]).mT).mT + 1) / 2
    kept = (moved > _EDGE).flatten(1).all(1) & (moved < 1 - _EDGE).flatten(1).all(1)
    identity = torch.eye(2, 3).expand_as(maps)
    maps = torch.where(kept[:, None, None], maps, identity)
    grid = functional.affine_grid(maps, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False), torch.where(kept[:, None, None], moved, corners)


def light(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw brightness, contrast, colour cast and noise for each image of an input batch (n, 3, s, s)."""
    count = len(x)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * 2 - 1

    x = x * ((1 + 0.25 * drawn(1, 1, 1)) * (1 + 0.12 * drawn(3, 1, 1)))
    noise = torch.randn(count, 1, *x.shape[2:], generator=generator)
    return x.add_(0.35 * drawn(1, 1, 1)).add_(noise.mul_(0.12 * drawn(1, 1, 1).clamp(min=0)))


def cut_out(x: Tensor, generator: torch.Generator) -> None:
    """Blank one small rectangle in a third of the images, in place: no single detail may decide."""
    side = x.shape[-1]
    for image in x:
        chance, left, top, width, height, tone = torch.rand(6, generator=generator).tolist()
        if chance < 0.33:
            x0, y0 = int(left * side), int(top * side)
            x1, y1 = x0 + 4 + int(width * side * 0.14), y0 + 4 + int(height * side * 0.14)
            image[:, y0:y1, x0:x1] = tone * 4 - 2
