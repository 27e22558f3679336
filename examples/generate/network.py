"""The network: which picture is behind a noisy one, given how noisy it is and what should be in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from examples.generate.drawing import COLOURS, SHAPES

#: Channels at half and at quarter resolution, and of what the network is told.
_WIDE, _DEEP, _TOLD = 32, 64, 64
#: Number 0 stands for "any": the caller did not say.
SHAPE_NUMBERS: Final = {None: 0} | {name: place for place, name in enumerate(SHAPES, 1)}
COLOUR_NUMBERS: Final = {None: 0} | {name: place for place, name in enumerate(COLOURS, 1)}


class _Block(nn.Module):
    """Two convolutions around what the network is told, beside a short cut."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, padding=1)
        self.norm = nn.GroupNorm(8, out)
        self.tell = nn.Linear(_TOLD, 2 * out)
        self.second = nn.Conv2d(out, out, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        self.cut = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.tell(told)[:, :, None, None].chunk(2, dim=1)
        y = self.norm(self.first(functional.silu(x))) * (1 + scale) + shift
        found: Tensor = self.cut(x) + self.second(functional.silu(y))
        return found


class FlowNetwork(nn.Module):
    """Pictures (n, 3, 32, 32) of -1 to 1, ``t`` (n,) from 0 (noise) to 1 (clean), and numbers of shapes and colours."""

    def __init__(self) -> None:
        super().__init__()
        self.shape = nn.Embedding(len(SHAPE_NUMBERS), _TOLD)
        self.colour = nn.Embedding(len(COLOUR_NUMBERS), _TOLD)
        self.time = nn.Sequential(nn.Linear(32, _TOLD), nn.SiLU(), nn.Linear(_TOLD, _TOLD))
        self.begin = nn.Conv2d(12 + 2, _WIDE, 3, padding=1)
        self.down = _Block(_WIDE, _WIDE)
        self.shrink = nn.Conv2d(_WIDE, _DEEP, 3, stride=2, padding=1)
        self.deep = nn.ModuleList([_Block(_DEEP, _DEEP), _Block(_DEEP, _DEEP)])
        self.grow = nn.Conv2d(_DEEP, 4 * _WIDE, 1)
        self.up = _Block(2 * _WIDE, _WIDE)
        self.end = nn.Conv2d(_WIDE, 12, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, shape: Tensor, colour: Tensor) -> Tensor:
        told = functional.silu(self.time(_waves(t)) + self.shape(shape) + self.colour(colour))
        pixels = functional.pixel_unshuffle(x, 2)
        high = self.down(self.begin(torch.cat([pixels, _places(pixels)], dim=1)), told)
        low = self.shrink(high)
        for block in self.deep:
            low = block(low, told)
        high = self.up(torch.cat([high, functional.pixel_shuffle(self.grow(low), 2)], dim=1), told)
        found: Tensor = functional.pixel_shuffle(self.end(functional.silu(high)), 2)
        return found


def numbers_of(shapes: Sequence[str | None], colours: Sequence[str | None]) -> tuple[Tensor, Tensor]:
    """What should be in each picture, as the network reads it."""
    return torch.tensor([SHAPE_NUMBERS[name] for name in shapes]), torch.tensor(
        [COLOUR_NUMBERS[name] for name in colours]
    )


def _waves(t: Tensor) -> Tensor:
    """(n, 32): a number as waves of many lengths."""
    pace = torch.exp(torch.linspace(0, math.log(200), 16, device=t.device))
    angle = t[:, None] * pace
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _places(x: Tensor) -> Tensor:
    """(n, 2, h, w): where each pixel is, -1 to 1, which a convolution does not see by itself."""
    rows = torch.linspace(-1, 1, x.shape[2], device=x.device)
    columns = torch.linspace(-1, 1, x.shape[3], device=x.device)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return grid.expand(len(x), -1, -1, -1)
