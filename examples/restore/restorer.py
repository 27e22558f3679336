"""Photo restoration in tiles, hosted as ``examples.restore.restorer:PhotoRestorer``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from examples.restore.golden import golden_pairs
from examples.restore.network import RestoreNetwork
from examples.restore.photo import MAX_PIXELS, Photo, decode_photo, to_png
from examples.restore.tile import Pixels, Tile, in_groups, tiles_of, window
from model.interface import Golden, Model, Step
from model.signature import Schema

WEIGHTS: Final = Path(__file__).with_name("photo_restorer.safetensors")
#: Tiles in one forward pass: what the network's memory depends on, and nothing else does.
TILES_AT_ONCE: Final = 4


class PhotoRestorer(Model):
    """Takes the noise out of photographs. Memory beyond the pixels themselves is the same for every size."""

    name = "photo-restorer"
    version = "1"

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.weights = weights
        self.device = torch.device("cpu")
        self.network = RestoreNetwork().eval()

    def load(self, device: str) -> None:
        """Read the weights onto ``device``. Raises ``RuntimeError`` when they do not fit the network."""
        network = RestoreNetwork()
        network.load_state_dict(load_file(self.weights))
        self.device = torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def predict(self, batch: Sequence[Photo]) -> list[Photo]:
        """One after the other: a photograph is a batch of tiles by itself."""
        restored = []
        for photo in batch:
            pixels = np.empty_like(photo.pixels)
            for _ in self._restore(photo.pixels, pixels):
                pass
            restored.append(replace(photo, pixels=pixels, restored=True))
        return restored

    def stream(self, input: Photo) -> Iterator[Step | Photo]:
        """How many tiles are done, then the photograph. Between two steps other requests get their turn."""
        pixels = np.empty_like(input.pixels)
        yield from self._restore(input.pixels, pixels)
        yield replace(input, pixels=pixels, restored=True)

    def _restore(self, source: Pixels, target: Pixels) -> Iterator[Step]:
        """Fill ``target`` group by group."""
        tiles = tiles_of(*source.shape[:2])
        done = 0
        for group in in_groups(tiles, TILES_AT_ONCE):
            for tile, restored in zip(group, self._forward(source, group), strict=True):
                part = restored[: tile.height, : tile.width]
                target[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = part
            done += len(group)
            yield Step(done, len(tiles))

    @torch.inference_mode()
    def _forward(self, source: Pixels, group: Sequence[Tile]) -> Pixels:
        """(n, CORE, CORE, 3) of restored pixels."""
        windows = torch.from_numpy(np.stack([window(source, tile) for tile in group])).to(self.device)
        x = (windows.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)
        clean = self.network(x).float().clamp(0, 1).mul(255).round().to(torch.uint8)
        pixels: Pixels = clean.permute(0, 2, 3, 1).cpu().numpy()
        return pixels

    def decode(self, body: bytes, content_type: str) -> Photo:
        """Decode an image by its content, whatever ``content_type`` claims. Too many pixels are a 413."""
        return decode_photo(body)

    def encode(self, result: Photo) -> dict[str, Any]:
        """JSON: ``image`` (a PNG in base64), ``width``, ``height``, ``scale``, ``restored``."""
        height, width = result.pixels.shape[:2]
        return {
            "width": width,
            "height": height,
            "scale": round(result.scale, 3),
            "restored": result.restored,
            "image": to_png(result.pixels),
        }

    def describe(self, input: Photo) -> dict[str, Any]:
        """Format and size in pixels: nothing of the picture itself."""
        return {"format": input.format, "width": input.pixels.shape[1], "height": input.pixels.shape[0]}

    def lighter(self, input: Photo, level: float) -> Photo:
        """A smaller photograph, down to half the side, which is a quarter of the tiles; ``scale`` says so."""
        height, width = input.pixels.shape[:2]
        scale = 1 - level / 2
        size = max(1, round(width * scale)), max(1, round(height * scale))
        smaller = Image.fromarray(input.pixels).resize(size, Image.Resampling.BOX)
        return replace(input, pixels=np.asarray(smaller), scale=input.scale * scale)

    def fallback(self, input: Photo) -> Photo:
        """The photograph as it came; ``restored`` is false."""
        return input

    def schema(self) -> Schema:
        image = {"type": "string", "format": "binary", "description": f"At most {MAX_PIXELS} pixels."}
        properties = {
            "width": {"type": "integer", "minimum": 1},
            "height": {"type": "integer", "minimum": 1},
            "scale": {"type": "number", "minimum": 0, "maximum": 1},
            "restored": {"type": "boolean"},
            "image": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
        }
        result = {"type": "object", "properties": properties, "required": list(properties)}
        return Schema(request={"image/jpeg": image, "image/png": image, "image/webp": image}, result=result)

    def golden(self) -> Sequence[Golden]:
        return golden_pairs()
