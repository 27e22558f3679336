"""What several replicas are together: one standing, one status, one set of verdicts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model.breaker import BreakerState
from model.health import cannot_serve
from model.state import Standing
from model.status import Check, Finding, Health, ModelStatus, Replica, State

#: Where none serves, the state that says most about what comes next is the host's.
_TELLING: Sequence[State] = ("disabled", "stopped", "draining", "reloading", "loading", "failed", "ready")
_WORST: Sequence[BreakerState] = ("closed", "half_open", "open")
_FEWER = "Requests go to the other replicas. Reload the model, or restart the process, once the cause is gone."


def standing_of(standings: Sequence[Standing], serving: Sequence[bool]) -> Standing:
    """Where the host stands: as long as one replica serves, it does; a lost process is lost whatever the others do."""
    if len(standings) == 1:
        return standings[0]
    up = [one for one, has in zip(standings, serving, strict=True) if cannot_serve(one, has) is None]
    fatal = next((one for one in standings if one.fatal is not None), None)
    # One that is loaded anew beside others shows as a reload, with its progress; the first load of one does not.
    anew = next((one for one in standings if one.state == "reloading"), None)
    lead = fatal or (up and anew) or next(iter(up), None) or min(standings, key=lambda one: _TELLING.index(one.state))
    return replace(
        lead,
        loaded_once=any(one.loaded_once for one in standings),
        last_load_seconds=max((one.last_load_seconds for one in standings if one.last_load_seconds), default=None),
    )


def status_of(statuses: Sequence[ModelStatus], replicas: Sequence[Replica], standing: Standing) -> ModelStatus:
    """The host's status; figures of queues and batches are added up, ages and breakers are the worst."""
    lead = next((one for one, replica in zip(statuses, replicas, strict=True) if replica.serving), statuses[0])
    devices = [one.device for one, replica in zip(statuses, replicas, strict=True) if replica.serving and one.device]
    worst = max(statuses, key=lambda one: _WORST.index(one.breaker))
    lack = lacking(replicas) if standing.state == "ready" else None
    return replace(
        lead,
        state=standing.state,
        reason=standing.reason or (lack and lack[0]),
        suggestion=standing.suggestion or (lack and lack[1]),
        device=", ".join(devices) or lead.device,
        since_ms=standing.since_ms,
        load_seconds=next((one.load_seconds for one in statuses if one.load_seconds is not None), None),
        last_load_seconds=standing.last_load_seconds,
        progress=standing.progress,
        queue_depth=sum(one.queue_depth for one in statuses),
        queue_size=sum(one.queue_size for one in statuses),
        in_flight=sum(one.in_flight for one in statuses),
        progress_age_seconds=_most([one.progress_age_seconds for one in statuses]),
        streams_open=sum(one.streams_open for one in statuses),
        breaker=worst.breaker,
        breaker_reason=worst.breaker_reason,
        latency_drift_ratio=_most([one.latency_drift_ratio for one in statuses]),
        replicas=tuple(replicas),
    )


def health_of(healths: Sequence[Health], devices: Sequence[str]) -> Health:
    """The host's verdicts. One replica that hangs is a process to be replaced; one that is ready is a service."""
    if len(healths) == 1:
        return healths[0]
    memories = [one.gpu_memory for one in healths if one.gpu_memory is not None]
    return Health(
        live=next((one.live for one in healths if not one.live.ok), healths[0].live),
        startup=next((one.startup for one in healths if one.startup.ok), healths[0].startup),
        ready=_ready([one.ready for one in healths], devices),
        checks={name: _any([one.checks[name] for one in healths]) for name in healths[0].checks},
        gpu_memory={key: round(sum(one[key] for one in memories), 3) for key in memories[0]} if memories else None,
    )


def lacking(replicas: Sequence[Replica]) -> tuple[str, str] | None:
    """``(reason, suggestion)`` of a service with fewer replicas than it should have; ``None`` while all serve."""
    down = [one for one in replicas if not one.serving]
    if not down or len(down) == len(replicas):
        return None
    return _fewer(len(replicas), [(one.device, one.reason or one.state) for one in down])


def _ready(checks: Sequence[Check], devices: Sequence[str]) -> Check:
    well = [check for check in checks if check.ok]
    if not well:
        return checks[0]
    ill = [(device, check.reason or "") for check, device in zip(checks, devices, strict=True) if not check.ok]
    newest = max(well, key=lambda check: check.checked_ms)
    if not ill:
        return newest
    reason, suggestion = _fewer(len(checks), ill)
    return replace(newest, reason=reason, suggestion=suggestion)


def _fewer(count: int, ill: Sequence[tuple[str, str]]) -> tuple[str, str]:
    named = "; ".join(f"{device} {reason}" for device, reason in ill)
    return f"fewer_replicas: {count - len(ill)} of {count} serve; {named}", _FEWER


def _any(findings: Sequence[Finding]) -> Finding:
    """Well as long as one is; absent where there is nothing to look at in any."""
    present = [finding for finding in findings if finding != "absent"]
    return any(present) if present else "absent"


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
