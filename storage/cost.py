"""What history costs: bytes and samples of every source, and when it will have grown to its limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from storage.block import Block
from storage.head import SectionView

SECOND_MS = 1000
DAY_MS = 86_400_000
#: Sources whose names carry a moment or a number are told as one: what is before this.
_FAMILY = "@"
#: Growth that is judged by less history than this says nothing.
_LEAST_MS = 60_000


@dataclass(frozen=True, slots=True)
class SourceCost:
    """One source's share. ``bytes_per_sample`` is None until something of it has been sealed."""

    source: str
    series: int
    samples_per_second: float
    bytes: int
    bytes_per_sample: float | None


@dataclass(slots=True)
class _Tally:
    """A source while its history is counted. ``recent`` counts samples of the last day."""

    series: set[int] = field(default_factory=set)
    samples: int = 0
    bytes: int = 0
    recent: float = 0.0


def source_costs(blocks: Iterable[Block], unsealed: Sequence[SectionView]) -> list[SourceCost]:
    """What every source costs, the dearest first. Rates and series are those of the newest day that was recorded here.

    What is not sealed yet has samples and no bytes. Buckets of the coarser tier have bytes and no samples.
    """
    blocks = list(blocks)
    runs = [(source, view) for section in unsealed for source, views in section.runs.items() for view in views]
    # What was imported may be of any time, the future among them: only what was recorded here has a pace.
    own = [(block.start_ms, block.end_ms) for block in blocks if block.segment is not None and not block.resolution_ms]
    own += [(view.run.first_ms, view.run.last_ms) for _, view in runs]
    last_ms = max((last for _, last in own), default=0)
    since_ms = max(min((first for first, _ in own), default=0), last_ms - DAY_MS)
    tallies: dict[str, _Tally] = {}
    for block in blocks:
        tally = tallies.setdefault(_family(block.source), _Tally())
        tally.bytes += block.bytes
        if block.resolution_ms:
            continue
        tally.samples += block.samples
        if block.segment is None:
            tally.series |= block.series
        elif block.end_ms >= since_ms:
            tally.series |= block.series
            tally.recent += block.samples * _share(block.start_ms, block.end_ms, since_ms)
    for source, view in runs:
        tally = tallies.setdefault(_family(source), _Tally())
        tally.series.update(view.run.layout.series)
        tally.recent += len(view.run.layout.series) * view.filled
    seconds = max(last_ms - since_ms, SECOND_MS) / SECOND_MS
    costs = [
        SourceCost(
            source=source,
            series=len(tally.series),
            samples_per_second=tally.recent / seconds,
            bytes=tally.bytes,
            bytes_per_sample=tally.bytes / tally.samples if tally.samples else None,
        )
        for source, tally in tallies.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.bytes, cost.source))


def growth(costs: Sequence[SourceCost]) -> float:
    """Bytes a second that these sources add. One without blocks yet counts as the others do on average."""
    known = [cost for cost in costs if cost.bytes_per_sample is not None and cost.samples_per_second]
    rate = sum(cost.samples_per_second for cost in known)
    sealed = sum(cost.samples_per_second * (cost.bytes_per_sample or 0.0) for cost in known)
    if not rate:
        return 0.0
    return sealed * sum(cost.samples_per_second for cost in costs) / rate


def reaches_limit_ms(
    bytes: int, limit_bytes: int, growth: float, *, oldest_ms: int, now_ms: int, retention_ms: float
) -> int | None:
    """When the files will have grown to their limit; a moment that is past where they have; None for never.

    Until history is as old as it may become nothing leaves the file; from then on, what is old leaves at the rate at
    which it was written on average, and what remains of the growth is the difference.
    """
    if bytes >= limit_bytes:
        return now_ms
    if growth <= 0 or now_ms - oldest_ms < _LEAST_MS:
        return None
    left_ms = (limit_bytes - bytes) / growth * SECOND_MS
    full_grown_ms = max(oldest_ms + retention_ms - now_ms, 0.0)
    if left_ms <= full_grown_ms:
        return int(now_ms + left_ms)
    grown = bytes + growth * full_grown_ms / SECOND_MS
    net = growth - grown / (max(retention_ms, SECOND_MS) / SECOND_MS)
    if net <= 0 or growth * retention_ms / SECOND_MS < limit_bytes:
        return None
    return int(now_ms + full_grown_ms + (limit_bytes - grown) / net * SECOND_MS)


def disk_bytes(path: Path, journal: Path) -> int:
    """Bytes of the database at ``path`` on the disk, its write-ahead log and its journal among them."""
    return _size(path) + _size(path.with_name(f"{path.name}-wal")) + folder_bytes(journal)


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder; 0 where it is missing."""
    return sum(_size(file) for file in folder.iterdir()) if folder.is_dir() else 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # sealed in this moment
        return 0


def _family(source: str) -> str:
    return source.split(_FAMILY, 1)[0]


def _share(start_ms: int, end_ms: int, since_ms: int) -> float:
    """How much of a block lies after a moment, if its samples come evenly."""
    if start_ms >= since_ms:
        return 1.0
    return (end_ms - since_ms) / (end_ms - start_ms)
