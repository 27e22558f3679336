"""Says how things stand, in one piece: the state pill, the sentence on top, the model, its health and the alerts.

Everything that a person reads is there in every language, so that all viewers can be sent the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from dashboard.i18n import LANGUAGES, Language, say_duration, say_rate, say_reason, translate
from dashboard.unit import say

if TYPE_CHECKING:
    from alerts.state import Alert
    from model.status import Health, ModelStatus

Tone = Literal["info", "warning", "critical"]
#: What keeps an alert's notices back now: ``silenced_by``, ``muted_by`` and ``inhibited_by``.
Quiet = Callable[["Alert", int], dict[str, list[str]]]
Pill = Literal["ready", "watching", "loading", "degraded", "safe_mode", "down"]

#: From this share of failed requests on, not all is well, alert or not.
FAILURES = 0.01
#: The states in which the model is on its way to serve.
_BUSY = {"loading", "reloading"}
_RANK: dict[Tone, int] = {"info": 0, "warning": 1, "critical": 2}
_TONE_OF_LEVEL: dict[int, Tone] = {1: "info", 2: "warning", 3: "critical"}
#: What an alert's annotations say already.
_TEXTS = ("summary", "description", "action")


@dataclass(frozen=True)
class Restart:
    """The last time the server process was down."""

    started_ms: int
    ended_ms: int | None
    cause: str


@dataclass(frozen=True)
class Figures:
    """The numbers of the sentence: requests per second, p95 in seconds, failures as a ratio; None without traffic."""

    requests: float | None = None
    latency: float | None = None
    failures: float | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Figures:
        """Taken from the values of the overview's tiles."""
        tiles = ("tile_requests", "tile_latency", "tile_failures")
        return cls(*(next(iter(values.get(tile, {}).values()), None) for tile in tiles))


class Situation:
    """Asks the rooms how they are. All callables must be cheap: they are asked once a second."""

    def __init__(
        self,
        *,
        name: str,
        start_id: str,
        started_ms: int,
        safe_mode: bool,
        model: Callable[[], ModelStatus],
        health: Callable[[], Health],
        alerts: Callable[[], Sequence[Alert]],
        last_restart: Callable[[], Restart | None] = lambda: None,
        quiet: Quiet = lambda alert, now_ms: {},
    ) -> None:
        self._fixed = {"name": name, "start_id": start_id, "started_ms": started_ms, "safe_mode": safe_mode}
        self._safe_mode = safe_mode
        self._model = model
        self._health = health
        self._alerts = alerts
        self._last_restart = last_restart
        self._quiet = quiet

    def now(self, now_ms: int, figures: Figures) -> dict[str, Any]:
        """Everything as JSON can carry it."""
        status, health = self._model(), self._health()
        alerts = sorted(
            self._alerts(), key=lambda alert: (alert.state != "firing", -_RANK[tone(alert)], alert.active_ms)
        )
        kept_back = {alert.id: self._quiet(alert, now_ms) for alert in alerts if alert.state != "pending"}
        loud = [alert for alert in alerts if not any(kept_back.get(alert.id, {}).values())]
        shown = pill(status, health, loud, safe_mode=self._safe_mode)
        restart = self._last_restart()
        return {
            **self._fixed,
            "time_ms": now_ms,
            "pill": shown,
            "level": _level(shown, loud),
            "model": asdict(status),
            "health": asdict(health),
            "alerts": [alert_json(alert) | kept_back[alert.id] for alert in alerts if alert.state != "pending"],
            "pending": sum(alert.state == "pending" for alert in alerts),
            "headline": {
                language: {
                    "title": _title(language, shown, status, health, loud, figures),
                    "facts": _facts(language, status, figures, restart, now_ms),
                }
                for language in LANGUAGES
            },
        }


def pill(status: ModelStatus, health: Health, alerts: Sequence[Alert], *, safe_mode: bool) -> Pill:
    """The state in one word."""
    if safe_mode:
        return "safe_mode"
    if status.state == "disabled":
        return "watching"
    if status.state in _BUSY:
        return "loading"
    if status.state != "ready":
        return "down"
    critical = any(alert.state == "firing" and tone(alert) == "critical" for alert in alerts)
    return "ready" if health.ready.ok and not critical else "degraded"


