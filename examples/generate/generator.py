"""An image generator that tells how far it is, hosted as ``examples.generate.generator:ImageGenerator``."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from examples.generate.drawing import Pixels, draw_scene, paint
from examples.generate.judge import judge
from examples.generate.network import FlowNetwork
from examples.generate.sampler import sample, to_pixels
from examples.generate.wish import Request, Wish, read_wish
from model.interface import Golden, Model, Step
from model.signature import Schema

WEIGHTS: Final = Path(__file__).with_name("image_generator.safetensors")
#: What a wish for fewer steps is never cut down to.
LEAST_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """``pixels`` (32, 32, 3) after so many steps. ``generated`` is false for a stand-in that was drawn by rules."""

    pixels: Pixels
    wish: Wish
    steps: int
    generated: bool = True


class ImageGenerator(Model):
    """Pictures of one shape in one colour. Equal wishes give equal pictures: chance comes from the wish's own seed."""

    name = "shape-painter"
    version = "1"

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.weights = weights
        self.device = torch.device("cpu")
        self.network = FlowNetwork().eval()

    def load(self, device: str) -> None:
        """Read the weights onto ``device``. Raises ``RuntimeError`` when they do not fit the network."""
        network = FlowNetwork()
        network.load_state_dict(load_file(self.weights))
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()

    def decode(self, body: bytes, content_type: str) -> Wish:
        """JSON such as ``{"prompt": "a red star", "steps": 20, "size": 128, "seed": 0}``."""
        return read_wish(super().decode(body, content_type))

    def bucket(self, input: Wish) -> int:
        """Pictures of one batch take their steps together."""
        return input.steps

    def predict(self, batch: Sequence[Wish]) -> list[Picture]:
        """All steps of a batch."""
        for believed in sample(self.network, batch, self.device):
            pictures = believed
        return [Picture(pixels, wish, wish.steps) for pixels, wish in zip(to_pixels(pictures), batch, strict=True)]

    def stream(self, input: Wish) -> Iterator[Step | Picture]:
        """How many steps are done; with ``preview``, what the picture looks like so far; at the end the picture."""
        with closing(sample(self.network, [input], self.device)) as steps:
            for done, believed in enumerate(steps, 1):
                yield Step(done, input.steps)
                if input.preview or done == input.steps:
                    yield Picture(to_pixels(believed)[0], input, done)

    def encode(self, result: Picture) -> dict[str, Any]:
        """JSON: ``image`` (a PNG in base64), its ``size``, ``steps`` of ``asked``, ``seed``, ``generated``."""
        return {
            "size": result.wish.size,
            "steps": result.steps,
            "asked": result.wish.asked,
            "seed": result.wish.seed,
            "generated": result.generated,
            "image": to_png(result.pixels, result.wish.size),
        }

    def describe(self, input: Wish) -> dict[str, Any]:
        return {"shape": input.shape, "colour": input.colour, "steps": input.steps, "size": input.size}

    def lighter(self, input: Wish, level: float) -> Wish:
        """Down to a quarter of the steps; ``asked`` keeps what was wanted."""
        fewer = max(LEAST_STEPS, round(input.steps * (1 - 0.75 * level)))
        return input.model_copy(update={"steps": min(input.steps, fewer)})

    def fallback(self, input: Wish) -> Picture:
        """What was asked for, drawn by the rules that the network learnt from; ``generated`` is false."""
        scene = draw_scene(random.Random(input.seed))  # noqa: S311 - chance for a picture, not for secrets
        scene = replace(scene, shape=input.shape or scene.shape, colour=input.colour or scene.colour)
        return Picture(paint(scene), input, 0, generated=False)

    def schema(self) -> Schema:
        properties = {
            "size": {"type": "integer", "minimum": 1},
            "steps": {"type": "integer", "minimum": 0},
            "asked": {"type": "integer", "minimum": 1},
            "seed": {"type": "integer", "minimum": 0},
            "generated": {"type": "boolean"},
            "image": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
        }
        result = {"type": "object", "properties": properties, "required": list(properties)}
        return Schema(request={"application/json": Request.model_json_schema()}, result=result)

    def golden(self) -> Sequence[Golden]:
        """Four wishes whose pictures must show what was asked for, by geometry."""
        wishes = (("star", "red"), ("ring", "blue"), ("heart", "yellow"), ("square", "green"))
        return [(Wish(shape=shape, colour=colour, seed=1), partial(_shows, shape, colour)) for shape, colour in wishes]


def _shows(shape: str, colour: str, answer: Any) -> bool:
    verdict = judge(from_png(answer["image"], 32))
    return verdict is not None and (verdict.shape, verdict.colour) == (shape, colour)


def to_png(pixels: Pixels, size: int) -> str:
    """A PNG of ``size`` squared pixels, in base64. Enlarging is done here and by no network."""
    buffer = BytesIO()
    Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC).save(buffer, "PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def from_png(text: str, size: int) -> Pixels:
    """The opposite of :func:`to_png`, brought to ``size``."""
    with Image.open(BytesIO(base64.b64decode(text)), formats=["PNG"]) as image:
        return np.asarray(image.resize((size, size), Image.Resampling.BOX))
