"""What this process costs, and the values that other rooms hand in about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import psutil

from collectors.sample import Labels, Sample, make_labels

#: Reads one gauge: a number, a number for each label set, or None while there is nothing to read.
Gauge = Callable[[], float | Mapping[Labels, float] | None]


class ProcessCollector:
    """Reads this process from /proc, and gauges, restarts and the crash loop from callables."""

    def __init__(
        self,
        *,
        gauges: Mapping[str, Gauge] | None = None,
        restarts: Callable[[], Mapping[str, int]] = dict,
        crash_loop: Callable[[], bool] | None = None,
        interval_seconds: float = 1.0,
        process: psutil.Process | None = None,
    ) -> None:
        self.name = "process"
        self.interval_seconds = interval_seconds
        self._gauges = dict(gauges or {})
        self._restarts = restarts
        self._crash_loop = crash_loop
        self._process = process or psutil.Process()
        self._started = self._process.create_time()

    def collect(self) -> Iterable[Sample]:
        """All values of this moment; a gauge that answers None is left out."""
        yield from self._own()
        for name, read in self._gauges.items():
            value = read()
            if isinstance(value, Mapping):
                for labels in sorted(value):
                    yield Sample(name, labels, float(value[labels]))
            elif value is not None:
                yield Sample(name, (), float(value))
        for reason, count in sorted(self._restarts().items()):
            yield Sample("process_restarts_total", make_labels(reason=reason), float(count))
        if self._crash_loop is not None:
            yield Sample("crash_loop_tripped", (), float(self._crash_loop()))

    def _own(self) -> Iterable[Sample]:
        process = self._process
        with process.oneshot():
            times = process.cpu_times()
            yield Sample("process_resident_memory_bytes", (), float(process.memory_info().rss))
            yield Sample("process_cpu_seconds_total", (), times.user + times.system)
            yield Sample("process_open_fds", (), float(process.num_fds()))
            yield Sample("process_threads", (), float(process.num_threads()))
            yield Sample("process_start_time_seconds", (), self._started)