def alert_json(alert: Alert) -> dict[str, Any]:
    """An alert as the page gets it; the page picks the annotation in its language. ``tone`` is its colour."""
    return {name: value for name, value in alert.as_dict().items() if name not in _TEXTS} | {"tone": tone(alert)}


def tone(alert: Alert) -> Tone:
    """How loud an alert is: its severity, or its level where the severity is none that we know."""
    if alert.severity in ("critical", "warning", "info"):
        return cast(Tone, alert.severity)
    return _TONE_OF_LEVEL.get(alert.level, "warning")


def _urgency(alert: Alert) -> tuple[bool, int, int]:
    """What nobody has taken on comes first, then what is worst, then what is oldest."""
    return alert.state != "firing", -_RANK[tone(alert)], alert.active_ms


def _level(shown: Pill, alerts: Sequence[Alert]) -> str:
    """What colours the page's dot, tab and icon: ok, busy, warning or critical."""
    firing = [tone(alert) for alert in alerts if alert.state == "firing"]
    if shown in ("down", "safe_mode") or "critical" in firing:
        return "critical"
    if shown == "degraded" or "warning" in firing:
        return "warning"
    return "busy" if shown == "loading" else "ok"


def _title(
    language: Language, shown: Pill, status: ModelStatus, health: Health, alerts: Sequence[Alert], figures: Figures
) -> str:
    def _(text: str, **values: object) -> str:
        return translate(text, language, **values)

    firing = [alert for alert in alerts if alert.state == "firing"]
    reason = say_reason((status.reason or "").rstrip("."), language)
    if shown == "safe_mode":
        return _("Safe mode: the server runs without the model.")
    if shown == "loading":
        return _("Reloading the model.") if status.state == "reloading" else _("Loading the model.")
    if shown == "down":
        if status.state in ("draining", "stopped"):
            return _("Stopping: no new work is taken.")
        return _("The model is not serving: {reason}.", reason=reason) if reason else _("The model is not serving.")
    if shown == "degraded" and not health.ready.ok:
        why = say_reason((health.ready.reason or "").rstrip("."), language)
        return _("Not ready for traffic: {reason}.", reason=why) if why else _("Not ready for traffic.")
    if firing:
        text = firing[0].text("summary", language)
        count = len(firing)
        worst = text.rstrip(".。")
        if shown == "watching":
            return _("Watching. {summary}.", summary=worst)
        return (
            _("Ready, but: {summary}.", summary=worst)
            if count == 1
            else _("Ready, with {count} alerts. First: {summary}.", count=count, summary=worst)
        )
    if shown == "watching":
        return _("Watching this machine; no model is hosted.")
    if (figures.failures or 0) >= FAILURES:
        return _("Ready, but {share} of requests fail.", share=say(figures.failures, "ratio"))
    return _("Ready. All is well.")


def _facts(
    language: Language, status: ModelStatus, figures: Figures, restart: Restart | None, now_ms: int
) -> list[str]:
    def _(text: str, **values: object) -> str:
        return translate(text, language, **values)

    facts = []
    since = say_duration((now_ms - status.since_ms) / 1000, language)
    if status.state == "ready":
        facts.append(_("for {duration}", duration=since))
    elif status.state in _BUSY:
        facts.append(_("{duration} so far", duration=since))
        if status.progress:
            facts.append(_(status.progress))
        if status.last_load_seconds:
            facts.append(_("last time {duration}", duration=say_duration(status.last_load_seconds, language)))
    elif status.suggestion:
        facts.append(say_reason(status.suggestion, language))
    if status.state == "ready" and figures.latency is not None:
        facts.append(say_rate(say(figures.requests, "per_second"), language))
        facts.append(f"p95 {say(figures.latency, 'seconds')}")
        if figures.failures is not None:
            facts.append(_("{share} failed", share=say(figures.failures, "ratio")))
    elif status.state == "ready":
        facts.append(_("no requests right now"))
    if restart is not None and restart.ended_ms is not None:
        ago = say_duration((now_ms - restart.ended_ms) / 1000, language)
        took = say_duration((restart.ended_ms - restart.started_ms) / 1000, language)
        cause = say_reason(restart.cause, language)
        facts.append(_("last restart {ago} ago, down for {took} ({cause})", ago=ago, took=took, cause=cause))
    return facts
