"""The model behind BentoML, with its adaptive batching."""

from __future__ import annotations

import bentoml  # type: ignore[import-not-found]  # not installed where types are checked

from bench.rival import network


@bentoml.service(traffic={"timeout": 120}, workers=1)
class Service:
    def __init__(self) -> None:
        self.network = network.build(network.chosen())

    @bentoml.api(batchable=True, max_batch_size=network.BATCH, max_latency_ms=100_000)  # type: ignore[untyped-decorator]
    def predict(self, x: list[list[float]]) -> list[list[float]]:
        return network.run(self.network, x)
