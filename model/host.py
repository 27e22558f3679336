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
from model.admission import Admission
from model.batch import BatchRunner
from model.breaker import Breaker
from model.brownout import Brownout, BrownoutPolicy
from model.cache import ResultCache
from model.codec import Codec
from model.device import prepare_allocator
from model.errors import Draining, NotReady, Refusal
from model.examiner import Examination, Examiner
from model.exchange import Exchange, Outcome, Payload
from model.fault import LoadFailure
from model.health import BreakerFacts, Facts, cannot_serve, judge
from model.loader import Instance, Loader
from model.logbook import FILE_NAME, Logbook
from model.medic import Medic, resident_bytes
from model.meter import InferenceMeter
from model.probation import Probation
from model.progress import Progress, Recorder
from model.queue import WorkQueue
from model.release import NoSwitch, Releases
from model.reload import Plan, Reloader
from model.remedy import Healer, Remedy
from model.reply import Replies
from model.request import Answer, RequestPath, wait_for_load
from model.retreat import Rearguard
from model.signature import Signature
from model.source import short_name
from model.state import Standing, StateCell, wall_ms
from model.status import Health, ModelStatus
from model.step import StepRunner
from model.streaming import StreamPath
from model.subscription import Subscription
from model.switch import Overview, Switch, Switcher
from model.terms import STANDARD, Terms
from model.watchdog import Limit, Watchdog
from model.worker import Worker

log = structlog.get_logger(__name__)

