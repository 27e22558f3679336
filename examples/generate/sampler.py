"""From noise to a picture, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from examples.generate.drawing import SIDE, Pixels
from examples.generate.network import FlowNetwork, numbers_of
from examples.generate.wish import Wish

#: Steps near the noise are shorter than those near the picture: there it is decided what it will be.
_BEND: Final = 1.3
#: While most is still noise, the shape is exaggerated: so many times what telling the network of it changes.
_EMPHASIS: Final = 3.0
_EMPHASIS_UNTIL: Final = 0.7


def times(steps: int) -> list[float]:
    """Where each step begins, and 1."""
    return [(number / steps) ** _BEND for number in range(steps + 1)]


def noise_of(seed: int) -> Tensor:
    """(3, SIDE, SIDE), on the CPU: equal seeds are equal noise, on whatever device it goes on."""
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def sample(network: FlowNetwork, wishes: Sequence[Wish], device: torch.device) -> Generator[Tensor, None, None]:
    """After each step, the pictures as the network now believes they are: (n, 3, SIDE, SIDE), -1 to 1.

    All wishes have the same number of steps. The last one is the result.
    """
    shape, colour = (
        numbers.to(device) for numbers in numbers_of([wish.shape for wish in wishes], [wish.colour for wish in wishes])
    )
    x = torch.stack([noise_of(wish.seed) for wish in wishes]).to(device)
    moments = times(wishes[0].steps)
    for now, then in itertools.pairwise(moments):
        x, believed = _advance(network, x, now, then, shape, colour)
        yield believed


@torch.inference_mode()  # left before each yield: other streams run in between
def _advance(
    network: FlowNetwork, x: Tensor, now: float, then: float, shape: Tensor, colour: Tensor
) -> tuple[Tensor, Tensor]:
    """A straight line from here to where the network believes the picture is, as far as ``then``."""
    t = torch.full((len(x),), now, device=x.device)
    believed = network(x, t, shape, colour).float()
    if now < _EMPHASIS_UNTIL:
        untold = network(x, t, torch.zeros_like(shape), colour).float()
        believed = untold + (believed - untold) * _EMPHASIS
    believed = believed.clamp(-1, 1)
    return x + (believed - x) * ((then - now) / (1 - now)), believed


def to_pixels(pictures: Tensor) -> Pixels:
    """(n, height, width, 3)."""
    levels = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
    return pixels
