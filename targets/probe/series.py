"""The series that a probe writes."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.sample import Sample, make_labels
from targets.probe.flip import State
from targets.probe.outcome import Outcome

#: A label's value is no longer than this.
MAX_REASON = 200


def verdict(target: str, probe: str, state: State, reason: str) -> Iterator[Sample]:
    """What its state amounts to; of one that is unknown there is no ``probe_up``, and of one that is well no reason."""
    own = make_labels(target=target, probe=probe)
    if state != "unknown":
        yield Sample("probe_up", own, float(state == "up"))
    if state != "up" and reason:
        name = "probe_down_info" if state == "down" else "probe_unknown_info"
        yield Sample(name, make_labels(target=target, probe=probe, reason=reason[:MAX_REASON]), 1.0)


def looked(target: str, probe: str, outcome: Outcome) -> Iterator[Sample]:
    """What the last look brought."""
    if outcome.success is None:
        return
    own = make_labels(target=target, probe=probe)
    yield from succeeded(target, probe, outcome.success)
    yield Sample("probe_duration_seconds", own, outcome.duration_seconds)
    for phase, seconds in outcome.phases.items():
        if seconds:  # without TLS there was no handshake
            yield Sample("probe_http_duration_seconds", make_labels(target=target, phase=phase), seconds)
    if outcome.status is not None:
        yield Sample("probe_http_status_code", make_labels(target=target), float(outcome.status))


def certified(target: str, probe: str, ends_ms: int, warn_seconds: float | None) -> Iterator[Sample]:
    """When the certificate expires, and how long before that to warn."""
    own = make_labels(target=target, probe=probe)
    yield Sample("probe_ssl_earliest_cert_expiry", own, ends_ms / 1000)
    if warn_seconds is not None:
        yield Sample("probe_ssl_warn_seconds", own, warn_seconds)


def succeeded(target: str, probe: str, success: bool) -> Iterator[Sample]:
    """Whether the last look, or sign of life, was well."""
    yield Sample("probe_success", make_labels(target=target, probe=probe), float(success))


def signed(target: str, seen_ms: int) -> Iterator[Sample]:
    """When the last sign of life came, if ever."""
    if seen_ms:
        yield Sample("push_last_timestamp_seconds", make_labels(target=target), seen_ms / 1000)
