"""The embedded default model: finds identity cards, driving licences, passports and bank cards in photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.builtin.detector import CardDetector

__all__ = ["CardDetector"]


def __getattr__(name: str) -> object:
    """Import the detector, and torch with it (some 200 MB), only when asked for: decoding and rendering need none."""
    if name == "CardDetector":
        from model.builtin.detector import CardDetector

        return CardDetector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
