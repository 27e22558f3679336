"""How times and values lie in the file: pcodec, a lossless codec for sequences of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pcodec import ChunkConfig, standalone

from collectors.sample import Times, Values
from storage.error import StorageError

#: Level 8, pcodec's default, and 4 are equally fast to read; on one-second history 8 takes a twentieth less room.
_CONFIG = ChunkConfig()

#: Runs of moments at which a series is present: pairs of (first, length).
_RUNS = np.dtype("<u4")

Index = NDArray[np.intp]


def encode_times(times: Times) -> bytes:
    """The moments of a block, in UTC milliseconds."""
    return bytes(standalone.simple_compress(np.ascontiguousarray(times, dtype=np.int64), _CONFIG))


def decode_times(packed: bytes, count: int) -> Times:
    """The inverse; raises :class:`StorageError` unless there are exactly ``count``."""
    times = np.empty(count, dtype=np.int64)
    _fill(packed, times)
    return times


def encode_values(values: Values) -> bytes:
    """The values of a chunk, bit by bit: stale markers stay what they are."""
    return bytes(standalone.simple_compress(np.ascontiguousarray(values, dtype=np.float64), _CONFIG))


def decode_values(packed: bytes, into: Values) -> None:
    """Fill ``into``, one-dimensional and contiguous; raises :class:`StorageError` when the chunk does not fit it."""
    _fill(packed, into)


def encode_runs(present: Index) -> bytes:
    """Which moments of a block a series has, given as ascending positions."""
    breaks = np.flatnonzero(np.diff(present) > 1) + 1
    first = np.concatenate(([0], breaks))
    last = np.concatenate((breaks, [len(present)]))
    return np.stack([present[first], last - first], axis=1).astype(_RUNS).tobytes()


def decode_runs(packed: bytes, count: int) -> Index:
    """The inverse: positions below ``count``; raises :class:`StorageError` for what cannot be."""
    if len(packed) % (2 * _RUNS.itemsize) or not packed:
        raise StorageError("a chunk's runs are cut short", permanent=True)
    pairs = np.frombuffer(packed, dtype=_RUNS).reshape(-1, 2).astype(np.intp)
    first, length = pairs[:, 0], pairs[:, 1]
    if (first + length > count).any() or (length == 0).any() or (first[1:] < (first + length)[:-1]).any():
        raise StorageError("a chunk's runs do not fit its block", permanent=True)
    before = np.cumsum(length) - length
    return np.repeat(first - before, length) + np.arange(int(length.sum()))


def _fill(packed: bytes, into: NDArray[np.int64] | Values) -> None:
    try:
        progress = standalone.simple_decompress_into(packed, into)
    except (RuntimeError, TypeError, ValueError) as error:
        raise StorageError(f"a chunk cannot be decoded: {error}", permanent=True) from error
    if progress.n_processed != len(into) or not progress.finished:
        raise StorageError(f"a chunk holds another number of samples than {len(into)}", permanent=True)
