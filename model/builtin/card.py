"""What the card detector speaks about: the kinds of card, and one detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: The labels, in the order of the network's outputs. ``none`` is an image without a card.
KINDS: Final = ("id_card", "driving_licence", "passport", "bank_card", "none")
NONE: Final = KINDS.index("none")


@dataclass(frozen=True, slots=True)
class Detection:
    """The network's answer about one image.

    ``kind`` is one of :data:`KINDS`, ``confidence`` its probability (0 to 1), ``corners`` a (4, 2) array of x, y in
    pixels of the upright original, clockwise from the card's own top-left; ``None`` when there is no card.
    """

    kind: str
    confidence: float
    corners: NDArray[np.float64] | None
