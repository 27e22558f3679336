"""The network: how much of which neighbour makes up each pixel. It works in half resolution and pads nothing itself."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH: Final = 32
_LAYERS: Final = 5
#: A pixel is a mean of those up to so many pixels away, itself included.
REACH: Final = 3
#: Each convolution takes a pixel of half resolution off every side; that much around a tile has to be known.
MARGIN: Final = 2 * _LAYERS


class RestoreNetwork(nn.Module):
    """(n, 3, h, w) of 0 to 1, h and w even, to (n, 3, h - 2 MARGIN, w - 2 MARGIN): the middle without its noise.

    Every pixel becomes a weighted mean of its neighbours; the network chooses the weights by what it sees around it.
    As nothing is padded, what comes out for a pixel depends on its surroundings only, not on where a tile was cut.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(12, WIDTH, 3), nn.ReLU()]
        for _ in range(_LAYERS - 2):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3), nn.ReLU()]
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        last = nn.Conv2d(WIDTH, 4 * (2 * REACH + 1) ** 2, 3)
        nn.init.zeros_(last.weight)  # it begins with the plain mean
        self.choose = nn.Sequential(*layers, last)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] - 2 * MARGIN, x.shape[3] - 2 * MARGIN
        shares = functional.pixel_shuffle(self.choose(functional.pixel_unshuffle(x * 4 - 2, 2)), 2).softmax(dim=1)
        start, side = MARGIN - REACH, 2 * REACH + 1
        total = torch.zeros((), device=x.device)
        for place in range(side * side):  # one neighbour at a time: all at once would take 49 times the memory
            top, left = start + place // side, start + place % side
            total = total + shares[:, place, None] * x[..., top : top + height, left : left + width]
        return total
