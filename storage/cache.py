"""Decoded times and values that were read lately, under a cap of memory: a page that repeats its queries reads once."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64] | NDArray[np.float64]
Key = tuple[str, int]


class DecodedCache:
    """Least recently used goes first. Arrays in it must not be changed."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._arrays: OrderedDict[Key, Array] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Array | None:
        """The array, if it is still there."""
        with self._lock:
            array = self._arrays.get(key)
            if array is not None:
                self._arrays.move_to_end(key)
            return array

    def put(self, key: Key, array: Array) -> None:
        """Keep an array; one that would take more than a quarter of the room is not worth it."""
        if array.nbytes > self._most_bytes // 4:
            return
        with self._lock:
            self._bytes += array.nbytes - (self._arrays[key].nbytes if key in self._arrays else 0)
            self._arrays[key] = array
            self._arrays.move_to_end(key)
            while self._bytes > self._most_bytes:
                self._bytes -= self._arrays.popitem(last=False)[1].nbytes

    @property
    def bytes(self) -> int:
        """What it holds."""
        return self._bytes