#: ``Retry-After`` of a failed model (a person or a rule has to act) and of one whose process is about to be restarted.
_FAILED_RETRY_SECONDS = 30.0
_FATAL_RETRY_SECONDS = 5.0


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
        self._healer = Healer(self.reload, settings.heal_seconds, clock, wall_ms, self._switcher.roll_back)
        self._medic = Medic(settings, self, self._healer, clock, self._memory, probation)
        self._cache = ResultCache(settings.cache_bytes, settings.cache_seconds, clock)
        self._brownout = Brownout(
            BrownoutPolicy(settings.brownout_high, settings.brownout_low, settings.brownout_step_seconds),
            lambda: len(self._queue) / self._queue.size,
            clock,
        )
        self._progress = Progress(clock, self._medic.batch_done)
        self._queue = WorkQueue(
            settings.queue_size,
            settings.batch_size,
            settings.batch_window_seconds,
            clock,
            shed=(settings.shed_normal_ratio, settings.shed_low_ratio),
            aging_seconds=settings.aging_seconds,
            max_streams=settings.max_streams,
        )
        self._loader = Loader(settings, health, clock)
        runner = BatchRunner(meter, self._progress, clock)
        steps = StepRunner(self._queue, self._progress, clock)
        self._worker = Worker(self._queue, runner, steps, self._cell, lambda: self._reloader.first_load(), on_fatal)
        self._examiner = Examiner(
            self._queue, self._progress, lambda: self._worker.instance, clock, health.interval_seconds
        )
        self._reloader = Reloader(
            self._loader,
            self._releases,
            self._worker,
            self._queue,
            self._cell,
            self._examiner,
            meter,
            clock,
            on_installed=self._installed,
            on_reloaded=self._medic.reloaded,
        )
        door = Admission(settings, self._queue, self._progress, meter, clock)
        codec = Codec(clock, reject_nan=settings.reject_nan)
        guard = self._medic.guard
        self._path = RequestPath(
            self._queue,
            meter,
            clock,
            door=door,
            codec=codec,
            guard=guard,
            replies=Replies(settings, self._cache, clock),
            brownout=self._brownout,
        )
        self._streams = StreamPath(settings, self._queue, meter, clock, door=door, codec=codec, guard=guard)
        limits = (
            Limit("batch", settings.watchdog_seconds, self._progress.running_seconds, self._hang),
            Limit("load", settings.load_seconds, self._loading_seconds, self._reloader.overrun),
        )
        self._watchdog = Watchdog(limits, stack_file)
        self._guests = threading.Condition()
        self._guest_count = 0
        self._drain_until = 0.0
        self._shown: tuple[str, str, str | None, str | None] = (short_name(settings.path), "", None, None)

    def start(self) -> None:
        """Begin to load; returns at once. Does nothing when the model is switched off."""
        if self._off is not None:
            log.info("model_disabled", reason=self._off)
            return
        prepare_allocator()
        self._cell.begin_first_load(self._clock())
        self._worker.start()
        self._watchdog.start()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model, for whoever asks after a crash; before :meth:`start`."""
        self._progress.recorder = recorder

    def infer(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Answer:
        """Answer one request, on the caller's thread. Raises :class:`BadInput` or a :class:`Refusal`."""
        with self._guest() as instance:
            if instance is None:
                return self._path.run_without_model(
                    body, content_type, request_id, self._refusal(), *self._identity()[:2]
                )
            return self._path.run(instance, body, content_type, request_id, terms)

    def stream(self, body: bytes, content_type: str, request_id: str, terms: Terms = STANDARD) -> Subscription:
        """As :meth:`infer`, for a result in steps; whoever reads it must close it, and a drain waits for that."""
        with ExitStack() as stack:
            instance = self._required(stack.enter_context(self._guest()))
            found = self._streams.open(instance, body, content_type, request_id, terms)
            found.at_close(stack.pop_all().close)
            return found

    def exchange(self, exchange: Exchange[Payload], request_id: str, terms: Terms = STANDARD) -> Outcome[Payload]:
        """As :meth:`infer`, for a request of several inputs in a format of its own."""
        with self._guest() as guest:
            instance = self._required(guest)
            return self._path.run_exchange(instance, exchange, request_id, terms)

    def signature(self) -> Signature | None:
        """What the model that serves now takes and gives; ``None`` while none does. Raises what the model raises."""
        instance: Instance | None = self._worker.instance
        if instance is None:
            return None
        model = instance.model
        return Signature(instance.name, instance.version, tuple(model.inputs()), tuple(model.outputs()), model.schema())

    @contextmanager
    def _guest(self) -> Iterator[Instance | None]:
        """Let a request in, to the instance that serves; a drain waits for it. ``None`` while none is there."""
        with self._guests:
            instance = self._worker.instance
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

    def _required(self, guest: Instance | None) -> Instance:
        """The instance that a request was let in to. Raises a :class:`Refusal`, which is counted."""
        if guest is None:
            raise self._path.refuse(self._refusal(), *self._identity()[:2])
        return guest

    @property
    def instance(self) -> Instance | None:
        """What serves now."""
        return self._worker.instance

    @property
    def examination(self) -> Examination | None:
        """What the last deep check found."""
        return self._examiner.last

    def examine(self) -> None:
        """Have the golden input run soon, without waiting for it."""
        self._examiner.ask(wall_ms(), 0.0, urgent=True)

    def remedies(self) -> list[Remedy]:
        """What this process has done about its model by itself, newest first."""
        return self._healer.remedies()

    @property
    def serving(self) -> bool:
        """Whether requests are taken now."""
        return cannot_serve(self._cell.now, self._worker.instance is not None) is None

    def reload(self, reason: str) -> bool:
        """Load a fresh instance in the background; ``False`` while a load is under way or none is possible.

        ``reason`` becomes a label of ``model_reloads_total``: one of a few words, not a sentence.
        """
        return self._off is None and self._reloader.start(reason)

    def _start_load(self, plan: Plan) -> bool:
        return self._off is None and self._reloader.start(plan.reason, plan)

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
        standing = self._cell.now
        model, version, device, dtype = self._identity()
        breaker = self._breaker()
        return ModelStatus(
            state=standing.state,
            reason=standing.reason,
            suggestion=standing.suggestion,
            model=model,
            version=version,
            device=device,
            dtype=dtype,
            since_ms=standing.since_ms,
            load_seconds=self._loading_seconds(),
            last_load_seconds=standing.last_load_seconds,
            progress=standing.progress,
            queue_depth=len(self._queue),
            queue_size=self._queue.size,
            in_flight=self._progress.in_flight,
            progress_age_seconds=self._progress.age(self._queue.oldest()),
            streams_open=self._queue.streams,
            breaker="closed" if breaker is None else breaker.state,
            breaker_reason=None if breaker is None else breaker.reason,
            brownout_level=self._brownout.level(),
            latency_drift_ratio=self._medic.drift.ratio(),
            cache=self._cache.figures() if self._cache.enabled else None,
        )

    def health(self) -> Health:
        """The verdicts at this moment. Costs microseconds and touches neither the model nor the device."""
        device = self._loader.device
        facts = Facts(
            now_ms=wall_ms(),
            standing=self._cell.now,
            serving=self._worker.instance is not None,
            on_gpu=None if device is None else device.is_gpu,
            examination=self._examiner.last,
            age_seconds=self._progress.age(self._queue.oldest()),
            breaker=self._breaker_facts(),
        )
        return judge(facts, self._settings, self._health)

    def check(self, now_ms: int, wait_seconds: float = 2.0) -> None:
        """The scheduled deep check: one at a time, behind the requests. Waits at most ``wait_seconds`` for it.

        It looks for a hang first, which a thread of the host's own does as well, at least once a second.
        """
        self._watchdog.look()
        if self.serving:
            # A success of a while ago proves nothing of a model that has been kept from requests since.
            self._examiner.ask(now_ms, wait_seconds, urgent=self._breaker_facts() is not None)
            self._medic.look()
            self._switcher.look()

    def stop(self, drain_seconds: float) -> None:
        """Refuse new requests, finish what is here within ``drain_seconds``, then end the model thread."""
        self._drain_until = self._clock() + drain_seconds
        self._cell.move("draining", reason="draining")
        with self._guests:
            drained = self._guests.wait_for(lambda: self._guest_count == 0, timeout=drain_seconds)
        self._queue.close()
        if not drained:
            lost = self._queue.fail_all(
                lambda: Draining("The server stopped before this request's turn.", reason="draining")
            )
            log.warning("drain_incomplete", dropped=lost, seconds=drain_seconds)
        self._watchdog.stop()
        # A thread that still loads or hangs is left behind: it is a daemon, and the process is about to end.
        idle = drained and self._worker.instance is not None
        self._worker.join(max(0.1, self._drain_until - self._clock()) if idle else 0.1)
        self._switcher.stopped()
        self._cell.move("stopped", reason="stopped")

    def _installed(self, instance: Instance, failure: LoadFailure | None) -> None:
        """A new instance serves; ``failure`` is why it is not the one that was wanted."""
        self._cache.renew(instance.name, instance.version)
        self._medic.installed(instance)
        self._switcher.installed(instance)
        why = self._releases.abandoned or (None if failure is None else failure.reason)
        if why is not None:
            self._releases.abandoned = None
            self._healer.note_rollback(why, helped=True, outcome=f"version {instance.version} serves")

    def _breaker(self) -> Breaker | None:
        instance = self._worker.instance
        return None if instance is None else self._medic.guard.breaker(instance)

    def _breaker_facts(self) -> BreakerFacts | None:
        """What health has to know: nothing while the breaker is closed."""
        instance, breaker = self._worker.instance, self._breaker()
        if instance is None or breaker is None or (reason := breaker.reason) is None:
            return None
        return BreakerFacts(reason, breaker.state == "open", bool(instance.golden))

    def _memory(self) -> int:
        """What the model holds, as well as that can be known: the GPU's tensors, else the whole process."""
        found = self._examiner.last
        return resident_bytes() if found is None or found.memory is None else found.memory.allocated

    def _loading_seconds(self) -> float | None:
        began = self._cell.now.load_began
        return None if began is None else self._clock() - began

    def _hang(self, seconds: float) -> None:
        run = self._progress.run
        what = {"check": "a health check", "step": "a step of a stream", "close": "the end of a stream"}.get(
            run.what if run is not None else "batch", f"a batch of {self._progress.in_flight}"
        )
        self._worker.doom(
            f"hang: {what} running for {seconds:.0f}s",
            "Every thread's stack is in the log; look at the model thread's.",
        )

    def _refusal(self) -> Refusal:
        standing = self._cell.now
        found = cannot_serve(standing, False)
        reason, suggestion = found or ("model_loading", None)
        if standing.state in ("draining", "stopped"):
            left = max(1.0, round(self._drain_until - self._clock()) + 1.0)
            return Draining("The server is stopping.", reason=reason, retry_after_seconds=left, suggestion=suggestion)
        if standing.state == "disabled":
            return NotReady("No model runs here.", reason=reason, retry_after_seconds=60.0, suggestion=suggestion)
        if standing.state == "failed":
            seconds = _FATAL_RETRY_SECONDS if standing.fatal else _FAILED_RETRY_SECONDS
            return NotReady("The model failed.", reason=reason, retry_after_seconds=seconds, suggestion=suggestion)
        seconds = wait_for_load(standing.load_began, standing.last_load_seconds, self._clock())
        return NotReady("The model is loading.", reason=reason, retry_after_seconds=seconds, suggestion=suggestion)

    def _identity(self) -> tuple[str, str, str | None, str | None]:
        """Name, version, device and dtype of what serves, or of what served last."""
        instance: Instance | None = self._worker.instance
        if instance is not None:
            self._shown = (instance.name, instance.version, instance.device.name, instance.dtype)
        return self._shown
