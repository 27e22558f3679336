"""The embedded default model: which card is in the photograph, how sure, and where its corners are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file

from model.builtin.card import KINDS, NONE, Detection
from model.builtin.golden import golden_pairs
from model.builtin.image import Photo, decode_photo
from model.builtin.network import CardNetwork, expected_corners, to_input
from model.interface import Golden, Model
from model.signature import Schema

WEIGHTS: Final = Path(__file__).with_name("card_detector.safetensors")


class CardDetector(Model):
    """Photographs in, :class:`Detection` s out. ``weights`` is a safetensors file made by ``model.builtin.train``."""

    name = "card-detector"
    version = "1"

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.weights = weights
        self.device = torch.device("cpu")
        self.network = CardNetwork().eval()

    def load(self, device: str) -> None:
        """Read the weights onto ``device``. Raises ``RuntimeError`` when they do not fit the network."""
        network = CardNetwork()
        network.load_state_dict(load_file(self.weights))
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def predict(self, batch: Sequence[Photo]) -> list[Detection]:
        """Run the network once over the batch; one detection for each photograph, in order."""
        if not batch:
            return []
        pixels = torch.from_numpy(np.stack([photo.pixels for photo in batch])).to(self.device)
        logits, heat = self.network(to_input(pixels).contiguous(memory_format=torch.channels_last))
        chances = logits.float().softmax(dim=1).cpu().numpy()
        squares = expected_corners(heat.float()).cpu().numpy().astype(np.float64)
        return [
            _detection(photo, chance, square) for photo, chance, square in zip(batch, chances, squares, strict=True)
        ]

    def decode(self, body: bytes, content_type: str) -> Photo:
        """Decode an image by its content, whatever ``content_type`` claims: clients often claim wrongly."""
        return decode_photo(body)

    def encode(self, result: Detection) -> dict[str, Any]:
        """JSON: ``class``, ``confidence`` (0 to 1), ``corners`` (four [x, y] in original pixels, or null)."""
        corners = None if result.corners is None else [[round(x, 1), round(y, 1)] for x, y in result.corners.tolist()]
        return {"class": result.kind, "confidence": round(result.confidence, 4), "corners": corners}

    def describe(self, input: Photo) -> dict[str, Any]:
        """Format and size in pixels: nothing of the picture itself."""
        return {"format": input.format, "width": input.box.width, "height": input.box.height}

    def schema(self) -> Schema:
        image = {"type": "string", "format": "binary"}
        corner = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        corners = {"type": ["array", "null"], "items": corner, "minItems": 4, "maxItems": 4}
        return Schema(
            request={"image/jpeg": image, "image/png": image, "image/webp": image},
            result={
                "type": "object",
                "properties": {
                    "class": {"enum": list(KINDS)},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                    "corners": corners,
                },
                "required": ["class", "confidence", "corners"],
            },
        )

    def golden(self) -> Sequence[Golden]:
        """The pairs that ship beside the weights."""
        return golden_pairs()


def _detection(photo: Photo, chance: np.ndarray[Any, Any], square: np.ndarray[Any, Any]) -> Detection:
    best = int(chance.argmax())
    corners = None if best == NONE else photo.box.to_image(square)
    return Detection(KINDS[best], float(chance[best]), corners)
