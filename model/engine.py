"""What belongs to one device: its queue, the thread that owns it, what runs there, and who watches and heals it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from model.admission import Admission
from model.attempt import Attempt
from model.batch import BatchRunner
from model.breaker import Breaker
from model.common import Common, Peers
from model.errors import Draining
from model.examiner import Examination, Examiner
from model.fault import LoadFailure
from model.health import cannot_serve
from model.loader import Instance, Loader
from model.medic import Medic, resident_bytes
from model.plan import Plan
from model.progress import Progress, Recorder
from model.queue import WorkQueue
from model.reload import Reloader
from model.remedy import Healer
from model.report import Report
from model.request import RequestPath
from model.state import StateCell, wall_ms
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
            fill_share=settings.batch_fill_ratio,
            shed=(settings.shed_normal_ratio, settings.shed_low_ratio),
            aging_seconds=settings.aging_seconds,
            max_streams=settings.max_streams,
        )
        self._loader = Loader(settings, common.health, clock, common.codec.calls, device)
        runner = BatchRunner(meter, self.progress, clock)
        steps = StepRunner(self.queue, self.progress, clock)
        name = "model" if device is None else f"model {device}"
        self.worker = Worker(self.queue, runner, steps, cell, self._first_load, on_fatal, self._died, name)
        self._examiner = Examiner(
            self.queue, self.progress, lambda: self.worker.instance, clock, common.health.interval_seconds
        )
        attempt = Attempt(
            self._loader, common.releases, lambda: self.worker.instance is not None or peers.others_serve(self)
        )
        self._reloader = Reloader(
            attempt,
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
            Limit("load", settings.load_seconds, self.loading_seconds, self._load_hangs),
        )
        self.report = Report(self, common)

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
        instance, breaker = self.worker.instance, self.breaker
        if instance is None or breaker is None or (state := breaker.state) == "closed":
            return True
        return state == "half_open" and not instance.golden and guests < breaker.vacancies

    @property
    def breaker(self) -> Breaker | None:
        """That of what serves now."""
        instance = self.worker.instance
        return None if instance is None else self.medic.guard.breaker(instance)

    @property
    def on_gpu(self) -> bool | None:
        """``None`` while no device has been chosen."""
        device = self._loader.device
        return None if device is None else device.is_gpu

    def loading_seconds(self) -> float | None:
        """How long the load under way has run."""
        began = self.cell.now.load_began
        return None if began is None else self._common.clock() - began

    def identity(self) -> tuple[str, str, str | None, str | None]:
        """Name, version, device and dtype of what serves, or of what served last."""
        return self.report.identity()

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
            self._examiner.ask(now_ms, wait_seconds, urgent=self.report.breaker() is not None)
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

    def _died(self, failure: LoadFailure) -> None:
        self._reloader.lost(failure)

    def _reloaded(self, reason: str, failure: str | None) -> None:
        self.resting = False
        self.medic.reloaded(reason, failure)

    def _installed(self, instance: Instance, failure: LoadFailure | None) -> None:
        self.medic.installed(instance)
        self._on_installed(instance, failure)

    def _memory(self) -> int:
        """What the model holds, as well as that can be known: the GPU's tensors, else the whole process."""
        found = self._examiner.last
        return resident_bytes() if found is None or found.memory is None else found.memory.allocated

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
