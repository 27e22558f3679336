"""The model for Wakeless, as a user would write it: ``model.path: bench.rival.hosted:Network``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from bench.rival import network
from model import Model


class Network(Model):
    """Takes ``{"x": [64 numbers]}``, gives ``{"scores": [10 numbers]}``."""

    name = "network"

    def load(self, device: str) -> None:
        self.network: nn.Module = network.build(network.chosen())

    def predict(self, batch: Sequence[dict[str, list[float]]]) -> list[dict[str, list[float]]]:
        return [{"scores": row} for row in network.run(self.network, [item["x"] for item in batch])]
