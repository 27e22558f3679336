"""Run a model before its first request: batches of 1, 2, 4 … inputs, as requests will bring them, while time allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from model.device import Device
from model.fault import classify
from model.interface import Golden, Model

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What it came to. ``limit`` is how many inputs may go into one batch, ``sizes`` the batches that were run."""

    limit: int
    sizes: tuple[int, ...] = ()
    #: Why it ended before the largest batch: ``out_of_memory`` or ``too_slow``; ``None`` if it did not.
    cut_short: str | None = None


def warm_up(
    model: Model,
    device: Device,
    golden: Sequence[Golden],
    *,
    batch_size: int,
    seconds: float,
    clock: Callable[[], float],
) -> WarmUp:
    """Run every size up to ``batch_size`` with an input of every bucket that the golden inputs are of.

    No size is begun after ``seconds`` but the first. What does not fit into memory lowers the limit to the largest
    batch that did. Without a golden input there is nothing to run. Raises what the model raises on one input, and
    whatever else than memory on more.
    """
    inputs = _one_of_each_bucket(model, golden)
    if not inputs:
        return WarmUp(batch_size)
    reached: list[int] = []
    began = clock()
    for size in _sizes(batch_size if seconds else 1):
        if reached and clock() - began > seconds:
            log.warning("warm_up_cut_short", reached=reached[-1], batch_size=batch_size, limit_seconds=seconds)
            return WarmUp(batch_size, tuple(reached), "too_slow")
        if not all(_fits(model, device, [given] * size) for given in inputs):
            device.release()
            log.warning("batch_does_not_fit", size=size, limit=reached[-1])
            return WarmUp(reached[-1], tuple(reached), "out_of_memory")
        reached.append(size)
    return WarmUp(batch_size, tuple(reached))


def _sizes(largest: int) -> Iterator[int]:
    """1, 2, 4 … and the largest."""
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest


def _one_of_each_bucket(model: Model, golden: Sequence[Golden]) -> list[Any]:
    """Inputs that never go into one batch may run different kernels; most models have one bucket only."""
    if type(model).bucket is Model.bucket:
        return [given for given, _ in golden[:1]]
    found: dict[Any, Any] = {}
    for given, _ in golden:
        found.setdefault(model.bucket(given), given)
    return list(found.values())


def _fits(model: Model, device: Device, batch: Sequence[Any]) -> bool:
    try:
        device.predict(model, batch)
    except Exception as error:  # looked at, and raised again unless it is memory that fewer inputs would not need
        if classify(error) != "memory" or len(batch) == 1:
            raise
        return False
    return True
