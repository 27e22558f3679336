"""What belongs to one device: its queue, the thread that owns it, what runs there, and who watches and heals it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from model.admission import Admission
from model.batch import BatchRunner
from model.breaker import Breaker
from model.common import Common, Peers
from model.errors import Draining
from model.examiner import Examination, Examiner
from model.fault import LoadFailure
from model.health import BreakerFacts, Facts, cannot_serve
from model.loader import Instance, Loader
from model.medic import Medic, resident_bytes
from model.plan import Plan
from model.progress import Progress, Recorder
from model.queue import WorkQueue
from model.reload import Reloader
from model.remedy import Healer
from model.request import RequestPath
from model.source import short_name
from model.state import StateCell, wall_ms
from model.status import ModelStatus, Replica
from model.step import StepRunner
from model.streaming import StreamPath
from model.watchdog import Limit
from model.worker import Worker

_HANGS = {"check": "a health check", "step": "a step of a stream", "close": "the end of a stream"}


class Engine:
    """One model on one device: requests come in by ``path`` and ``streams``, and its own thread computes.

    ``device`` is ``None`` where ``model.device`` says which.
    ``on_installed`` is told of every instance that comes into service, on the model thread, and why it is not the one
    that was wanted, if it is not; ``on_fatal(reason)`` when only a new process helps. ``roll_back(why)`` puts the last
    good version back and says whether it could.
    """

    def __init__(
        self,
        common: Common,
        cell: StateCell,
        peers: Peers,
        *,
        device: str | None,
        remedy_ids: Iterator[int],
        on_installed: Callable[[Instance, LoadFailure | None], None],
        on_fatal: Callable[[str], None],
        roll_back: Callable[[str], bool],
    ) -> None:
        settings, clock, meter = common.settings, common.clock, common.meter
        self.cell = cell
        #: Whether no more requests should come, since it is about to be loaded anew.
        self.resting = False
        self._device = device
        self._common = common
        self._peers = peers
        self._on_installed = on_installed
        self.healer = Healer(
            lambda cause: peers.reload(self, cause), settings.heal_seconds, clock, wall_ms, roll_back, remedy_ids
        )
        self.medic = Medic(settings, self, self.healer, clock, self._memory, common.probation, common.canary)
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
        self._loader = Loader(settings, common.health, clock, common.codec.calls, device)
        runner = BatchRunner(meter, self.progress, clock)
        steps = StepRunner(self.queue, self.progress, clock)
        name = "model" if device is None else f"model {device}"
        self.worker = Worker(self.queue, runner, steps, cell, self._first_load, on_fatal, name)
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
            others_serve=lambda: peers.others_serve(self),
            vacate=lambda: peers.vacate(self),
            on_installed=self._installed,
            on_reloaded=self._reloaded,
            on_given_up=lambda: peers.first_done(self),
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

    @property
    def label(self) -> str:
        """The device, as far as it is known."""
        device = self._loader.device
        return self._device or (self._common.settings.device if device is None else device.label)

    @property
    def loadable(self) -> bool:
        """Whether a load can begin now."""
        return self._reloader.possible

    def well(self, guests: int) -> bool:
        """Whether requests should rather come here than go elsewhere; ``guests`` are those that are here.

        A breaker that is half-open without golden inputs needs requests, but no more than it lets through.
        """
        if self.resting or ((found := self._examiner.last) is not None and found.reason is not None):
            return False
        instance, breaker = self.worker.instance, self._breaker()
        if instance is None or breaker is None or (state := breaker.state) == "closed":
            return True
        return state == "half_open" and not instance.golden and guests < breaker.vacancies

    def identity(self) -> tuple[str, str, str | None, str | None]:
        """Name, version, device and dtype of what serves, or of what served last."""
        instance: Instance | None = self.worker.instance
        if instance is not None:
            self._shown = (instance.name, instance.version, instance.device.label, instance.dtype)
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

    def replica(self) -> Replica:
        """What is shown of it where there are several."""
        standing, instance, breaker = self.cell.now, self.worker.instance, self._breaker()
        return Replica(
            device=self.label,
            state=standing.state,
            serving=self.serving,
            reason=standing.reason,
            suggestion=standing.suggestion,
            progress=standing.progress,
            version=None if instance is None else instance.version,
            queue_depth=len(self.queue),
            in_flight=self.progress.in_flight,
            breaker="closed" if breaker is None else breaker.state,
        )

    @property
    def fill(self) -> float:
        """How much of the places is taken, from 0 to 1: those of requests or of streams, whichever is more.

        A queue that is kept short because it overflowed counts as a full one.
        """
        queue = self.queue
        return 1.0 if queue.overrun else max(len(queue) / queue.size, queue.streams / queue.max_streams)

    # --- what it does --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load; returns at once."""
        self.cell.begin_first_load(self._common.clock())
        self.worker.start()

    def record_to(self, recorder: Recorder) -> None:
        """Have ``recorder`` told of every call into the model; before :meth:`start`."""
        self.progress.recorder = recorder
        self._common.codec.calls.recorder = recorder

    def load(self, plan: Plan) -> bool:
        """Load a fresh instance in the background; ``False`` while a load is under way or none is possible."""
        return self._reloader.start(plan)

    def retire(self, failure: LoadFailure) -> None:
        """Serve no more, once the requests are answered that are here: what the others serve could not be loaded."""

        def leave() -> None:
            self._peers.vacate(self)
            self.queue.submit(lambda: self._reloader.drop(failure), urgent=True)

        threading.Thread(target=leave, name=f"{self.worker.name}-retire", daemon=True).start()

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

    def _first_load(self) -> None:
        """On the model thread. Raises :class:`Poisoned`."""
        try:
            self._reloader.first_load(self._peers.first_targets())
        finally:
            self._peers.first_done(self)

    def _reloaded(self, reason: str, failure: str | None) -> None:
        self.resting = False
        self.medic.reloaded(reason, failure)

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
