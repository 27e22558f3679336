"""The card network: a small residual trunk, a head for the kind of card and four heat maps for its corners."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.builtin.card import KINDS
from model.builtin.letterbox import BAR

#: The outermost cells stand for points this far (a share of the square) outside it, so that edges can be reached.
MARGIN: Final = 0.03


def to_input(pixels: Tensor) -> Tensor:
    """(n, SIDE, SIDE, 3) uint8 to the network's (n, 3, SIDE, SIDE) float32, in which the letterbox's bars are zero."""
    return (pixels.permute(0, 3, 1, 2).to(torch.float32) - BAR[0]) / 64.0


def positions(heat: Tensor) -> Tensor:
    """The coordinates (shares of the square) that the cells along a side of these heat maps stand for."""
    return torch.linspace(-MARGIN, 1 + MARGIN, heat.shape[-1], device=heat.device)


def expected_corners(heat: Tensor) -> Tensor:
    """(n, 4, cells, cells) logits to (n, 4, 2) x, y: the mean place under each map's probability."""
    chance = heat.flatten(2).softmax(dim=-1).view_as(heat)
    places = positions(heat)
    return torch.stack([(chance.sum(dim=2) * places).sum(-1), (chance.sum(dim=3) * places).sum(-1)], dim=-1)


def _convolution(inward: int, outward: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inward, outward, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outward),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions and a way around them; halves the resolution when ``stride`` is 2."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inward, outward, stride)
        self.second = nn.Sequential(nn.Conv2d(outward, outward, 3, 1, 1, bias=False), nn.BatchNorm2d(outward))
        around: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if inward != outward:
            around += [nn.Conv2d(inward, outward, 1, bias=False), nn.BatchNorm2d(outward)]
        self.around = nn.Sequential(*around)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(self.first(x)) + self.around(x))


class CardNetwork(nn.Module):
    """(n, 3, 128, 128) to logits over the kinds (n, 5) and four corner heat maps (n, 4, 32, 32).

    Other sides, multiples of 16, work too, with maps of a quarter of the side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(3, 16, stride=2)
        self.fine = Residual(16, 32, 2)
        self.middle = nn.Sequential(Residual(32, 64, 2), Residual(64, 64, 1))
        self.coarse = nn.Sequential(Residual(64, 128, 2), Residual(128, 128, 1))
        self.kind = nn.Sequential(nn.Dropout(0.1), nn.Linear(256, len(KINDS)))
        self.coarse_to_middle = nn.Conv2d(128, 64, 1)
        self.blend = _convolution(64, 64)
        self.middle_to_fine = nn.Conv2d(64, 32, 1)
        self.corners = nn.Sequential(_convolution(32, 32), nn.Conv2d(32, 4, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        pooled = torch.cat([coarse.mean(dim=(2, 3)), coarse.amax(dim=(2, 3))], dim=1)
        middle = self.blend(middle + functional.interpolate(self.coarse_to_middle(coarse), scale_factor=2.0))
        fine = fine + functional.interpolate(self.middle_to_fine(middle), scale_factor=2.0)
        return self.kind(pooled), self.corners(fine)
