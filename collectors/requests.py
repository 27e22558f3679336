"""The instruments of this process: HTTP requests and inferences, counted where they happen and read once a tick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from threading import Lock
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector as PrometheusCollector

from collectors.sample import Labels, Sample

#: Upper bounds of duration buckets, in seconds.
DURATION_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0),
)
BATCH_BUCKETS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
OUTCOMES = (
    *("ok", "bad_input", "rejected", "timeout", "canceled", "oom", "error", "cached"),
    *("fallback", "stale", "default"),  # what stood in for the model's answer
)
#: Why a model is reloaded by itself, as model.remedy has it.
RELOAD_CAUSES = ("breaker_open", "golden_failed", "leak", "drift")
#: Why, and of which priority, requests are refused before they reach the queue.
PRIORITIES = ("high", "normal", "low")
REASONS = ("queue_full", "shed", "overload", "deadline")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

#: What stands for a route that no view has, and for anything past the limits below.
UNMATCHED = "(unmatched)"
OTHER = "(other)"
#: Most distinct values of a label that comes from outside; one more becomes ``(other)``.
MAX_ROUTES = 256
MAX_CLASSES = 256


class _Series(NamedTuple):
    """Where the requests of one version with one outcome are counted."""

    requests: Counter
    total: Histogram
    queue: Histogram
    compute: Histogram


class Meters:
    """Counters, gauges and histograms of this process. Every method may be called by any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        request = ["model", "version"]
        self.http_active = self._gauge("http_server_active_requests", "Requests being answered now.")
        self._http = self._histogram("http_server_request_duration_seconds", ["method", "route", "status"])
        self._requests = self._counter("inference_requests_total", [*request, "outcome"])
        self._total = self._histogram("inference_request_duration_seconds", request)
        self._queue = self._histogram("inference_queue_duration_seconds", request)
        self._compute = self._histogram("inference_compute_duration_seconds", request)
        self._batch = self._histogram("inference_batch_size", [], BATCH_BUCKETS)
        self._results = self._counter("inference_results_total", ["model", "class"])
        self._reloads = self._counter("model_reloads_total", ["reason", "result"])
        self._rejections = self._counter("inference_rejections_total", ["priority", "reason"])
        for priority, reason in product(PRIORITIES, REASONS):  # at 0, so that increase() counts the first of each
            self._rejections.labels(priority, reason)
        self._steps = self._counter("inference_stream_steps_total", [])
        self._routes = _Limit(MAX_ROUTES)
        self._classes = _Limit(MAX_CLASSES)
        self._lock = Lock()
        self._announced: set[tuple[str, str]] = set()
        self._series: dict[tuple[str, str, str], _Series] = {}
        #: Grows with every change, so that an unchanged set of meters need not be read again.
        self.changes = 0

    def http(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count an answered request. ``route`` is the view's pattern, None when no view matched."""
        method = method if method in METHODS else OTHER
        route = self._routes.admit(route) if route else UNMATCHED
        code = str(status) if 100 <= status <= 599 else OTHER
        self._http.labels(method, route, code).observe(max(seconds, 0.0))
        self._changed()

    def announce(self, model: str, version: str) -> None:
        """Begin all outcome series of a model at 0, so that ``increase()`` counts the first of each."""
        with self._lock:
            if (model, version) in self._announced:
                return
            self._announced.add((model, version))
        for outcome in OUTCOMES:
            self._requests.labels(model, version, outcome)
        for reason in RELOAD_CAUSES:
            for result in ("ok", "failed"):
                self._reloads.labels(reason, result)
        for histogram in (self._total, self._queue, self._compute):
            histogram.labels(model, version)
        self._changed()

    def finished(
        self,
        outcome: str,
        *,
        model: str,
        version: str,
        total_seconds: float,
        queue_seconds: float | None,
        compute_seconds: float | None,
        result_class: str | None,
    ) -> None:
        """Count an inference request by how it ended. A time that does not apply is None.

        Raises ``ValueError`` for an outcome that METRICS does not name.
        """
        series = self._series.get((model, version, outcome)) or self._open(model, version, outcome)
        series.requests.inc()
        series.total.observe(max(total_seconds, 0.0))
        if queue_seconds is not None:
            series.queue.observe(max(queue_seconds, 0.0))
        if compute_seconds is not None:
            series.compute.observe(max(compute_seconds, 0.0))
        if result_class is not None:
            self._results.labels(model, self._classes.admit(result_class)).inc()
        self._changed()

    def _open(self, model: str, version: str, outcome: str) -> _Series:
        """Look the series of an outcome up, once: that takes longer than all else that a request costs here."""
        if outcome not in OUTCOMES:
            raise ValueError(f"unknown outcome {outcome!r}; known are {', '.join(OUTCOMES)}")
        self.announce(model, version)
        key = model, version
        found = self._series[*key, outcome] = _Series(
            self._requests.labels(*key, outcome),
            self._total.labels(*key),
            self._queue.labels(*key),
            self._compute.labels(*key),
        )
        return found

    def batch(self, size: int) -> None:
        """Count a forward pass over ``size`` inputs."""
        self._batch.observe(size)
        self._changed()

    def reloaded(self, reason: str, result: str) -> None:
        """Count a reload of the model."""
        self._reloads.labels(reason, result).inc()
        self._changed()

    def rejected(self, priority: str, reason: str) -> None:
        """Count a request that was refused at the queue's door."""
        self._rejections.labels(priority, reason).inc()
        self._changed()

    def streamed(self, steps: int) -> None:
        """Count the steps of a stream."""
        self._steps.inc(steps)
        self._changed()

    def _changed(self) -> None:
        with self._lock:
            self.changes += 1

    def _counter(self, name: str, labels: Sequence[str]) -> Counter:
        return Counter(name, name, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=None)

    def _histogram(self, name: str, labels: Sequence[str], buckets: Sequence[float] = DURATION_BUCKETS) -> Histogram:
        return Histogram(name, name, labels, buckets=buckets, registry=self.registry)


class RequestCollector:
    """Reads the meters. While nothing happens this costs next to nothing: the last samples are still true."""

    def __init__(self, meters: Meters, interval_seconds: float = 1.0) -> None:
        self.name = "requests"
        self.interval_seconds = interval_seconds
        self._meters = meters
        self._seen = -1
        self._samples: list[Sample] = []
        self._labels: dict[tuple[tuple[str, str], ...], Labels] = {}

    def collect(self) -> Iterable[Sample]:
        """All samples, in the order in which the instruments and their label sets came to be."""
        changes = self._meters.changes
        if changes != self._seen:
            self._samples = list(self._read(self._meters.registry))
            self._seen = changes
        return [*self._read(self._meters.http_active), *self._samples]

    def _read(self, source: CollectorRegistry | PrometheusCollector) -> Iterable[Sample]:
        for family in source.collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    yield Sample(sample.name, self._sorted(sample.labels), float(sample.value))

    def _sorted(self, labels: dict[str, str]) -> Labels:
        """The label set as a sorted tuple, the same object each time."""
        key = tuple(labels.items())
        known = self._labels.get(key)
        if known is None:
            known = self._labels[key] = tuple(sorted(key))
        return known


class _Limit:
    """Lets a bounded number of distinct values through."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: set[str] = set()
        self._lock = Lock()

    def admit(self, value: str) -> str:
        """The value itself while there is room for it, else ``(other)``."""
        if value in self._known:
            return value
        with self._lock:
            if len(self._known) < self._size:
                self._known.add(value)
        return value if value in self._known else OTHER
