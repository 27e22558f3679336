"""Why no request is taken in the state that the host is in, as its caller is told."""

from __future__ import annotations

from model.errors import Draining, NotReady, Refusal
from model.health import cannot_serve
from model.request import wait_for_load
from model.state import Standing

#: ``Retry-After`` of a failed model (a person or a rule has to act) and of one whose process is about to be restarted.
_FAILED_RETRY_SECONDS = 30.0
_FATAL_RETRY_SECONDS = 5.0


def refusal(standing: Standing, now: float, drain_until: float) -> Refusal:
    """What to raise while nothing serves; ``now`` and ``drain_until`` are seconds of the host's clock."""
    reason, suggestion = cannot_serve(standing, False) or ("model_loading", None)
    if standing.state in ("draining", "stopped"):
        left = max(1.0, round(drain_until - now) + 1.0)
        return Draining("The server is stopping.", reason=reason, retry_after_seconds=left, suggestion=suggestion)
    if standing.state == "disabled":
        return NotReady("No model runs here.", reason=reason, retry_after_seconds=60.0, suggestion=suggestion)
    if standing.state == "failed":
        seconds = _FATAL_RETRY_SECONDS if standing.fatal else _FAILED_RETRY_SECONDS
        return NotReady("The model failed.", reason=reason, retry_after_seconds=seconds, suggestion=suggestion)
    seconds = wait_for_load(standing.load_began, standing.last_load_seconds, now)
    return NotReady("The model is loading.", reason=reason, retry_after_seconds=seconds, suggestion=suggestion)
