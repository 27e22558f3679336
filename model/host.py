"""The model host: what the rest of the server sees of the model. Everything else in this room works behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from config import HealthSettings, ModelSettings
from model.answer import Answer, Payload
from model.brownout import Brownout, BrownoutPolicy
from model.cache import ResultCache
from model.codec import Codec
from model.device import prepare_allocator
from model.engine import Common, Engine
from model.errors import Refusal
from model.exchange import Body, Exchange
from model.fault import LoadFailure
from model.health import judge
from model.loader import Instance
from model.logbook import FILE_NAME, Logbook
from model.meter import InferenceMeter
from model.probation import Probation
from model.progress import Recorder
from model.refusal import refusal
from model.release import NoSwitch, Releases
from model.reload import Plan
from model.remedy import Remedy
from model.reply import Replies
from model.retreat import Rearguard
from model.signature import Signature
from model.state import Standing, StateCell, wall_ms
from model.status import Health, ModelStatus
from model.subscription import Subscription
from model.switch import Overview, Switch, Switcher
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
        self._cell = StateCell(
            Standing("disabled" if self._off else "loading", self._off or "model_loading", None, wall_ms()), on_change
        )
        book = Logbook(None if data_dir is None else data_dir / FILE_NAME, settings.path)
        self._releases = Releases(settings.path, book, wall_ms)
        #: The way back to the last good version, for safe mode.
        self.rearguard = Rearguard(self._releases, book, wall_ms)
        probation = Probation(settings.probation_seconds, settings.probation_latency_ratio, clock)
        self._switcher = Switcher(self._releases, probation, self._start_load, clock, wall_ms)
        self._cache = ResultCache(settings.cache_bytes, settings.cache_seconds, clock)
        codec = self._codec = Codec(clock, reject_nan=settings.reject_nan)
        self._engine = Engine(
            Common(
                settings=settings,
                health=health,
                meter=meter,
                clock=clock,
                releases=self._releases,
                probation=probation,
                cache=self._cache,
                codec=codec,
                replies=Replies(settings, self._cache, clock, codec),
                brownout=Brownout(
                    BrownoutPolicy(settings.brownout_high, settings.brownout_low, settings.brownout_step_seconds),
                    lambda: self._engine.fill,
                    clock,
                ),
            ),
            self._cell,
            on_installed=self._installed,
            on_fatal=on_fatal,
            roll_back=self._switcher.roll_back,
        )
        self._watchdog = Watchdog(self._engine.limits, stack_file)
        self._guests = threading.Condition()
        self._guest_count = 0
        self._drain_until = 0.0

    def start(self) -> None:
        """Begin to load; returns at once. Does nothing when the model is switched off."""
        if self._off is not None:
            log.info("model_disabled", reason=self._off)
            return
        prepare_allocator()
        self._engine.start()
        self._watchdog.start()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model, for whoever asks after a crash; before :meth:`start`."""
        self._engine.record_to(recorder)

    def infer(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Answer[bytes]:
        """Answer one request, on the caller's thread. Raises :class:`BadInput` or a :class:`Refusal`."""
        return self.exchange(Body(body, content_type), request_id, terms)

    def stream(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Subscription:
        """As :meth:`infer`, for a result in steps; whoever reads it must close it, and a drain waits for that."""
        with ExitStack() as stack:
            instance = stack.enter_context(self._guest())
            if instance is None:
                return self._engine.streams.open_without_model(
                    body, content_type, request_id, self._refusal(), *self._engine.identity()[:2]
                )
            found = self._engine.streams.open(instance, body, content_type, request_id, terms)
            found.at_close(stack.pop_all().close)
            return found

    def exchange(self, exchange: Exchange[Payload], request_id: str, terms: Terms = STANDARD) -> Answer[Payload]:
        """As :meth:`infer`, for a request of several inputs in a format of its own."""
        with self._guest() as instance:
            if instance is None:
                return self._engine.path.run_without_model(
                    exchange, request_id, self._refusal(), *self._engine.identity()[:2]
                )
            return self._engine.path.run(instance, exchange, request_id, terms)

    def signature(self) -> Signature | None:
        """What the model that serves now takes and gives; ``None`` while none does. Raises what the model raises."""
        instance = self._engine.instance
        if instance is None:
            return None
        model = instance.model
        with self._codec.calls.running("signature"):
            inputs, outputs, schema = tuple(model.inputs()), tuple(model.outputs()), model.schema()
        return Signature(instance.name, instance.version, inputs, outputs, schema)

    @contextmanager
    def _guest(self) -> Iterator[Instance | None]:
        """Let a request in, to the instance that serves; a drain waits for it. ``None`` while none is there."""
        with self._guests:
            instance = self._engine.instance
            admitted = instance is not None and self.serving
            self._guest_count += admitted
        if not admitted:
            yield None
            return
        try:
            yield instance
        finally:
            with self._guests:
                self._guest_count -= 1
                if self._guest_count == 0:
                    self._guests.notify_all()

    def remedies(self) -> list[Remedy]:
        """What this process has done about its model by itself, newest first."""
        return self._engine.healer.remedies()

    @property
    def serving(self) -> bool:
        """Whether requests are taken now."""
        return self._engine.serving

    def reload(self, reason: str) -> bool:
        """Load a fresh instance in the background; ``False`` while a load is under way or none is possible.

        ``reason`` becomes a label of ``model_reloads_total``: one of a few words, not a sentence.
        """
        return self._off is None and self._engine.reload(reason)

    def _start_load(self, plan: Plan) -> bool:
        return self._off is None and self._engine.reload(plan.reason, plan)

    def switch(self, version: str, *, force: bool = False) -> Switch:
        """Begin to put another version of the model's folder into service, and return at once.

        What is not compatible with the one that serves is refused, unless ``force`` is set. Raises :class:`NoSwitch`.
        """
        if self._off is not None:
            raise NoSwitch("There is no model to load: it is switched off, or this is safe mode.")
        return self._switcher.switch(version, force=force)

    def switched(self, wait_seconds: float) -> Switch | None:
        """The last switch, once it has ended or the time is over; ``None`` when there was none."""
        return self._switcher.wait(wait_seconds)

    def versions(self) -> Overview:
        """The versions in the model's folder, and what is known of each. Reads the folder."""
        return self._switcher.overview()

    def status(self) -> ModelStatus:
        """Where the host stands at this moment."""
        return self._engine.status()

    def health(self) -> Health:
        """The verdicts at this moment. Costs microseconds and touches neither the model nor the device."""
        return judge(self._engine.facts(), self._settings, self._health)

    def check(self, now_ms: int, wait_seconds: float = 2.0) -> None:
        """The scheduled deep check: one at a time, behind the requests. Waits at most ``wait_seconds`` for it.

        It looks for a hang first, which a thread of the host's own does as well, at least once a second.
        """
        self._watchdog.look()
        self._engine.check(now_ms, wait_seconds)
        if self.serving:
            self._switcher.look()

    def stop(self, drain_seconds: float) -> None:
        """Refuse new requests, finish what is here within ``drain_seconds``, then end the model thread."""
        self._drain_until = self._clock() + drain_seconds
        self._cell.move("draining", reason="draining")
        with self._guests:
            drained = self._guests.wait_for(lambda: self._guest_count == 0, timeout=drain_seconds)
        lost = self._engine.close(drained=drained)
        if not drained:
            log.warning("drain_incomplete", dropped=lost, seconds=drain_seconds)
        self._watchdog.stop()
        self._engine.join(max(0.1, self._drain_until - self._clock()) if drained else 0.1)
        self._switcher.stopped()
        self._cell.move("stopped", reason="stopped")

    def _installed(self, instance: Instance, failure: LoadFailure | None) -> None:
        """A new instance serves; ``failure`` is why it is not the one that was wanted."""
        self._cache.renew(instance.name, instance.version)
        self._switcher.installed(instance)
        why = self._releases.abandoned or (None if failure is None else failure.reason)
        if why is not None:
            self._releases.abandoned = None
            self._engine.healer.note_rollback(why, helped=True, outcome=f"version {instance.version} serves")

    def _refusal(self) -> Refusal:
        return refusal(self._cell.now, self._clock(), self._drain_until)
