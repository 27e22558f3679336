"""The host's own metrics: what it is, whether it can serve, and what its health checks say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from collectors.sample import Sample, make_labels
from model.host import ModelHost
from model.status import Health, ModelStatus

#: A breaker's state as ``circuit_breaker_state`` has it: its place here.
_BREAKER_STATES = ("closed", "half_open", "open")


class ModelCollector:
    """One source of samples over a :class:`ModelHost`. A machine without a model by choice yields nothing."""

    name = "model"

    def __init__(self, host: ModelHost, interval_seconds: float = 1.0) -> None:
        self._host = host
        self.interval_seconds = interval_seconds

    def collect(self) -> Iterable[Sample]:
        """Read the host's status and last verdicts; no work is done on the model."""
        if not self._host.enabled:
            return []
        status, health = self._host.status(), self._host.health()
        return [*self._model_samples(status, health), *_health_samples(health)]

    def _model_samples(self, status: ModelStatus, health: Health) -> Iterator[Sample]:
        yield Sample("up", make_labels(job=self._host.name), float(self._host.serving))
        yield Sample("model_ready", (), float(health.ready.ok))
        if status.replicas:
            yield from _replica_samples(status)
        elif status.device is not None:
            yield _info(status, status.version, status.device)
        if status.last_load_seconds is not None:
            yield Sample("model_load_duration_seconds", (), status.last_load_seconds)
        yield Sample("inference_queue_depth", (), float(status.queue_depth))
        yield Sample("inference_in_flight", (), float(status.in_flight))
        yield Sample("inference_streams_open", (), float(status.streams_open))
        # The metric is defined as 0 while nothing is pending, so an idle model is not a series that comes and goes.
        yield Sample("inference_progress_age_seconds", (), status.progress_age_seconds or 0.0)
        yield from _resilience_samples(status)
        if (share := self._host.canary.taking) is not None:
            version = make_labels(model=share[0].name, version=share[0].version)
            yield Sample("model_canary_share_ratio", version, share[1] / 100)


def _replica_samples(status: ModelStatus) -> Iterator[Sample]:
    """Where the model runs on several devices."""
    for replica in status.replicas:
        device = make_labels(device=replica.device)
        if replica.version is not None:
            yield _info(status, replica.version, replica.device)
        yield Sample("model_replica_up", device, float(replica.serving))
        yield Sample("model_replica_requests", device, float(replica.queue_depth + replica.in_flight))


def _info(status: ModelStatus, version: str, device: str) -> Sample:
    labels = make_labels(model=status.model, version=version, device=device, dtype=status.dtype or "unknown")
    return Sample("model_info", labels, 1.0)


def _resilience_samples(status: ModelStatus) -> Iterator[Sample]:
    """What stands between requests and the model."""
    if status.device is not None:
        version = make_labels(model=status.model, version=status.version)
        yield Sample("circuit_breaker_state", version, float(_BREAKER_STATES.index(status.breaker)))
    yield Sample("inference_brownout_level", (), status.brownout_level)
    if status.latency_drift_ratio is not None:
        yield Sample("inference_latency_drift_ratio", (), status.latency_drift_ratio)
    if (cache := status.cache) is not None:
        yield Sample("inference_cache_hits_total", (), float(cache.hits))
        yield Sample("inference_cache_misses_total", (), float(cache.misses))
        yield Sample("inference_cache_evictions_total", (), float(cache.evictions))
        yield Sample("inference_cache_entries", (), float(cache.entries))
        yield Sample("inference_cache_bytes", (), float(cache.bytes))


def _health_samples(health: Health) -> Iterator[Sample]:
    yield Sample("health_ready", (), float(health.ready.ok))
    for check in (health.live, health.startup, health.ready):
        yield Sample("health_check_up", make_labels(check=check.name), float(check.ok))
    for name, finding in health.checks.items():
        if finding != "absent":
            yield Sample("health_check_up", make_labels(check=name), float(finding))
