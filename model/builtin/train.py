"""Train the card network from drawn photographs: ``python -m model.builtin.train``.

Needs requirements-dev.txt (the photographs behind the cards) and only a CPU. The same seed, set size, number of passes,
threads, fonts and library versions give the same weights.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from model.builtin.augment import cut_out, light, move
from model.builtin.card import KINDS, NONE
from model.builtin.dataset import DrawnSet, draw_set
from model.builtin.drawing.dice import TRAINING
from model.builtin.network import CardNetwork, expected_corners, positions, to_input

WEIGHTS: Final = Path(__file__).with_name("card_detector.safetensors")
BATCH: Final = 64


def corner_loss(heat: Tensor, corners: Tensor) -> Tensor:
    """Distance of the expected corners, and cross-entropy to a bell around the true ones, which keeps maps sharp."""
    distance = (expected_corners(heat) - corners).abs().mean()
    places = positions(heat)
    spread = places[1] - places[0]
    bells = torch.exp(-((places - corners[..., None]) ** 2) / (2 * spread**2))
    target = bells[:, :, 1, :, None] * bells[:, :, 0, None, :]
    target = target.flatten(2) / target.flatten(2).sum(-1, keepdim=True).clamp(min=1e-6)
    crossing = -(target * heat.flatten(2).log_softmax(-1)).sum(-1).mean()
    return 10.0 * distance + 0.25 * crossing


def loss_of(network: CardNetwork, x: Tensor, labels: Tensor, corners: Tensor, *, half: bool) -> Tensor:
    """The loss of one batch: kind for all, corners where there is a card."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits, heat = network(x.contiguous(memory_format=torch.channels_last))
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=0.03)
    cards = labels != NONE
    if cards.any():
        loss = loss + corner_loss(heat.float()[cards], corners[cards])
    return loss


def train(drawn: DrawnSet, passes: int, seed: int, rate: float, *, half: bool) -> CardNetwork:
    """Train a fresh network on a drawn set; prints one line per pass."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    pixels, labels, corners = (torch.from_numpy(part) for part in (drawn.pixels, drawn.labels, drawn.corners))
    network = CardNetwork()
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = passes * (len(labels) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    for number in range(passes):
        started, total = time.monotonic(), 0.0
        order = torch.randperm(len(labels), generator=generator)
        batches = order[: len(order) // BATCH * BATCH].view(-1, BATCH)
        for rows in batches:
            x, moved = move(to_input(pixels[rows]), corners[rows], generator)
            x = light(x, generator)
            cut_out(x, generator)
            loss = loss_of(network, x, labels[rows], moved, half=half)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        click.echo(f"pass {number + 1}/{passes}  loss {total / len(batches):.4f}  {time.monotonic() - started:.0f} s")
    network.eval()
    return network


def save(network: CardNetwork, path: Path, facts: dict[str, object]) -> None:
    """Write the weights as float32 safetensors with how they came to be in the header."""
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(state, path, metadata={"kinds": json.dumps(KINDS), "training": json.dumps(facts)})


@click.command()
@click.option("--images", default=16_000, show_default=True, help="How many photographs to draw.")
@click.option("--passes", default=10, show_default=True, help="How many passes over them.")
@click.option("--seed", default=1, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="The highest learning rate.")
@click.option("--threads", default=1, show_default=True, help="Threads to train on; more than one wants idle cores.")
@click.option("--workers", default=2, show_default=True, help="Processes to draw on.")
@click.option("--float32", is_flag=True, help="Compute in float32, for CPUs without bfloat16.")
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keep", type=click.Path(path_type=Path, dir_okay=False), help="Keep the drawn set here (.npz) or reuse it."
)
def main(
    images: int,
    passes: int,
    seed: int,
    rate: float,
    threads: int,
    workers: int,
    float32: bool,
    out: Path,
    keep: Path | None,
) -> None:
    """Draw a training set, train on it and write the weights."""
    torch.set_num_threads(threads)
    # Sharp heat maps have gradients too small for normal floats, on which a CPU computes many times more slowly.
    torch.set_flush_denormal(True)
    started = time.monotonic()
    if keep is not None and keep.exists():
        with np.load(keep) as stored:
            drawn = DrawnSet(stored["pixels"], stored["labels"], stored["corners"])
    else:
        drawn = draw_set(TRAINING, seed, images, workers)
        if keep is not None:
            np.savez(keep, pixels=drawn.pixels, labels=drawn.labels, corners=drawn.corners)
    click.echo(f"{len(drawn.labels)} photographs in {time.monotonic() - started:.0f} s")
    network = train(drawn, passes, seed, rate, half=not float32)
    facts = {"images": len(drawn.labels), "passes": passes, "seed": seed, "rate": rate, "torch": torch.__version__}
    save(network, out, facts)
    click.echo(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
