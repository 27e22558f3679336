"""Train the image generator: ``python -m examples.generate.train``.

The same numbers, thread count and library versions give the same weights.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from examples.generate.drawing import draw_scene, paint
from examples.generate.generator import WEIGHTS
from examples.generate.network import FlowNetwork, numbers_of

BATCH: Final = 64
#: How often the network is not told the shape, or the colour.
_UNTOLD: Final = 0.1
#: Errors weigh more the less noise there is, as errors of speed do; up to this much noise.
_LEAST_NOISE: Final = 0.1
#: The weights that are kept are a mean over about so many of the last steps.
_MEMORY: Final = 200

Pictures = tuple[Tensor, Tensor, Tensor]


def draw(seed: int, count: int) -> Pictures:
    """Pictures (count, 3, SIDE, SIDE) as bytes, and the numbers of their shapes and colours (count,)."""
    rng = random.Random(seed)  # noqa: S311 - chance for training, not for secrets
    scenes = [draw_scene(rng) for _ in range(count)]
    pixels = torch.from_numpy(np.stack([paint(scene) for scene in scenes])).permute(0, 3, 1, 2).contiguous()
    return pixels, *numbers_of([scene.shape for scene in scenes], [scene.colour for scene in scenes])


def loss_of(network: FlowNetwork, pictures: Pictures, rows: Tensor, generator: torch.Generator) -> Tensor:
    """How far the network's belief is from the picture, at a random amount of noise for each."""
    pixels, shape, colour = (part[rows] for part in pictures)
    clean = pixels.float() / 127.5 - 1
    t = torch.sigmoid(torch.randn(len(rows), generator=generator) - 0.3)
    mix = t[:, None, None, None]
    noisy = clean * mix + torch.randn(clean.shape, generator=generator) * (1 - mix)
    told = torch.rand(2, len(rows), generator=generator) >= _UNTOLD
    believed = network(noisy.contiguous(memory_format=torch.channels_last), t, shape * told[0], colour * told[1])
    weight = 1 / (1 - mix).clamp(min=_LEAST_NOISE) ** 2
    return (functional.mse_loss(believed, clean, reduction="none") * weight).mean()


def train(pictures: Pictures, steps: int, seed: int, rate: float) -> FlowNetwork:
    """A fresh network after so many batches; prints a line now and then."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = FlowNetwork()
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
    total, since = 0.0, 0
    for number in range(1, steps + 1):
        rows = torch.randint(len(pictures[0]), (BATCH,), generator=generator)
        loss = loss_of(network, pictures, rows, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        share = max(1 / number, 1 / _MEMORY)
        for name, value in network.state_dict().items():
            mean[name].lerp_(value, share)
        total, since = total + loss.item(), since + 1
        if number % 100 == 0 or number == steps:
            click.echo(f"step {number}/{steps}  loss {total / since:.4f}")
            total, since = 0.0, 0
    network.load_state_dict(mean)
    return network.eval()


@click.command()
@click.option("--pictures", default=8000, show_default=True, help="How many to draw.")
@click.option("--steps", default=2000, show_default=True, help="Batches to learn from.")
@click.option("--seed", default=1, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="The highest learning rate.")
@click.option("--threads", default=1, show_default=True, help="CPU threads; another number gives other weights.")
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path, dir_okay=False))
def main(pictures: int, steps: int, seed: int, rate: float, threads: int, out: Path) -> None:
    """Draw, train and write the weights; examples.generate.evaluate says what they are worth."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    started = time.monotonic()
    drawn = draw(seed, pictures)
    click.echo(f"{pictures} pictures in {time.monotonic() - started:.0f} s")
    network = train(drawn, steps, seed, rate)
    facts = {"pictures": pictures, "steps": steps, "seed": seed, "rate": rate, "threads": threads}
    # Half the room, and no difference to be seen.
    state = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    save_file(state, out, metadata={"training": json.dumps(facts | {"torch": torch.__version__})})
    click.echo(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
