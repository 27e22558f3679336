"""Load one target after the other until one can serve, for as long as anybody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from model.device import Device
from model.fault import LoadFailure
from model.loader import Instance, Loader, Say
from model.release import Releases, Target

log = structlog.get_logger(__name__)


class Attempt:
    """Loads on whatever thread asks. ``serves_on`` says whether anything serves meanwhile, here or elsewhere."""

    def __init__(self, loader: Loader, releases: Releases, serves_on: Callable[[], bool]) -> None:
        self._loader = loader
        self._releases = releases
        self._serves_on = serves_on
        self._lock = threading.Lock()
        self._awaited = False
        #: Whether the model thread hangs in a load that nobody waits for any more.
        self.stuck = False

    def any(self, targets: Sequence[Target], say: Say) -> tuple[Instance | None, LoadFailure | None]:
        """The first of ``targets`` that can serve, and why the one that was wanted cannot. Raises ``Poisoned``."""
        wanted: LoadFailure | None = None
        for target in targets:
            try:
                instance = target.loaded or self._loader.load(say, target.path)
                target.approve(instance)
            except LoadFailure as failure:
                log.error("target_not_loaded", path=target.path, reason=failure.reason)
                self._releases.failed(target.path, failure, serves_on=self._serves_on())
                wanted = wanted or _without_frames(failure)
                continue
            return instance, wanted
        return None, wanted

    def awaited(self, targets: Sequence[Target], say: Say) -> tuple[Instance | None, LoadFailure | None]:
        """As :meth:`any`, on the model thread. Neither an instance nor a failure: it has been left meanwhile."""
        self._awaited = True
        instance, failure = self.any(targets, say)
        with self._lock:
            awaited, self._awaited, self.stuck = self._awaited, False, False
        if awaited:
            return instance, failure
        if instance is not None:
            device = too_late(instance)
            del instance  # the last reference, so that its weights can be freed
            device.release()
        return None, None

    def leave(self) -> bool:
        """Wait no more for the model thread, which hangs in a load; ``False`` if it does not."""
        with self._lock:
            self.stuck, self._awaited = self._awaited, False
            return self.stuck


def too_late(instance: Instance) -> Device:
    """A load has ended after it was given up. The caller has to let go of it and free its memory."""
    log.warning("model_loaded_too_late", load_seconds=round(instance.load_seconds, 3))
    return instance.device


def _without_frames(failure: LoadFailure) -> LoadFailure:
    """It is kept for a while, and its traceback would keep the model that failed in memory."""
    failure.__cause__ = failure.__context__ = None
    return failure.with_traceback(None)
