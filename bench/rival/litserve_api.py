"""The model behind LitServe, with its dynamic batching."""

# No annotations from __future__: LitServe looks at the type of what decode_request takes.
import sys
from typing import Any

import litserve  # type: ignore[import-not-found]  # not installed where types are checked
from fastapi import Request  # type: ignore[import-not-found]

from bench.rival import network


class Api(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.network = network.build(network.chosen())

    def decode_request(self, request: Request) -> Any:
        return request["x"]  # it is given the JSON of the body

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: list[Any]) -> list[Any]:
        return network.run(self.network, x)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"scores": output}


if __name__ == "__main__":
    api = Api(max_batch_size=network.BATCH, batch_timeout=network.WINDOW_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", timeout=120)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
