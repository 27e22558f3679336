"""What the devices of the benchmark's machine count and measure, at the resolution at which real ones tell it.

Each class goes through time in pieces of ``n`` ticks and goes on where the last piece ended: counters never jump, drift
never breaks. All take ``load``, the machine's load between 0 and 1 at each tick, shape (n,), and ``elapsed``, the
seconds since the tick before, shape (n,). They return ``float64`` of shape (series, n), in the order of their ``KEYS``.
"""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from collectors.sample import Labels, Values, make_labels

Key = tuple[str, Labels]
Integers = NDArray[np.int64]

CORES = 10
GPUS = 8
MODES = ("user", "system", "iowait", "softirq", "idle")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
#: The series of one histogram, by the end of their name.
PARTS: tuple[tuple[str, dict[str, str]], ...] = (
    *(("bucket", {"le": "+Inf" if edge == math.inf else f"{edge:g}"}) for edge in BOUNDS),
    *(("count", {}), ("sum", {})),
)


class Drift:
    """The mean of the newest ``width`` values, from one piece to the next."""

    def __init__(self, width: int, rng: Generator, spread: float = 0.0) -> None:
        self._width = max(1, width)
        self._tail = rng.normal(0.0, spread, self._width - 1)

    def mean(self, values: Values) -> Values:
        """Of ``values``, shape (n,), the running mean, shape (n,)."""
        joined = np.concatenate([self._tail, values])
        self._tail = joined[len(values) :]
        total = np.cumsum(np.concatenate([[0.0], joined]))
        running: Values = (total[self._width :] - total[: -self._width]) / self._width
        return running

    def noise(self, n: int, rng: Generator) -> Values:
        """Noise that wanders: normal, spread 1, correlated over ``width`` ticks."""
        return self.mean(rng.normal(size=n)) * math.sqrt(self._width)


class Counter:
    """Integers that only grow, shape (rows, n), from one piece to the next."""

    def __init__(self, start: Integers) -> None:
        self._last = start

    def add(self, steps: Integers) -> Integers:
        """The counters after each tick."""
        counted: Integers = np.cumsum(steps, axis=1, dtype=np.int64) + self._last[:, None]
        self._last = counted[:, -1]
        return counted


class Gpu:
    """One GPU that serves in bursts, as NVML tells it through our collector.

    Utilisation in whole percent; temperature in whole degrees behind some minutes of heat; power in mW, restless by
    watts under load and by tenths of a watt at rest; energy in mJ, which is what was really drawn between two ticks
    and not the reading times the interval; memory in blocks of 2 MiB, as an allocator takes it; clocks in steps of
    15 MHz; PCIe throughput of 20 ms windows, in KiB/s, which is noise.
    """

    NAMES = (
        *("gpu_utilization_ratio", "gpu_memory_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_free_bytes"),
        *("gpu_temperature_celsius", "gpu_power_watts", "gpu_energy_joules_total", "gpu_fan_speed_ratio"),
    )
    TOTAL = 85_899_345_920
    RESERVED = 524_288_000

    def __init__(self, number: int, interval: float, rng: Generator) -> None:
        uuid = f"GPU-{number:08x}-4c0d-11ef-9a3b-0242ac120002"
        self.labels = make_labels(gpu=number, name="NVIDIA H100 80GB HBM3", uuid=uuid)
        self._busy = rng.uniform(0.8, 1.2)
        self._level = rng.uniform(70, 90)
        self._heat = Drift(round(120 / interval), rng)
        self._energy = Counter(rng.integers(10**9, 10**12, 1))
        self._blocks = Counter(np.array([0]))
        self._weights = int(rng.integers(8_000, 30_000))

    @property
    def keys(self) -> list[Key]:
        clocks = [("gpu_clock_hertz", tuple(sorted((*self.labels, ("clock", one))))) for one in ("sm", "memory")]
        return [*((name, self.labels) for name in self.NAMES), *clocks]

    @property
    def bus_keys(self) -> list[Key]:
        return [(f"gpu_pcie_{way}_bytes_per_second", self.labels) for way in ("transmit", "receive")]

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> tuple[Values, Values]:
        """The ten series of ``keys`` and the two of ``bus_keys``."""
        n = len(load)
        busy = rng.random(n) < load * self._busy
        used = np.where(busy, np.clip(np.round(rng.normal(self._level, 12, n)), 1, 100), 0.0)
        copying = np.where(busy, np.clip(np.round(used * 0.6 + rng.normal(0, 2, n)), 0, 100), 0.0)
        drawn = 68.0 + 5.2 * used + rng.normal(0, 2, n) * busy
        reading = np.round(1000 * (drawn + rng.normal(0, 1, n) * np.where(busy, 6.0, 0.2)))
        heat = np.round(26 + 0.085 * self._heat.mean(drawn) + rng.normal(0, 0.4, n))
        energy = self._energy.add(np.round(1000 * drawn * elapsed).astype(np.int64)[None])[0]
        fan = np.clip(np.round(30 + 1.5 * (heat - 45)), 30, 100)
        steps = rng.integers(-3, 4, n) * (rng.random(n) < 0.05)
        memory = (self._weights + self._blocks.add(steps[None])[0] % 400) * 2_097_152.0
        clock = np.where(busy, 1980 - 15 * np.minimum(rng.geometric(0.6, n) - 1, 6), 345) * 1e6
        rows = [used * 0.01, copying * 0.01, memory, self.TOTAL - self.RESERVED - memory, heat]
        rows += [reading * 0.001, energy * 0.001, fan * 0.01, clock, np.full(n, 2619e6)]
        bus = [np.floor(np.where(busy, rng.gamma(2, size, n), rng.gamma(1, 50, n))) * 1024 for size in (2e3, 5e3)]
        return np.array(rows), np.array(bus)


