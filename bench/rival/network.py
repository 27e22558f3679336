"""The two models that every server of ``bench.serving`` hosts. It needs torch alone.

The heavy one is bound by memory, as large networks on a GPU are at small batches: a pass over 512 MB of weights takes
about as long for eight inputs as for one, so that batching pays.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

#: Numbers in one input and in one result.
WIDTH, CLASSES = 64, 10
#: The most inputs in one forward pass, and how long a batch may wait to fill, wherever a server has such settings.
BATCH, WINDOW_SECONDS = 32, 0.002
_LAYERS = {"light": (64, 1), "heavy": (4096, 8)}


def chosen() -> str:
    """Which model this process hosts: ``light`` or ``heavy``."""
    return os.environ["BENCH_MODEL"]


def build(kind: str) -> nn.Module:
    """The network, in eval mode: ``(n, WIDTH)`` float32 in, ``(n, CLASSES)`` out. It always has the same weights."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(0)
    hidden, depth = _LAYERS[kind]
    layers: list[nn.Module] = [nn.Linear(WIDTH, hidden), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, CLASSES)).eval()


def run(network: nn.Module, rows: list[list[float]]) -> list[list[float]]:
    """One forward pass over a batch."""
    with torch.inference_mode():
        found: Tensor = network(torch.tensor(rows, dtype=torch.float32))
        scores: list[list[float]] = found.tolist()
        return scores
