"""Train the text generator: ``python -m examples.text.train``. A minute or so on one core.

The same numbers, thread count and library versions give the same weights.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Final

import click
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from examples.text.generator import WEIGHTS, Request, TextGenerator
from examples.text.grammar import END, VOCABULARY, judge, write_report
from examples.text.network import TextNetwork, to_tokens

BATCH: Final = 32
LENGTH: Final = 48
#: Added to the seed for texts that training never sees.
_HELD_OUT: Final = 1_000_003


def rows(rng: random.Random, count: int) -> Tensor:
    """(count, LENGTH + 1) tokens: each row begins with a report and goes on with others until it is full."""
    texts = []
    for _ in range(count):
        reports = [write_report(rng) + END for _ in range(3)]
        texts.append(to_tokens(END + "".join(reports))[: LENGTH + 1])
    return torch.stack(texts)


def loss_of(network: TextNetwork, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of the next token, in nats."""
    scores, _ = network(tokens[:, :-1])
    return functional.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten())


def train(steps: int, seed: int, rate: float) -> TextNetwork:
    """A fresh network after so many batches of fresh reports; prints a line now and then."""
    torch.manual_seed(seed)
    rng = random.Random(seed)  # noqa: S311 - chance for training, not for secrets
    network = TextNetwork().train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    for number in range(1, steps + 1):
        loss = loss_of(network, rows(rng, BATCH))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if number % 100 == 0 or number == steps:
            click.echo(f"step {number}/{steps}  loss {loss.item():.4f} nats a token")
    return network.eval()


def held_out_loss(network: TextNetwork, seed: int) -> float:
    """The same loss over texts that training did not see."""
    with torch.inference_mode():
        return loss_of(network, rows(random.Random(seed + _HELD_OUT), 64)).item()  # noqa: S311


def soundness(generator: TextGenerator, count: int) -> dict[str, float]:
    """Shares of ``count`` reports, each written from nothing with its own seed, that the grammar could have made."""
    requests = [Request(prompt="", max_tokens=100, temperature=0.7, seed=seed) for seed in range(count)]
    verdicts = [judge(result["text"]) for result in generator.predict(requests)]
    found = Counter[str]()
    for verdict in verdicts:
        found.update(
            {
                "well_formed": verdict.well_formed,
                "remedy_fits": verdict.remedy_fits,
                "one_service": verdict.one_service,
                "sound": verdict.sound,
            }
        )
    return {name: round(total / count, 4) for name, total in found.items()}


@click.command()
@click.option("--steps", default=500, show_default=True, help="Batches to learn from.")
@click.option("--seed", default=1, show_default=True)
@click.option("--rate", default=5e-3, show_default=True, help="The highest learning rate.")
@click.option("--out", default=WEIGHTS, show_default=True, type=click.Path(path_type=Path, dir_okay=False))
def main(steps: int, seed: int, rate: float, out: Path) -> None:
    """Train, write the weights, and say what they are worth."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    started = time.monotonic()
    network = train(steps, seed, rate)
    seconds = time.monotonic() - started
    facts = {"steps": steps, "seed": seed, "rate": rate, "torch": torch.__version__}
    save_file(network.state_dict(), out, metadata={"vocabulary": json.dumps(VOCABULARY), "training": json.dumps(facts)})
    click.echo(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB in {seconds:.0f} s")
    click.echo(f"held out: {held_out_loss(network, seed):.4f} nats a token")
    generator = TextGenerator(out)
    generator.load("cpu")
    click.echo(f"of 200 reports: {soundness(generator, 200)}")


if __name__ == "__main__":
    main()
