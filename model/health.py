"""Turn what is known about the host into verdicts. Pure: it runs on every health request and does no work."""

from __future__ import annotations

from dataclasses import dataclass

from config import HealthSettings, ModelSettings
from model.examiner import Examination
from model.state import Standing
from model.status import Check, Finding, Health

_HINTS = {
    "disabled": "Set model.enabled to true to host a model.",
    "model_loading": "Wait for the load to end.",
    "model_reloading": "Wait for the reload to end: two instances do not fit into the GPU's memory.",
    "draining": "The server is stopping; send requests elsewhere.",
    "stopped": "The server has stopped.",
}


_REST = "Requests are kept off the model, and tried again a few at a time; the log has what the failed ones raised."


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """A breaker that is not closed: why, whether requests are kept off, and whether golden inputs can prove it well."""

    reason: str
    open: bool
    golden: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a verdict may rest on, read at one moment."""

    now_ms: int
    standing: Standing
    #: Whether an instance is there to take batches.
    serving: bool
    #: Whether that instance runs on a GPU; ``None`` while no device has been chosen.
    on_gpu: bool | None
    examination: Examination | None
    #: How long pending work has seen no progress.
    age_seconds: float | None
    #: ``None`` while the breaker is closed.
    breaker: BreakerFacts | None = None


def judge(facts: Facts, model: ModelSettings, health: HealthSettings) -> Health:
    """All verdicts. ``live`` fails only for what a restart would mend, ``ready`` when traffic should go elsewhere."""
    memory = facts.examination.memory if facts.examination else None
    return Health(
        live=_live(facts, health.stall_seconds),
        startup=_startup(facts),
        ready=_ready(facts, health),
        # Whether the process does its other work is not known here: /health puts its own verdict in this place.
        checks={"api": True, "model": _model(facts, model, health), "gpu": _gpu(facts, model, health)},
        gpu_memory=memory.as_gb() if memory else None,
    )


def cannot_serve(standing: Standing, serving: bool) -> tuple[str, str | None] | None:
    """``(reason, suggestion)`` why no request can be taken in this state, or ``None``."""
    if serving and standing.state in ("ready", "reloading"):
        return None
    reason = standing.reason or {"loading": "model_loading", "reloading": "model_reloading"}.get(
        standing.state, standing.state
    )
    return reason, standing.suggestion or _HINTS.get(reason)


def _live(facts: Facts, stall_seconds: float) -> Check:
    fatal, age = facts.standing.fatal, facts.age_seconds
    if fatal is not None:
        return _failed("live", facts.now_ms, fatal, "Only a new process helps; the supervisor starts one.")
    # While a reload pauses the service, requests wait on purpose.
    if age is not None and age > stall_seconds and facts.standing.state not in ("loading", "reloading"):
        return _failed(
            "live",
            facts.now_ms,
            f"stalled: no progress for {age:.0f}s",
            "A batch takes too long or hangs: restart the process, and look at the last requests.",
        )
    return _passed("live", facts.now_ms)


def _startup(facts: Facts) -> Check:
    standing = facts.standing
    if standing.loaded_once or standing.state == "disabled":
        return _passed("startup", standing.since_ms)
    reason = standing.reason or standing.state
    return _failed("startup", standing.since_ms, reason, standing.suggestion or _HINTS.get(reason))


def _ready(facts: Facts, health: HealthSettings) -> Check:
    standing, found = facts.standing, facts.examination
    if (obstacle := cannot_serve(standing, facts.serving)) is not None:
        return _failed("ready", standing.since_ms, *obstacle)
    # Half-open, a model without golden inputs can prove itself on requests alone: they have to come again.
    if facts.breaker is not None and (facts.breaker.open or facts.breaker.golden):
        return _failed("ready", facts.now_ms, facts.breaker.reason, _REST)
    if found is None:
        return _passed("ready", standing.since_ms)
    if found.reason is not None:
        return _failed("ready", found.checked_ms, found.reason, found.suggestion, found.seconds)
    if found.memory is not None and found.memory.available < health.min_free_gpu_bytes:
        return _failed(
            "ready",
            found.checked_ms,
            f"insufficient_gpu_memory: {found.memory.available / 1e9:.1f}GB free",
            "Stop other programs on the GPU, reload the model, or lower health.min_free_gpu_bytes.",
            found.seconds,
        )
    return _passed("ready", found.checked_ms, found.seconds)


def _model(facts: Facts, model: ModelSettings, health: HealthSettings) -> Finding:
    """Whether the model can answer; a machine that is only watched has none. Draining is no fault of the model."""
    if facts.standing.state == "disabled" and not model.enabled:
        return "absent"
    if facts.standing.fatal or not facts.serving or facts.standing.state == "failed":
        return False
    if not _live(facts, health.stall_seconds).ok or (facts.breaker is not None and facts.breaker.open):
        return False
    return facts.examination is None or facts.examination.model_ok


def _gpu(facts: Facts, model: ModelSettings, health: HealthSettings) -> Finding:
    places = model.devices or [model.device]
    required = model.enabled and (health.require_gpu or any(place.startswith("cuda") for place in places))
    if not facts.on_gpu:
        return False if required else "absent"
    if facts.standing.fatal:
        return False
    return facts.examination is None or facts.examination.gpu_ok is not False


def _passed(name: str, checked_ms: int, seconds: float = 0.0) -> Check:
    return Check(name, True, None, None, checked_ms, seconds)


def _failed(name: str, checked_ms: int, reason: str, suggestion: str | None, seconds: float = 0.0) -> Check:
    return Check(name, False, reason, suggestion, checked_ms, seconds)