class Processors:
    """Jiffies (1/100 s) per core and mode, as the kernel counts them: what is not busy is idle, to the jiffy."""

    KEYS = tuple(
        ("cpu_seconds_total", make_labels(core=core, mode=mode)) for core, mode in product(range(CORES), MODES)
    )

    def __init__(self, rng: Generator) -> None:
        self._jiffies = Counter(rng.integers(10**5, 10**8, len(self.KEYS)))
        self._share = rng.uniform(0.3, 0.7, CORES)
        self._owed = rng.random(CORES)

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        n = len(load)
        steps = np.empty((CORES, len(MODES), n), dtype=np.int64)
        for core in range(CORES):
            due = self._owed[core] + np.cumsum(elapsed * 100)
            self._owed[core] = due[-1] % 1
            total = np.diff(np.floor(due), prepend=0.0).astype(np.int64)
            user = rng.binomial(total, np.clip(load * self._share[core] * rng.gamma(4, 0.25, n), 0, 0.98))
            system = rng.binomial(total - user, np.clip(0.05 * rng.gamma(4, 0.25, n), 0, 1))
            left = total - user - system
            iowait = np.minimum(left, (rng.random(n) < 0.02) * rng.integers(0, 20, n))
            softirq = rng.binomial(left - iowait, 0.001 + 0.002 * load)
            steps[core] = user, system, iowait, softirq, left - iowait - softirq
        counted: Values = self._jiffies.add(steps.reshape(-1, n)) / 100
        return counted


class Networks:
    """Bytes and packets of two cards: packets come in bursts and in all sizes up to a full frame."""

    KEYS = tuple(
        (f"network_{way}_{what}_total", make_labels(device=device))
        for device in ("eth0", "eth1")
        for way in ("receive", "transmit")
        for what in ("packets", "bytes")
    )

    def __init__(self, rng: Generator) -> None:
        self._counters = Counter(rng.integers(10**9, 10**12, len(self.KEYS)))

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        n, steps = len(load), []
        for rate in (400, 300, 40, 30):
            packets = rng.poisson((2 + rate * load * rng.gamma(3, 1 / 3, n)) * elapsed)
            steps += [packets, np.floor(packets * rng.uniform(120, 1400, n))]
        return self._counters.add(np.array(steps).astype(np.int64)).astype(np.float64)


