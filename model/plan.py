"""What a reload is to bring into service, and who is told how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.fault import LoadFailure
from model.loader import Instance
from model.release import Target


def _nothing(failure: LoadFailure | None) -> None:
    """Nobody waits for the end of this reload."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A reload, known by its identity: whoever settles it first says how it ended.

    Of ``targets`` the first is what is wanted. The others are tried in turn where nothing is left to serve. ``reason``
    is the label of ``model_reloads_total``. With ``hand_over`` what the old instance has decoded it also answers, as
    another version may decode to something else. ``seat`` takes what is wanted instead of putting it into service:
    on the model thread, beside the one that serves, or not at all. ``done`` is called once, with why it failed, if it
    did.
    """

    reason: str
    targets: Sequence[Target]
    hand_over: bool = False
    seat: Callable[[Instance], None] | None = None
    done: Callable[[LoadFailure | None], None] = _nothing
