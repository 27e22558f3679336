"""The model host: what the rest of the server sees of the model. Everything else in this room works behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import structlog

from config import HealthSettings, ModelSettings
from model.answer import Answer, Payload
from model.berth import Berth
from model.brownout import Brownout, BrownoutPolicy
from model.cache import ResultCache
from model.canary import Canary
from model.codec import Codec, only_predicts
from model.common import Common
from model.device import prepare_allocator
from model.engine import Engine
from model.errors import NoVersion, Refusal
from model.exchange import Body, Exchange
from model.fault import LoadFailure
from model.fleet import Fleet
from model.intake import Intake, Intakes
from model.loader import Instance
from model.logbook import FILE_NAME, Logbook
from model.meter import InferenceMeter
from model.plan import Plan
from model.probation import Probation
from model.progress import Recorder
from model.refusal import refusal
from model.release import NoSwitch, Releases
from model.remedy import Remedy
from model.reply import Replies
from model.retreat import Rearguard
from model.signature import Signature
from model.state import Standing, wall_ms
from model.status import Health, ModelStatus
from model.subscription import Subscription
from model.switch import Overview, Switch, Switcher
from model.tee import Tee
from model.terms import STANDARD, Terms
from model.watchdog import Watchdog

log = structlog.get_logger(__name__)


def _ignore_change() -> None:
    """Nobody wants to know."""


def _ignore_fatal(reason: str) -> None:
    """Nobody restarts the process; the host stays failed."""


class ModelHost:
    """Hosts one model: loads it on a thread of its own, answers requests, judges its health, reloads and drains it.

    ``on_change`` is called, from any thread, after every change of state or progress; ``on_fatal(reason)`` when only a
    new process helps (``cuda_error: …``, ``hang: …``). ``disabled`` keeps the model from ever starting and is the
    reason shown, as in ``safe_mode: 5 crashes in 300 s``. ``clock`` gives seconds and never runs backwards. In
    ``data_dir`` it remembers which version was chosen, and which ones were good.
    """

    def __init__(
        self,
        settings: ModelSettings,
        health: HealthSettings,
        meter: InferenceMeter,
        *,
        name: str,
        on_change: Callable[[], None] = _ignore_change,
        on_fatal: Callable[[str], None] = _ignore_fatal,
        clock: Callable[[], float] = time.monotonic,
        disabled: str | None = None,
        stack_file: TextIO | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.name = name
        self.enabled = settings.enabled
        self._settings = settings
        self._health = health
        self._clock = clock
        self._off = disabled or (None if settings.enabled else "disabled")
        book = Logbook(None if data_dir is None else data_dir / FILE_NAME, settings.path)
        self._releases = Releases(settings.path, book, wall_ms)
        #: The way back to the last good version, for safe mode.
        self.rearguard = Rearguard(self._releases, book, wall_ms)
        probation = Probation(settings.probation_seconds, settings.probation_latency_ratio, clock)
        self._switcher = Switcher(self._releases, probation, self._start_load, clock, wall_ms)
        #: Another version beside the one that serves.
        self.canary = Canary(self._releases, lambda: self._berth, settings.probation_latency_ratio, clock, wall_ms)
        self._cache = ResultCache(settings.cache_bytes, settings.cache_seconds, clock)
        codec = self._codec = Codec(clock, reject_nan=settings.reject_nan, canary=self.canary)
        self._intakes = Intakes(codec.calls)
        self._fleet = Fleet(
            Common(
                settings=settings,
                health=health,
                meter=Tee(meter, self.canary),
                clock=clock,
                releases=self._releases,
                probation=probation,
                cache=self._cache,
                codec=codec,
                replies=Replies(settings, self._cache, clock, codec),
                brownout=Brownout(
                    BrownoutPolicy(settings.brownout_high, settings.brownout_low, settings.brownout_step_seconds),
                    lambda: self._fleet.fill,
                    clock,
                ),
                canary=self.canary,
            ),
            Standing("disabled" if self._off else "loading", self._off or "model_loading", None, wall_ms()),
            on_change=on_change,
            on_installed=self._installed,
            on_fatal=on_fatal,
            roll_back=self._switcher.roll_back,
        )
        self._berth = Berth(self._fleet, self.canary, self._cache, clock, health.interval_seconds)
        self._watchdog = Watchdog(self._fleet.limits, stack_file)
        self._drain_until = 0.0

    def start(self) -> None:
        """Begin to load; returns at once. Does nothing when the model is switched off."""
        if self._off is not None:
            log.info("model_disabled", reason=self._off)
            return
        prepare_allocator()
        self._fleet.start()
        self._watchdog.start()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model, for whoever asks after a crash; before :meth:`start`."""
        self._fleet.record_to(recorder)

    def infer(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Answer[bytes]:
        """Answer one request, on the caller's thread. Raises :class:`BadInput` or a :class:`Refusal`."""
        return self.exchange(Body(body, content_type), request_id, terms)

    def stream(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Subscription:
        """As :meth:`infer`, for a result in steps; whoever reads it must close it, and a drain waits for that."""
        with ExitStack() as stack:
            guest = stack.enter_context(self._fleet.guest())
            if guest is None:
                first = self._fleet.first
                return first.streams.open_without_model(
                    body, content_type, request_id, self._refusal(), *first.identity()[:2]
                )
            engine, instance = guest
            try:
                engine, instance = self._route(engine, instance, request_id, terms)
            except NoVersion as refused:
                return engine.streams.open_without_model(
                    body, content_type, request_id, refused, *engine.identity()[:2]
                )
            found = engine.streams.open(instance, body, content_type, request_id, terms)
            found.at_close(stack.pop_all().close)
            return found

    def exchange(self, exchange: Exchange[Payload], request_id: str, terms: Terms = STANDARD) -> Answer[Payload]:
        """As :meth:`infer`, for a request of several inputs in a format of its own."""
        with self._fleet.guest() as guest:
            if guest is None:
                first = self._fleet.first
                return first.path.run_without_model(exchange, request_id, self._refusal(), *first.identity()[:2])
            engine, instance = guest
            try:
                engine, instance = self._route(engine, instance, request_id, terms)
            except NoVersion as refused:
                return engine.path.run_without_model(exchange, request_id, refused, *engine.identity()[:2])
            return engine.path.run(instance, exchange, request_id, terms)

    def prompt(self) -> bool:
        """Whether :meth:`infer` takes long over nothing but the wait for the model thread, as an event loop may."""
        there = (*(engine.instance for engine in self._fleet.engines), self.canary.instance)
        found = [instance.model for instance in there if instance is not None]
        return bool(found) and not self._cache.enabled and all(only_predicts(model) for model in found)

    def _route(self, engine: Engine, serving: Instance, request_id: str, terms: Terms) -> tuple[Engine, Instance]:
        """Who answers: what serves, or the canary, where it lives. Raises :class:`NoVersion`."""
        chosen = self.canary.route(serving, request_id, terms)
        return (engine, serving) if chosen is serving else (self._berth.engine, chosen)

    @property
    def loaded(self) -> list[str]:
        """The versions that can be asked for by name, the one that serves first."""
        both = (self._fleet.first.instance, self.canary.instance)
        return [one.version for one in both if one is not None]

    def signature(self, version: str | None = None) -> Signature | None:
        """What the model that serves now takes and gives, or a ``version`` that is loaded; ``None`` while none serves.

        Raises :class:`NoVersion`, and what the model raises.
        """
        instance = self._fleet.first.instance
        if instance is None:
            return None
        if version is not None:
            instance = self.canary.named(instance, version)
        model = instance.model
        with self._codec.calls.running("signature"):
            inputs, outputs, schema = tuple(model.inputs()), tuple(model.outputs()), model.schema()
        return Signature(instance.name, instance.version, inputs, outputs, schema)

    def intake(self) -> Intake | None:
        """What a request to the model that serves now may look like; ``None`` while none serves."""
        instance = self._fleet.first.instance
        return None if instance is None else self._intakes.of(instance)

    def remedies(self) -> list[Remedy]:
        """What this process has done about its model by itself, newest first."""
        return self._fleet.remedies()

    @property
    def serving(self) -> bool:
        """Whether requests are taken now."""
        return self._fleet.serving

    def reload(self, reason: str) -> bool:
        """Load fresh instances in the background; ``False`` while a load is under way or none is possible.

        ``reason`` becomes a label of ``model_reloads_total``: one of a few words, not a sentence.
        """
        return self._off is None and self._fleet.reload_all(reason)

    def _start_load(self, plan: Plan) -> bool:
        return self._off is None and self._fleet.load(plan)

    def switch(self, version: str, *, force: bool = False) -> Switch:
        """Begin to put another version of the model's folder into service, and return at once.

        What is not compatible with the one that serves is refused, unless ``force`` is set. Raises :class:`NoSwitch`.
        """
        if self._off is not None:
            raise NoSwitch("There is no model to load: it is switched off, or this is safe mode.")
        self.canary.refuse_while_busy()
        return self._switcher.switch(version, force=force)

    def promote(self) -> Switch:
        """Begin to have the canary serve, which is loaded already. Raises :class:`NoSwitch`."""
        pair, view = self.canary.running()
        return self._switcher.switch(view.version, force=True, loaded=pair.canary)

    def switched(self, wait_seconds: float) -> Switch | None:
        """The last switch, once it has ended or the time is over; ``None`` when there was none."""
        return self._switcher.wait(wait_seconds)

    def versions(self) -> Overview:
        """The versions in the model's folder, and what is known of each. Reads the folder."""
        return self._switcher.overview()

    def status(self) -> ModelStatus:
        """Where the host stands at this moment."""
        return self._fleet.status()

    def health(self) -> Health:
        """The verdicts at this moment. Costs microseconds and touches neither the model nor the device."""
        return self._fleet.health()

    def check(self, now_ms: int, wait_seconds: float = 2.0) -> None:
        """The scheduled deep check: one at a time, behind the requests. Waits at most ``wait_seconds`` for it.

        It looks for a hang first, which a thread of the host's own does as well, at least once a second.
        """
        self._watchdog.look()
        self._fleet.check(now_ms, wait_seconds)
        if self.serving:
            self._switcher.look()
        self._berth.check(now_ms)

    def stop(self, drain_seconds: float) -> None:
        """Refuse new requests, finish what is here within ``drain_seconds``, then end the model thread."""
        self._drain_until = self._clock() + drain_seconds
        drained = self._fleet.drain(drain_seconds)
        lost = self._fleet.close(drained=drained)
        if not drained:
            log.warning("drain_incomplete", dropped=lost, seconds=drain_seconds)
        self._watchdog.stop()
        self._fleet.join(self._drain_until if drained else 0.0)
        self._switcher.stopped()
        self._fleet.stopped()

    def _installed(self, instance: Instance, failure: LoadFailure | None) -> None:
        """A new instance serves; ``failure`` is why it is not the one that was wanted."""
        if instance is not self.canary.instance:  # what that has answered, it would answer again
            self._cache.renew(instance.name, instance.version)
        self.canary.installed(instance)
        self._switcher.installed(instance)
        why = self._releases.abandoned or (None if failure is None else failure.reason)
        if why is not None:
            self._releases.abandoned = None
            self._fleet.note_rollback(why, outcome=f"version {instance.version} serves")

    def _refusal(self) -> Refusal:
        return refusal(self._fleet.standing(), self._clock(), self._drain_until)
