"""What the host says about itself: plain values that pages, collectors and the API read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.breaker import BreakerState
from model.cache import CacheFigures

State = Literal["disabled", "loading", "ready", "reloading", "failed", "draining", "stopped"]
#: A check passes, fails, or has nothing to look at.
Finding = bool | Literal["absent"]


@dataclass(frozen=True, slots=True)
class Replica:
    """One of several replicas of the model, at one moment. Fields as in :class:`ModelStatus`."""

    #: What it runs on, e.g. ``cuda:1``.
    device: str
    state: State
    #: Whether requests go to it.
    serving: bool
    reason: str | None
    suggestion: str | None
    progress: str | None
    #: What it serves; ``None`` while it serves nothing.
    version: str | None
    queue_depth: int
    in_flight: int
    breaker: BreakerState
    batch_limit: int | None
    warmed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The host at one moment. Times in UTC milliseconds, durations in seconds."""

    state: State
    #: Machine-readable, e.g. ``model_loading`` or ``load_failed: no_such_module shop``; in ``ready`` the error of the
    #: last reload when that failed and the old instance kept serving, or ``fewer_replicas: …``.
    reason: str | None
    suggestion: str | None
    model: str
    version: str
    device: str | None
    dtype: str | None
    since_ms: int
    #: How long the load under way has run; ``None`` while there is none.
    load_seconds: float | None
    #: How long the last complete load took; ``None`` before the first.
    last_load_seconds: float | None
    #: What a load is doing, e.g. ``warming up``; ``None`` while there is none.
    progress: str | None
    queue_depth: int
    queue_size: int
    #: Inputs in the forward pass that runs now.
    in_flight: int
    #: How long pending work has seen no progress; ``None`` while nothing is pending.
    progress_age_seconds: float | None
    streams_open: int = 0
    breaker: BreakerState = "closed"
    #: Machine-readable, e.g. ``breaker_open: 62% of 50 requests failed``; ``None`` while closed.
    breaker_reason: str | None = None
    #: How much lighter inputs are made, 0 to 1.
    brownout_level: float = 0.0
    #: How many times as long batches take as at best; ``None`` before there were enough.
    latency_drift_ratio: float | None = None
    #: ``None`` where nothing is cached.
    cache: CacheFigures | None = None
    #: Most inputs that go into one batch, and the sizes of the batches that were run when the model was loaded; why
    #: these end below ``model.batch_size``, if they do: ``out_of_memory`` or ``too_slow``.
    batch_limit: int | None = None
    warmed: tuple[int, ...] = ()
    warm_up_cut_short: str | None = None
    #: Empty where there is only one.
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict: ``reason`` is machine-readable, ``suggestion`` a sentence.

    When ``ok`` both are ``None``, unless fewer replicas serve than should: that leaves ``ready`` true, and is told.
    """

    name: str
    ok: bool
    reason: str | None
    suggestion: str | None
    checked_ms: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Health:
    """All verdicts at one moment; ``checks`` has the keys ``api``, ``model`` and ``gpu``."""

    live: Check
    startup: Check
    ready: Check
    checks: dict[str, Finding]
    #: ``allocated_gb``, ``reserved_gb`` and ``total_gb`` (10⁹ bytes); ``None`` without a GPU.
    gpu_memory: dict[str, float] | None
