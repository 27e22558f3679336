"""What belongs to one device: its queue, the thread that owns it, what runs there, and who watches and heals it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from config import HealthSettings, ModelSettings
from model.admission import Admission
from model.batch import BatchRunner
from model.breaker import Breaker
from model.brownout import Brownout
from model.cache import ResultCache
from model.codec import Codec
from model.errors import Draining
from model.examiner import Examination, Examiner
from model.fault import LoadFailure
from model.health import BreakerFacts, Facts, cannot_serve
from model.loader import Instance, Loader
from model.medic import Medic, resident_bytes
from model.meter import InferenceMeter
from model.probation import Probation
from model.progress import Progress, Recorder
from model.queue import WorkQueue
from model.release import Releases
from model.reload import Plan, Reloader
from model.remedy import Healer
from model.reply import Replies
from model.request import RequestPath
from model.source import short_name
from model.state import StateCell, wall_ms
from model.status import ModelStatus
from model.step import StepRunner
from model.streaming import StreamPath
from model.watchdog import Limit
from model.worker import Worker

_HANGS = {"check": "a health check", "step": "a step of a stream", "close": "the end of a stream"}


@dataclass(frozen=True, slots=True)
class Common:
    """What an engine shares with its host. ``clock`` gives seconds and never runs backwards."""

    settings: ModelSettings
    health: HealthSettings
    meter: InferenceMeter
    clock: Callable[[], float]
    releases: Releases
    probation: Probation
    cache: ResultCache
    codec: Codec
    replies: Replies
    brownout: Brownout


class Engine:
    """One model on one device: requests come in by ``path`` and ``streams``, and its own thread computes.

    ``on_installed`` is told of every instance that comes into service, on the model thread, and why it is not the one
    that was wanted, if it is not; ``on_fatal(reason)`` when only a new process helps. ``roll_back(why)`` puts the last
    good version back and says whether it could.
    """

    def __init__(
        self,
        common: Common,
        cell: StateCell,
        *,
        on_installed: Callable[[Instance, LoadFailure | None], None],
        on_fatal: Callable[[str], None],
        roll_back: Callable[[str], bool],
    ) -> None:
        settings, clock, meter = common.settings, common.clock, common.meter
        self.cell = cell
        self._common = common
        self._on_installed = on_installed
        self.healer = Healer(self.reload, settings.heal_seconds, clock, wall_ms, roll_back)
        self.medic = Medic(settings, self, self.healer, clock, self._memory, common.probation)
        self.progress = Progress(clock, self.medic.batch_done)
        self.queue = WorkQueue(
            settings.queue_size,
            settings.batch_size,
            settings.batch_window_seconds,
            clock,
            shed=(settings.shed_normal_ratio, settings.shed_low_ratio),
            aging_seconds=settings.aging_seconds,
            max_streams=settings.max_streams,
        )
        self._loader = Loader(settings, common.health, clock, common.codec.calls)
        runner = BatchRunner(meter, self.progress, clock)
        steps = StepRunner(self.queue, self.progress, clock)
        self.worker = Worker(self.queue, runner, steps, cell, lambda: self._reloader.first_load(), on_fatal)
        self._examiner = Examiner(
            self.queue, self.progress, lambda: self.worker.instance, clock, common.health.interval_seconds
        )
        self._reloader = Reloader(
            self._loader,
            common.releases,
            self.worker,
            self.queue,
            cell,
            self._examiner,
            meter,
            clock,
            on_installed=self._installed,
            on_reloaded=self.medic.reloaded,
        )
        door, guard = Admission(settings, self.queue, self.progress, meter, clock), self.medic.guard
        self.path = RequestPath(
            self.queue,
            meter,
            clock,
            door=door,
            codec=common.codec,
            guard=guard,
            replies=common.replies,
            brownout=common.brownout,
        )
        self.streams = StreamPath(
            settings,
            self.queue,
            meter,
            clock,
            door=door,
            codec=common.codec,
            guard=guard,
            replies=common.replies,
            brownout=common.brownout,
        )
        #: What a watchdog has to look at.
        self.limits = (
            Limit("batch", settings.watchdog_seconds, self.progress.running_seconds, self._hang),
            Limit("call", settings.watchdog_seconds, common.codec.calls.longest_seconds, self._call_hangs),
            Limit("load", settings.load_seconds, self._loading_seconds, self._load_hangs),
        )
        self._shown: tuple[str, str, str | None, str | None] = (short_name(settings.path), "", None, None)

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def instance(self) -> Instance | None:
        """What serves now."""
        return self.worker.instance

    @property
    def serving(self) -> bool:
        """Whether requests are taken now."""
        return cannot_serve(self.cell.now, self.worker.instance is not None) is None

    @property
    def examination(self) -> Examination | None:
        """What the last deep check found."""
        return self._examiner.last

    def identity(self) -> tuple[str, str, str | None, str | None]:
        """Name, version, device and dtype of what serves, or of what served last."""
        instance: Instance | None = self.worker.instance
        if instance is not None:
            self._shown = (instance.name, instance.version, instance.device.name, instance.dtype)
        return self._shown

    def facts(self) -> Facts:
        """Everything that a verdict on its health may rest on, at this moment."""
        device = self._loader.device
        return Facts(
            now_ms=wall_ms(),
            standing=self.cell.now,
            serving=self.worker.instance is not None,
            on_gpu=None if device is None else device.is_gpu,
            examination=self._examiner.last,
            age_seconds=self.progress.age(self.queue.oldest()),
            breaker=self._breaker_facts(),
        )

    def status(self) -> ModelStatus:
        """Where it stands at this moment."""
        standing, queue, cache = self.cell.now, self.queue, self._common.cache
        model, version, device, dtype = self.identity()
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
            queue_depth=len(queue),
            queue_size=queue.size,
            in_flight=self.progress.in_flight,
            progress_age_seconds=self.progress.age(queue.oldest()),
            streams_open=queue.streams,
            breaker="closed" if breaker is None else breaker.state,
            breaker_reason=None if breaker is None else breaker.reason,
            brownout_level=self._common.brownout.level(),
            latency_drift_ratio=self.medic.drift.ratio(),
            cache=cache.figures() if cache.enabled else None,
        )

    @property
    def fill(self) -> float:
        """How much of the places is taken, from 0 to 1: those of requests or of streams, whichever is more."""
        return max(len(self.queue) / self.queue.size, self.queue.streams / self.queue.max_streams)

    # --- what it does --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load; returns at once."""
        self.cell.begin_first_load(self._common.clock())
        self.worker.start()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model; before :meth:`start`."""
        self.progress.recorder = recorder
        self._common.codec.calls.recorder = recorder

    def reload(self, reason: str, plan: Plan | None = None) -> bool:
        """Load a fresh instance in the background; ``False`` while a load is under way or none is possible.

        Without a ``plan`` it is of the version that serves.
        """
        return self._reloader.start(reason, plan)

    def examine(self) -> None:
        """Have the golden input run soon, without waiting for it."""
        self._examiner.ask(wall_ms(), 0.0, urgent=True)

    def check(self, now_ms: int, wait_seconds: float) -> None:
        """The scheduled deep check, behind the requests; waits at most ``wait_seconds`` for it."""
        if self.serving:
            # A success of a while ago proves nothing of a model that has been kept from requests since.
            self._examiner.ask(now_ms, wait_seconds, urgent=self._breaker_facts() is not None)
            self.medic.look()

    def close(self, *, drained: bool) -> int:
        """Take nothing more. What waits is refused unless all are ``drained``; returns how many that were."""
        self.queue.close()
        if drained:
            return 0
        return self.queue.fail_all(
            lambda: Draining("The server stopped before this request's turn.", reason="draining")
        )

    def join(self, timeout_seconds: float) -> None:
        """Wait for the end of the model thread, for as long as it may end in time."""
        # A thread that still loads or hangs is left behind: it is a daemon, and the process is about to end.
        self.worker.join(timeout_seconds if self.worker.instance is not None else 0.1)

    # --- details -------------------------------------------------------------------------------------------------

    def _installed(self, instance: Instance, failure: LoadFailure | None) -> None:
        self.medic.installed(instance)
        self._on_installed(instance, failure)

    def _breaker(self) -> Breaker | None:
        instance = self.worker.instance
        return None if instance is None else self.medic.guard.breaker(instance)

    def _breaker_facts(self) -> BreakerFacts | None:
        """What health has to know: nothing while the breaker is closed."""
        instance, breaker = self.worker.instance, self._breaker()
        if instance is None or breaker is None or (reason := breaker.reason) is None:
            return None
        return BreakerFacts(reason, breaker.state == "open", bool(instance.golden))

    def _memory(self) -> int:
        """What the model holds, as well as that can be known: the GPU's tensors, else the whole process."""
        found = self._examiner.last
        return resident_bytes() if found is None or found.memory is None else found.memory.allocated

    def _loading_seconds(self) -> float | None:
        began = self.cell.now.load_began
        return None if began is None else self._common.clock() - began

    def _hang(self, seconds: float) -> None:
        run = self.progress.run
        what = _HANGS.get(run.what if run is not None else "batch", f"a batch of {self.progress.in_flight}")
        self.worker.doom(
            f"hang: {what} running for {seconds:.0f}s",
            "Every thread's stack is in the log; look at the model thread's.",
        )

    def _call_hangs(self, seconds: float) -> None:
        """Code of the plug-in on a request's thread does not come back; the thread and its place are lost for good."""
        call = self._common.codec.calls.longest()
        self.worker.doom(
            f"hang: {'a call' if call is None else call.what} running for {seconds:.0f}s",
            "Every thread's stack is in the log; look at the one with model/codec.py in it.",
        )

    def _load_hangs(self, seconds: float) -> None:
        self._common.codec.calls.give_up_loads()
        self._reloader.overrun(seconds)
