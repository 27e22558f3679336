"""Where the routing comes from: a file, read anew while the server runs, or the default for the channels there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from alerts.delivery.spec import ChannelSpec
from alerts.routing.default import default_routing
from alerts.routing.error import RoutingError
from alerts.routing.load import parse_routing
from alerts.routing.tree import Routing

log = structlog.get_logger(__name__)


class RoutingSource:
    """Gives the routing that is to be in force. All methods may be called from any thread.

    ``path`` None: the default, made of what ``channels`` gives, which a file's own channels are not among. A file that
    cannot be used changes nothing: what it said before stays in force.
    """

    def __init__(self, path: Path | None, channels: Callable[[], Sequence[ChannelSpec]]) -> None:
        self.path = path
        self._channels = channels
        self._lock = threading.RLock()
        self._owed: Routing | None = None
        self._text: str | None = None
        self._seen: str | None = None  # what the file said at the last look
        self._specs: tuple[ChannelSpec, ...] | None = None
        self._problems: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the file as it is now is not in force; empty when it is."""
        return self._problems

    def load(self) -> Routing:
        """Read it for the first time. Raises :class:`RoutingError` where the file cannot be used."""
        with self._lock:
            if self.path is None:
                return self._default()
            self._text = self._seen = text = _read(self.path)
            return parse_routing(text, str(self.path), self.path.parent)

    def poll(self) -> Routing | None:
        """The routing, if it has changed since the last call, else None. To be called every few seconds.

        A file counts once it has said the same for two calls: half a file may be a valid one.
        """
        with self._lock:
            if self.path is None:
                return None if self._specs == tuple(self._channels()) else self._default()
            return self._look_again(self.path, settle=True)

    def reload(self) -> Routing | None:
        """As :meth:`poll`, for somebody who says that the file is ready now."""
        with self._lock:
            if self.path is None:
                return self._default()
            return self._look_again(self.path, settle=False)

    def refresh(self, apply: Callable[[Routing], None], *, settle: bool = True) -> bool:
        """Poll, or with ``settle`` false reload, and have ``apply`` put what has changed in force; whether it had to.

        One caller at a time, so that an older routing follows no newer one. What ``apply`` failed to do comes again.
        """
        with self._lock:
            self._owed = (self.poll() if settle else self.reload()) or self._owed
            if self._owed is None:
                return False
            apply(self._owed)
            self._owed = None
            return True

    def _default(self) -> Routing:
        self._specs = tuple(self._channels())
        return default_routing(self._specs)

    def _look_again(self, path: Path, *, settle: bool) -> Routing | None:
        try:
            text = _read(path)
            settled, self._seen = text == self._seen, text
            if settle and not settled:
                return None
            if text == self._text:
                self._problems = ()
                return None
            routing = parse_routing(text, str(path), path.parent)
        except RoutingError as error:
            if error.problems != self._problems:
                log.error("routing_refused", file=str(path), problem=error.problems[0], problems=len(error.problems))
            self._problems = error.problems
            return None
        self._text, self._problems = text, ()
        return routing


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RoutingError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise RoutingError([f"{path}: is not UTF-8 text"]) from None
