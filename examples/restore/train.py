"""Train the photo restorer: ``python -m examples.restore.train``. About three minutes on one busy core.

Needs requirements-dev.txt, for the photographs that scikit-image and scikit-learn carry. The same numbers, thread count
and library versions give the same weights.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from examples.restore.network import MARGIN, RestoreNetwork
from examples.restore.restorer import WEIGHTS
from model.builtin.drawing.background import background, photograph_crop
from model.builtin.drawing.dice import TRAINING, Dice

#: The side of a drawn picture and of the part of it that one step sees, in pixels.
DRAWN: Final = 96
PATCH: Final = 64
BATCH: Final = 16
#: The strengths of noise that are learnt, in levels of 255.
SIGMA: Final = (0.0, 55.0)


def draw(seed: int, count: int) -> NDArray[np.uint8]:
    """(count, DRAWN, DRAWN, 3) crops of photographs and computed surfaces, none of them from the held-out world."""
    size = (DRAWN, DRAWN)
    pictures = []
    for number in range(count):
        dice = Dice(TRAINING, seed, number)
        pictures.append(np.asarray(photograph_crop(dice, size) if dice.chance(0.5) else background(dice, size)))
    return np.stack(pictures)


def batch_of(pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy and clean patches (BATCH, 3, PATCH, PATCH), 0 to 1; the noise of each has a strength of its own."""
    rows = torch.randint(len(pictures), (BATCH,), generator=generator)
    top, left = torch.randint(DRAWN - PATCH + 1, (2,), generator=generator).tolist()
    clean = pictures[rows, :, top : top + PATCH, left : left + PATCH].float() / 255
    flip, turn = torch.rand(2, generator=generator).tolist()
    clean = clean.flip(3) if flip < 0.5 else clean
    clean = clean.transpose(2, 3) if turn < 0.5 else clean
    low, high = SIGMA
    strength = low + (high - low) * torch.rand(BATCH, 1, 1, 1, generator=generator)
    noisy = clean + torch.randn(clean.shape, generator=generator) * strength / 255
    return (noisy * 255).round().clamp(0, 255) / 255, clean


def train(pictures: NDArray[np.uint8], steps: int, seed: int, rate: float) -> RestoreNetwork:
    """A fresh network after so many batches; prints a line now and then."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    held = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
    network = RestoreNetwork()
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    for number in range(1, steps + 1):
        noisy, clean = batch_of(held, generator)
        found = network(noisy.contiguous(memory_format=torch.channels_last))
        loss = functional.l1_loss(found, clean[..., MARGIN:-MARGIN, MARGIN:-MARGIN])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if number % 40 == 0 or number == steps:
            click.echo(f"step {number}/{steps}  loss {loss.item() * 255:.2f} levels a channel")
    return network.eval()


@click.command()
@click.option("--pictures", default=800, show_default=True, help="How many to draw.")
@click.option("--steps", default=160, show_default=True, help="Batches to learn from.")
@click.option("--seed", default=1, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="The highest learning rate.")
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path, dir_okay=False))
def main(pictures: int, steps: int, seed: int, rate: float, out: Path) -> None:
    """Draw, train and write the weights; examples.restore.evaluate says what they are worth."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    started = time.monotonic()
    drawn = draw(seed, pictures)
    click.echo(f"{len(drawn)} pictures in {time.monotonic() - started:.0f} s")
    network = train(drawn, steps, seed, rate)
    facts = {"pictures": pictures, "steps": steps, "seed": seed, "rate": rate, "torch": torch.__version__}
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(state, out, metadata={"training": json.dumps(facts)})
    click.echo(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
