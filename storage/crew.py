"""Decoding on several cores at once: pcodec lets go of the interpreter while it works."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

#: More threads than this fetch little: laying arrays side by side is bound by memory.
_MOST_THREADS = 4
#: Fewer items than this a thread, at some ten microseconds each, are not worth waking one.
_LEAST_ITEMS = 16


class Crew:
    """A few threads that share work; the one that asks does its part."""

    def __init__(self) -> None:
        self._size = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        self._pool = ThreadPoolExecutor(max(self._size - 1, 1), thread_name_prefix="decode")

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """``function`` of every item, in their order; an exception comes out as of a loop."""
        share = max(_LEAST_ITEMS, -(-len(items) // self._size))

        def work(first: int) -> list[Result]:
            return [function(item) for item in items[first : first + share]]

        others = [self._pool.submit(work, first) for first in range(share, len(items), share)]
        results = work(0)
        for other in others:
            results += other.result()
        return results
