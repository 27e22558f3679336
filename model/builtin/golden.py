"""The golden pairs: drawn photographs that ship beside the weights, and what the detector must say of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from model.builtin.image import decode_photo
from model.interface import Golden

SAMPLES: Final = Path(__file__).with_name("samples")
#: How far a corner may be from the truth, as a share of the photograph's diagonal.
TOLERANCE: Final = 0.05


def golden_pairs() -> Sequence[Golden]:
    """Read the samples that ``python -m model.builtin.render`` wrote, with their truth."""
    truths = json.loads((SAMPLES / "truth.json").read_bytes())
    return [(decode_photo((SAMPLES / name).read_bytes()), _check(truth)) for name, truth in truths.items()]


def _check(truth: dict[str, Any]) -> Callable[[Any], bool]:
    return partial(_holds, truth)


def _holds(truth: dict[str, Any], answer: Any) -> bool:
    """Whether an encoded answer names the right kind, is sure of it, and has every corner near the true one."""
    if answer["class"] != truth["class"] or answer["confidence"] < 0.5:
        return False
    if truth["corners"] is None:
        return answer["corners"] is None
    distances = np.linalg.norm(np.array(answer["corners"]) - np.array(truth["corners"]), axis=1)
    return bool(distances.max() <= TOLERANCE * float(np.hypot(truth["width"], truth["height"])))
