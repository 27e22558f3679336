"""How fast a loaded model is by batch size, what memory it takes, and which settings follow from that."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from model.fault import classify
from model.loader import Instance

#: Sizes that are tried: each twice the one before, up to this.
LARGEST = 64
#: Each size is run so often at least and at most, and for so many seconds in between.
LEAST_RUNS, MOST_RUNS, RUN_SECONDS = 3, 200, 1.0
#: A larger batch than one that reaches this share of the best throughput only adds waiting.
ENOUGH = 0.9
#: Waiting for a batch to fill pays where a full one is so many times as fast as single inputs …
WORTH_WAITING = 1.5
#: … and then for this share of a single input's time.
WINDOW_SHARE = 0.25
#: A deadline leaves room for a full queue, twice over; a watchdog for a batch that is so many times as slow as usual.
DEADLINE_FACTOR, WATCHDOG_FACTOR = 2.0, 20.0
LEAST_DEADLINE, LEAST_WATCHDOG = 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Point:
    """One batch size. ``gpu_bytes`` is the most that tensors took while it ran; None on the CPU."""

    size: int
    runs: int
    median_seconds: float
    slowest_seconds: float
    gpu_bytes: int | None

    @property
    def per_second(self) -> float:
        """Inputs a second."""
        return self.size / self.median_seconds


@dataclass(frozen=True, slots=True)
class Advice:
    """Settings of ``model:`` that suit what was measured; times in seconds."""

    batch_size: int
    batch_window_seconds: float
    deadline_seconds: float
    watchdog_seconds: float


def measure(instance: Instance, given: Any, clock: Callable[[], float], largest: int = LARGEST) -> Iterator[Point]:
    """Run batches of 1, 2, 4 … of one input; ends before a size that does not fit into memory."""
    size = 1
    while size <= largest:
        point = _fitting(instance, [given] * size, clock)
        if point is None:
            instance.device.release()
            return
        yield point
        size *= 2


def advise(points: Sequence[Point], queue_size: int) -> Advice:
    """What follows from the points, at least one."""
    best = max(point.per_second for point in points)
    chosen = next(point for point in points if point.per_second >= ENOUGH * best)
    gain = chosen.per_second / points[0].per_second
    window = WINDOW_SHARE * points[0].median_seconds if gain >= WORTH_WAITING else 0.0
    queue_seconds = math.ceil(queue_size / chosen.size) * chosen.slowest_seconds
    return Advice(
        batch_size=chosen.size,
        batch_window_seconds=_two_digits(min(window, 1.0)),
        deadline_seconds=_two_digits(max(LEAST_DEADLINE, DEADLINE_FACTOR * (queue_seconds + chosen.slowest_seconds))),
        watchdog_seconds=_two_digits(max(LEAST_WATCHDOG, WATCHDOG_FACTOR * chosen.slowest_seconds)),
    )


def _fitting(instance: Instance, batch: Sequence[Any], clock: Callable[[], float]) -> Point | None:
    """The measured size; None where memory does not suffice."""
    try:
        return _measured(instance, batch, clock)
    except Exception as error:  # looked at, and raised again unless it is memory
        if classify(error) != "memory" or len(batch) == 1:
            raise
        return None


def _measured(instance: Instance, batch: Sequence[Any], clock: Callable[[], float]) -> Point:
    device = instance.device
    instance.predict(batch)  # the first of a size pays for kernels being chosen
    device.reset_peak()
    times: list[float] = []
    end = clock() + RUN_SECONDS
    while len(times) < LEAST_RUNS or (clock() < end and len(times) < MOST_RUNS):
        began = clock()
        instance.predict(batch)
        device.synchronize()
        times.append(max(clock() - began, 1e-9))
    return Point(len(batch), len(times), statistics.median(times), max(times), device.peak_bytes())


def _two_digits(seconds: float) -> float:
    """Rounded up to two digits: more would be false precision."""
    if seconds <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.ceil(seconds / unit - 1e-9) * unit:.6g}")
