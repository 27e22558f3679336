"""Noise to be taken out, and how well that went."""

from __future__ import annotations

import numpy as np

from examples.restore.tile import Pixels


def with_noise(clean: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise of so many levels (of 255), each channel by itself."""
    noisy = clean + rng.normal(0, sigma, clean.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def psnr(image: Pixels, truth: Pixels) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images."""
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))