class Disks:
    """Two disks that mostly write: whole operations, bytes in blocks of 4 KiB, milliseconds of work, a file system."""

    KEYS = tuple(
        (name, make_labels(device=f"nvme{disk}n1"))
        for disk in range(2)
        for name in (
            *("disk_writes_completed_total", "disk_written_bytes_total", "disk_reads_completed_total"),
            *("disk_read_bytes_total", "disk_io_time_seconds_total", "filesystem_used_bytes"),
        )
    )

    def __init__(self, rng: Generator) -> None:
        self._counters = Counter(rng.integers(10**6, 10**9, 12) * np.array([1, 4096, 1, 4096, 1, 4096] * 2))

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        n, steps = len(load), []
        for _ in range(2):
            writes = rng.poisson((1 + 4 * load * rng.gamma(2, 0.5, n)) * elapsed)
            reads = rng.poisson(0.1 * elapsed)
            written, read = (4096 * np.floor(some * rng.gamma(2, 8, n)) for some in (writes, reads))
            work = np.floor(np.minimum(writes * rng.gamma(3, 0.3, n) + reads * 0.1, 1000 * elapsed))
            kept = written * (rng.random(n) < 0.3) - (rng.random(n) < 0.02) * 4096 * rng.integers(0, 4000, n)
            steps += [writes, written, reads, read, work, kept]
        counted = self._counters.add(np.array(steps).astype(np.int64)).astype(np.float64)
        counted[4::6] /= 1000
        return counted


class Requests:
    """Latency histograms of two routes; a sum of float seconds, so full of digits. Counters begin anew on a restart."""

    KEYS = tuple(
        (f"http_server_request_duration_seconds_{part}", make_labels(method=method, route=route, status=200, **bound))
        for (method, route), (part, bound) in product((("POST", "/predict"), ("GET", "/health")), PARTS)
    )
    RESTART_TICKS = 120_000  #: about a week

    def __init__(self) -> None:
        self._width = len(BOUNDS) + 1
        self._counts = Counter(np.zeros(2 * self._width, dtype=np.int64))
        self._sums = np.zeros(2)
        self._ticks = 0

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        """As for all, but a restart inside the piece sets everything back to nothing."""
        restart = (self._ticks // self.RESTART_TICKS + 1) * self.RESTART_TICKS - self._ticks
        self._ticks += len(load)
        if restart >= len(load):
            return self._count(load, elapsed, rng)
        before = self._count(load[:restart], elapsed[:restart], rng)
        self._counts = Counter(np.zeros(2 * self._width, dtype=np.int64))
        self._sums = np.zeros(2)
        return np.concatenate([before, self._count(load[restart:], elapsed[restart:], rng)], axis=1)

    def _count(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        steps, sums = [], []
        for rate, middle in ((20.0, 0.08), (1.0, 0.004)):
            came = rng.poisson((0.05 + rate * load) * elapsed)
            centre = np.log(middle) + 0.8 * load  # the busier, the slower
            steps.append(self._buckets(came, centre, rng))
            steps.append(came[None])
            took = rng.gamma(np.maximum(came, 1e-9) * 1.4, np.exp(centre + 0.32) / 1.4)
            sums.append(np.where(came > 0, took, 0.0))
        counted = self._counts.add(np.concatenate(steps)).astype(np.float64)
        totals = np.cumsum(np.concatenate([self._sums[:, None], np.array(sums)], axis=1), axis=1)[:, 1:]
        self._sums = totals[:, -1]
        rows = [counted[: self._width], totals[:1], counted[self._width :], totals[1:]]
        return np.concatenate(rows)

    def _buckets(self, came: Integers, centre: Values, rng: Generator) -> Integers:
        """How many of each tick's requests, log-logistic with a long tail, took no longer than each bound."""
        below = [1 / (1 + np.exp((centre - math.log(edge)) / 0.4)) for edge in BOUNDS[:-1]]
        edges = [np.zeros_like(centre), *below, np.ones_like(centre)]
        shares = np.array([high - low for low, high in pairwise(edges)]).T
        found: Integers = np.cumsum(rng.multinomial(came, shares), axis=1).T
        return found


class Ups:
    """Whether each of six jobs answers: always, but for a minute every few days."""

    KEYS = tuple(("up", make_labels(job=job)) for job in ("api", "worker", "search", "store", "mail", "wakeless"))

    def advance(self, load: Values, elapsed: Values, rng: Generator) -> Values:
        n = len(load)
        begins = rng.random((len(self.KEYS), n)) < elapsed / 250_000
        down: Values = np.cumsum(begins, axis=1) - np.cumsum(np.roll(begins, 12, axis=1) * (np.arange(n) >= 12), axis=1)
        return np.where(down > 0, 0.0, 1.0)
