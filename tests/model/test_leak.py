"""A leak is what work leaves behind, again and again; nothing else is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from model.leak import Leak, LeakDetector

MB = 1_000_000


def watch(
    memory: Callable[[int], int], batches: Callable[[int], int], minutes: int, limit: int = 100 * MB
) -> Leak | None:
    """Look every ten seconds."""
    detector = LeakDetector(limit)
    for moment in range(0, minutes * 60, 10):
        leak = detector.observe(float(moment), memory(moment), batches(moment))
        if leak is not None:
            return leak
    return None


def test_steady_growth_with_every_batch_is_a_leak() -> None:
    leak = watch(lambda s: 1000 * MB + s * MB // 2, lambda s: s, 60)
    assert leak is not None
    assert leak.bytes >= 100 * MB
    assert leak.batches > 0


def test_a_slow_leak_is_found_as_well_it_only_takes_longer() -> None:
    assert watch(lambda s: 1000 * MB + s * MB // 60, lambda s: s, 90) is None
    assert watch(lambda s: 1000 * MB + s * MB // 60, lambda s: s, 120) is not None


def test_growth_without_work_is_not_the_models() -> None:
    assert watch(lambda s: 1000 * MB + s * MB, lambda s: 7, 120) is None


def test_a_cache_that_fills_once_is_no_leak() -> None:
    assert watch(lambda s: 1000 * MB + min(s, 240) * MB, lambda s: s, 240) is None


def test_what_comes_and_goes_is_no_leak() -> None:
    assert watch(lambda s: 1000 * MB + (s % 240) * MB, lambda s: s, 240) is None


def test_memory_that_is_in_use_only_for_the_moment_does_not_count() -> None:
    assert watch(lambda s: 1000 * MB + (0 if s % 50 == 0 else s * MB), lambda s: s, 60) is None


def test_it_tells_once_and_begins_anew() -> None:
    detector, found = LeakDetector(100 * MB), []
    for moment in range(0, 3600, 10):
        leak = detector.observe(float(moment), moment * MB, moment)
        if leak is not None:
            found.append(moment)
    assert len(found) > 3
    assert all(later - earlier >= 360 for earlier, later in itertools.pairwise(found))
