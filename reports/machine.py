"""What the machine did in a period: GPU hours, energy, memory, and the windows in which something was short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from collectors.sample import Labels
from reports.curve import STEP_SECONDS, Asker, Curves, Values, growth, mean, peak, share

#: The series that is there whenever Wakeless runs.
ALIVE = "process_resident_memory_bytes"
_JOULES = 3_600_000.0  # of a kilowatt hour
#: From here on a window's mean means that a thing has no more to give.
GPU_BUSY, GPU_IDLE, DISK_BUSY = 0.9, 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. ``hours`` is its utilisation summed up; ``utilisation`` the mean, and ``busy`` the share of windows at
    90 % and more, both over what is ``covered``. Bytes are None where they are not known.
    """

    gpu: str
    name: str
    hours: float
    utilisation: float
    busy: float
    covered: float
    memory_peak_bytes: float | None
    memory_bytes: float | None


@dataclass(frozen=True, slots=True)
class Energy:
    """Kilowatt hours of all GPUs, by the board's own counter or, without one, by its power summed up."""

    kwh: float
    by: Literal["counter", "power"]
    covered: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Shares of the covered windows in which something was short, each with what it rests on; None is not known."""

    gpu_busy: float | None = None
    waiting: float | None = None
    waiting_gpu_idle: float | None = None
    waiting_cpu: float | None = None
    waiting_batch: float | None = None
    disk: str | None = None
    disk_busy: float | None = None
    memory_peak: float | None = None
    cpu_mean: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """``vram`` are the bytes that each GPU held in each window at most, for forecasts and charts."""

    covered: float
    gpus: tuple[Gpu, ...]
    energy: Energy | None
    squeeze: Squeeze
    vram: Curves
    vram_sizes: Curves


def machine(asker: Asker, price_per_kwh: float) -> Machine:
    """All of it, for the windows of ``asker``."""
    alive = _any(asker.curves("count", ALIVE), asker.grid.count)
    loads = asker.curves("avg", "gpu_utilization_ratio")
    used = asker.curves("max", "gpu_memory_used_bytes")
    sizes = asker.curves("max", "gpu_memory_total_bytes")
    return Machine(
        covered=float(np.mean(alive)) if len(alive) else 0.0,
        gpus=tuple(_gpu(labels, values, used, sizes) for labels, values in sorted(loads.items())),
        energy=_energy(asker, price_per_kwh),
        squeeze=_squeeze(asker, loads),
        vram=used,
        vram_sizes=sizes,
    )


def _gpu(labels: Labels, load: Values, used: Curves, sizes: Curves) -> Gpu:
    there = np.isfinite(load)
    named = dict(labels)
    return Gpu(
        gpu=named.get("gpu", ""),
        name=named.get("name", ""),
        hours=float(np.sum(load[there])) * STEP_SECONDS / 3600,
        utilisation=mean(load) or 0.0,
        busy=share(load >= GPU_BUSY, there),
        covered=float(np.mean(there)),
        memory_peak_bytes=peak(used[labels]) if labels in used else None,
        memory_bytes=peak(sizes[labels]) if labels in sizes else None,
    )


def _energy(asker: Asker, price_per_kwh: float) -> Energy | None:
    """By the counter where there is one; a gap does not hide what it counted meanwhile."""
    by: Literal["counter", "power"] = "counter"
    curves = asker.curves("max", "gpu_energy_joules_total")
    if curves:
        joules = sum(asker.increase("gpu_energy_joules_total").values())
    else:
        by, curves = "power", asker.curves("avg", "gpu_power_watts")
        joules = sum(float(np.nansum(values)) for values in curves.values()) * STEP_SECONDS
    if not curves:
        return None
    kwh = joules / _JOULES
    covered = float(np.mean(_any(curves, asker.grid.count)))
    return Energy(kwh, by, covered, kwh * price_per_kwh if price_per_kwh else None)


def _squeeze(asker: Asker, loads: Curves) -> Squeeze:
    count = asker.grid.count
    gpu, cpu = _mean_of(loads, count), _mean_of(asker.curves("avg", "cpu_utilization_ratio"), count)
    queue = _mean_of(asker.curves("avg", "inference_queue_depth"), count)
    waiting = queue >= 1
    known = np.isfinite(queue)
    disk, disk_busy = _disk(asker)
    memory = _ratio(asker.curves("max", "memory_used_bytes"), asker.curves("max", "memory_total_bytes"))
    crowd, both = waiting & np.isfinite(gpu), known & np.isfinite(gpu)
    stalled = crowd & (gpu < GPU_IDLE)
    return Squeeze(
        gpu_busy=share(gpu >= GPU_BUSY, np.isfinite(gpu)) if np.isfinite(gpu).any() else None,
        waiting=share(waiting, known) if known.any() else None,
        waiting_gpu_idle=share(stalled, both) if both.any() else None,
        waiting_cpu=mean(cpu[stalled]),
        waiting_batch=_batch(asker, waiting) if waiting.any() else None,
        disk=disk,
        disk_busy=disk_busy,
        memory_peak=memory,
        cpu_mean=mean(cpu),
    )


def _disk(asker: Asker) -> tuple[str | None, float | None]:
    """The disk that was busy most often, and the share of windows in which it was."""
    found: list[tuple[float, str]] = []
    for labels, highs in asker.curves("max", "disk_io_time_seconds_total").items():
        load = growth(highs) / STEP_SECONDS
        known = np.isfinite(load)
        if known.any():
            found.append((share(load >= DISK_BUSY, known), dict(labels).get("device", "")))
    if not found:
        return None, None
    busy, device = max(found)
    return device, busy


def _batch(asker: Asker, waiting: npt.NDArray[np.bool_]) -> float | None:
    """Inputs in one pass, on average, while others waited."""
    inputs = _growth_of(asker.curves("max", "inference_batch_size_sum"), asker.grid.count)
    passes = _growth_of(asker.curves("max", "inference_batch_size_count"), asker.grid.count)
    counted = waiting & np.isfinite(inputs) & np.isfinite(passes)
    total = float(np.sum(passes[counted]))
    return float(np.sum(inputs[counted])) / total if total else None


def _growth_of(curves: Curves, count: int) -> Values:
    rises = [growth(highs) for highs in curves.values()]
    if not rises:
        return np.full(count, np.nan)
    known = np.any(np.isfinite(rises), axis=0)
    return np.where(known, np.nansum(rises, axis=0), np.nan)


def _ratio(parts: Curves, wholes: Curves) -> float | None:
    """The largest share that a part has of its whole."""
    found = [peak(values / wholes[labels]) for labels, values in parts.items() if labels in wholes]
    return max((one for one in found if one is not None), default=None)


def _any(curves: Curves, count: int) -> npt.NDArray[np.bool_]:
    """The windows in which any of them has a sample."""
    if not curves:
        return np.zeros(count, dtype=bool)
    found: npt.NDArray[np.bool_] = np.any(np.isfinite(list(curves.values())), axis=0)
    return found


def _mean_of(curves: Curves, count: int) -> Values:
    """The mean of several in each window, shape (windows,)."""
    if not curves:
        return np.full(count, np.nan)
    rows = np.array(list(curves.values()))
    known = np.isfinite(rows)
    return np.where(known.any(axis=0), np.nansum(rows, axis=0) / np.maximum(known.sum(axis=0), 1), np.nan)
