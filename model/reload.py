"""The first load and every reload: beside the old instance when there is room, else in a declared pause."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from model.attempt import Attempt, too_late
from model.errors import NotReady
from model.examiner import Examiner
from model.fault import LoadFailure, Poisoned, brief
from model.loader import Instance
from model.meter import InferenceMeter
from model.plan import Plan
from model.queue import Errand, WorkQueue
from model.release import Releases, Target
from model.room import lack, lack_on_gpu
from model.state import StateCell, wall_ms
from model.worker import Worker

log = structlog.get_logger(__name__)

_NO_TARGET = LoadFailure("load_failed: no_version", "There is nothing to load.")


class Reloader:
    """Brings instances into service. What fails to load never replaces what serves."""

    def __init__(
        self,
        attempt: Attempt,
        releases: Releases,
        worker: Worker,
        queue: WorkQueue,
        cell: StateCell,
        examiner: Examiner,
        meter: InferenceMeter,
        clock: Callable[[], float],
        *,
        others_serve: Callable[[], bool],
        vacate: Callable[[], None],
        on_installed: Callable[[Instance, LoadFailure | None], None],
        on_reloaded: Callable[[str, str | None], None],
        on_given_up: Callable[[], None],
    ) -> None:
        self._others_serve = others_serve
        self._vacate = vacate  # waits until no request is left here, if others serve
        self._on_given_up = on_given_up  # the first load hangs
        self._on_installed = on_installed  # with why it is not what was wanted, if it is not
        self._on_reloaded = on_reloaded  # with its reason, and what it failed of
        self._attempt = attempt
        self._releases = releases
        self._worker = worker
        self._queue = queue
        self._cell = cell
        self._examiner = examiner
        self._meter = meter
        self._clock = clock
        self._most = queue.batch_size
        self._before = cell.now  # where things stood when the load under way began
        self._lock = threading.Lock()
        self._plan: Plan | None = None  # the reload whose outcome is open
        self._untold: Plan | None = None  # the reload whose end has not been told

    @property
    def possible(self) -> bool:
        """Whether a load could begin now."""
        now = self._cell.now
        return not self._attempt.stuck and now.fatal is None and now.state in ("ready", "failed")

    def first_load(self, targets: Sequence[Target]) -> None:
        """On the model thread, once. A failure leaves the host standing and explains itself. Raises ``Poisoned``."""
        instance, failure = self._attempt.awaited(targets, self._cell.say)
        if instance is not None:
            self._install(instance, failure)
        elif failure is not None:
            log.error("model_not_loaded", reason=failure.reason, suggestion=failure.suggestion)
            self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)

    def start(self, plan: Plan) -> bool:
        """Begin a reload and return at once; ``False`` while a load is under way or none is possible."""
        serving, before = self._worker.instance is not None, self._cell.now
        if self._attempt.stuck or not self._cell.begin_load("reloading" if serving else "loading", self._clock()):
            return False
        self._before = before
        log.info("model_reload_begins", reason=plan.reason)
        self._worker.revive()
        self._plan = self._untold = plan
        threading.Thread(target=self._reload, args=(plan,), name=f"{self._worker.name}-load", daemon=True).start()
        return True

    def drop(self, failure: LoadFailure) -> None:
        """On the model thread: serve no more, as the version is not the one that the others serve now."""
        old, self._worker.instance = self._worker.instance, None
        self._worker.end_streams()
        self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)
        if old is not None:
            device = old.device
            del old
            device.release()

    def overrun(self, seconds: float) -> None:
        """A load takes too long. It is given up where anything serves, here or elsewhere; else a new process helps."""
        words, plan = f"hang: loading for {seconds:.0f}s", self._plan
        suggestion = "Look at the stacks in the log for what the load waits for; a new process frees what it holds."
        serving, others = self._worker.instance is not None, self._others_serve()
        if not serving and not others:
            self._worker.doom(words, "Every thread's stack is in the log; look at what the load waits for.")
        elif plan is not None and self._settle(plan):  # a helper thread hangs
            failure = LoadFailure(words, suggestion)
            self._releases.failed(plan.targets[0].path, failure, serves_on=True)
            self._give_up(failure, plan)
        elif self._attempt.leave():  # the model thread itself
            log.error("replica_given_up", reason=words)
            if (untold := self._untold) is not None:
                self._give_up(LoadFailure(words, suggestion), untold)
            else:
                self._cell.move("failed", reason=words, suggestion=suggestion)
                self._on_given_up()

    def lost(self, failure: LoadFailure) -> None:
        """The model thread has died, and with it what was loaded for it: the reload under way has failed."""
        if (untold := self._untold) is not None:
            self._settle(untold)
            self._report(untold, failure)

    def _unless_lost(self, plan: Plan, errand: Errand) -> None:
        """On the model thread, which may be another one than that for which it was meant."""
        if self._untold is plan:
            errand()

    def _reload(self, plan: Plan) -> None:
        """On the helper thread: load while the old instance serves, and let the model thread switch."""
        try:
            errand = self._errand(plan)
            if errand is not None:
                self._queue.submit(partial(self._unless_lost, plan, errand), urgent=True)
        except Poisoned as poisoned:
            self._untold = None
            self._meter.reloaded(plan.reason, "failed")
            failure = LoadFailure(poisoned.reason, "The GPU's context is lost; only a new process helps.")
            self._releases.failed(plan.targets[0].path, failure, serves_on=True)
            plan.done(failure)
            self._worker.doom(failure.reason, failure.suggestion)
        except BaseException as error:  # the edge of the thread; a plug-in may even exit
            log.exception("reload_died")
            self._fail(plan, LoadFailure(f"load_failed: {brief(error)}", "The log has the traceback."))

    def _errand(self, plan: Plan) -> Errand | None:
        """What is left to be done on the model thread. Raises ``Poisoned``."""
        serving = self._worker.instance
        if serving is None or plan.targets[0].loaded is not None:
            return self._load_beside(plan)
        if plan.seat is None:
            if not lack_on_gpu(serving):
                return self._load_beside(plan)
            self._vacate()
            return partial(self._reload_paused, plan)
        if (short := lack(serving)) is None:
            return self._load_beside(plan)
        failure = LoadFailure(short, "Free memory, or switch to the version: then the one that serves goes first.")
        self._releases.failed(plan.targets[0].path, failure, serves_on=True)
        self._fail(plan, failure)
        return None

    def _load_beside(self, plan: Plan) -> Errand | None:
        """The switch to a new instance, or ``None`` when nobody waits for it any more, or it cannot serve."""

        def say(progress: str) -> None:
            if self._plan is plan:
                self._cell.say(progress)

        # What serves goes on serving: nothing else has to be tried.
        targets = plan.targets if self._worker.instance is None else plan.targets[:1]
        instance, failure = self._attempt.any(targets, say)
        if instance is None:
            self._fail(plan, failure or _NO_TARGET)
        elif self._settle(plan):
            if plan.seat is not None:
                return partial(self._seat, instance, plan, plan.seat)
            return partial(self._switch, instance, plan, failure)
        else:
            device = too_late(instance)
            del instance  # the last reference, so that its weights can be freed
            device.release()
        return None

    def _switch(self, instance: Instance, plan: Plan, failure: LoadFailure | None) -> None:
        """On the model thread, between two batches."""
        old = self._worker.instance
        self._worker.hand_over(old if plan.hand_over else None)
        self._worker.promote(instance)
        self._install(instance, failure)
        self._report(plan, failure)
        del old  # the last reference on this thread, so that its weights can be freed
        instance.device.release()

    def _seat(self, instance: Instance, plan: Plan, seat: Callable[[Instance], None]) -> None:
        """On the model thread, between two batches: what serves goes on doing so."""
        self._meter.announce(instance.name, instance.version)
        self._worker.welcome(instance)
        seat(instance)
        self._as_before()
        self._untold = None
        self._meter.reloaded(plan.reason, "ok")
        plan.done(None)

    def _reload_paused(self, plan: Plan) -> None:
        """On the model thread: two instances do not fit, so the old one goes first. What waits in the queue stays."""
        if not self._settle(plan):  # its turn came so late that it was given up
            return
        old = self._worker.instance
        self._worker.instance = None
        self._worker.hand_over(None)
        self._cell.say("freeing GPU memory")
        self._worker.end_streams()
        if old is not None:
            device = old.device
            del old
            device.release()
        instance, failure = self._attempt.awaited(plan.targets, self._cell.say)
        if instance is not None:
            self._install(instance, failure)
            self._report(plan, failure)
        elif self._untold is plan:  # else it was given up, and that has been told
            self._give_up(failure or _NO_TARGET, plan)

    def _install(self, instance: Instance, failure: LoadFailure | None) -> None:
        """``failure`` is why it is not what was wanted."""
        self._meter.announce(instance.name, instance.version)
        self._examiner.passed(wall_ms(), instance)
        self._queue.batch_size = min(self._most, instance.batch_limit)
        self._worker.instance = instance
        self._on_installed(instance, failure)
        self._cell.loaded(instance.load_seconds)
        if failure is None:
            self._cell.move("ready")
        else:
            self._cell.move("ready", reason=f"reload_failed: {failure.reason}", suggestion=failure.suggestion)
        log.info(
            "model_ready",
            model=instance.name,
            version=instance.version,
            device=instance.device.label,
            load_seconds=round(instance.load_seconds, 3),
            warmed=list(instance.warmed.sizes),
            batch_limit=instance.batch_limit,
        )

    def _settle(self, plan: Plan) -> bool:
        """Take the outcome of a reload into one's hands; ``False`` when another thread has done so."""
        with self._lock:
            mine = self._plan is plan
            if mine:
                self._plan = None
            return mine

    def _fail(self, plan: Plan, failure: LoadFailure) -> None:
        if self._settle(plan):
            self._give_up(failure, plan)
        else:
            log.warning("model_load_failed_too_late", reason=failure.reason)

    def _give_up(self, failure: LoadFailure, plan: Plan) -> None:
        log.error("model_reload_failed", reason=failure.reason, suggestion=failure.suggestion)
        if plan.seat is not None:  # whoever wanted it is told
            self._as_before()
        elif self._worker.instance is not None:
            self._cell.move("ready", reason=f"reload_failed: {failure.reason}", suggestion=failure.suggestion)
        else:
            self._cell.move("failed", reason=failure.reason, suggestion=failure.suggestion)
            self._queue.fail_all(
                lambda: NotReady("The model failed to load.", reason=failure.reason, retry_after_seconds=30.0)
            )
        self._report(plan, failure)

    def _as_before(self) -> None:
        """What was loaded is not for service: of what serves it says nothing."""
        self._cell.move("ready", reason=self._before.reason, suggestion=self._before.suggestion)

    def _report(self, plan: Plan, failure: LoadFailure | None) -> None:
        """A reload ended, well or not."""
        self._untold = None
        self._meter.reloaded(plan.reason, "ok" if failure is None else "failed")
        self._on_reloaded(plan.reason, None if failure is None else failure.reason)
        plan.done(failure)
