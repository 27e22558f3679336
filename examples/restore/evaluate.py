"""PSNR before and after, on photographs that training never saw: ``python -m examples.restore.evaluate``.

Beside it, what a classical method does with the noise's strength told to it (total variation, from scikit-image).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click
import numpy as np
import torch
from skimage.restoration import denoise_tv_chambolle

from examples.restore.photo import Photo
from examples.restore.quality import psnr, with_noise
from examples.restore.restorer import PhotoRestorer
from examples.restore.tile import Pixels
from model.builtin.drawing.background import photograph_crop
from model.builtin.drawing.dice import HELD_OUT, Dice

SIGMAS: Final = (0, 10, 25, 50)
#: Strengths of total variation that are tried for each noise; the best one counts.
_WEIGHTS: Final = (0.02, 0.05, 0.1, 0.15, 0.2)
_SIDE: Final = 240


@dataclass(frozen=True, slots=True)
class Score:
    """Mean PSNR in dB at one strength of noise; infinite where nothing was changed."""

    sigma: int
    before: float
    after: float
    classical: float


def held_out(count: int, seed: int = 7) -> Iterator[Pixels]:
    """Crops of photographs of the held-out world."""
    for number in range(count):
        yield np.asarray(photograph_crop(Dice(HELD_OUT, seed, number), (_SIDE, _SIDE)))


def evaluate(restorer: PhotoRestorer, count: int, *, classical: bool = True) -> list[Score]:
    """The scores over ``count`` photographs, the same ones at every strength."""
    scores = []
    for sigma in SIGMAS:
        rng = np.random.default_rng(sigma)
        pairs = [(clean, with_noise(clean, sigma, rng)) for clean in held_out(count)]
        restored = restorer.predict([Photo(noisy, "PNG") for _, noisy in pairs])
        after = [psnr(photo.pixels, clean) for photo, (clean, _) in zip(restored, pairs, strict=True)]
        before = [psnr(noisy, clean) for clean, noisy in pairs]
        best = max(_total_variation(pairs, weight) for weight in _WEIGHTS) if classical else float("nan")
        scores.append(Score(sigma, float(np.mean(before)), float(np.mean(after)), best))
    return scores


def _total_variation(pairs: list[tuple[Pixels, Pixels]], weight: float) -> float:
    smooth = [
        denoise_tv_chambolle(noisy, weight=weight, channel_axis=-1)  # type: ignore[no-untyped-call]
        for _, noisy in pairs
    ]
    levels = [np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8) for image in smooth]
    return float(np.mean([psnr(image, clean) for image, (clean, _) in zip(levels, pairs, strict=True)]))


@click.command()
@click.option("--count", default=30, show_default=True, help="Photographs.")
def main(count: int) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    restorer = PhotoRestorer()
    restorer.load("cpu")
    click.echo("| noise (levels of 255) | before | restored | total variation |\n|---|---|---|---|")
    for score in evaluate(restorer, count):
        click.echo(f"| {score.sigma} | {score.before:.1f} dB | {score.after:.1f} dB | {score.classical:.1f} dB |")


if __name__ == "__main__":
    main()
