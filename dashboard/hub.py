"""Fans the live page out: evaluates what someone watches once per tick, serialises it once, and gives all viewers the
same bytes.

A viewer holds one slot per kind of frame. Who is slow finds the newest frame there and has skipped the rest; nobody
waits for anybody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson
from structlog import get_logger

from dashboard.board import Board
from dashboard.panels import Panel, read_panels
from dashboard.situation import Figures, Quiet, Restart, Situation

if TYPE_CHECKING:
    from alerts.state import Alert
    from config import Settings
    from model.status import Health, ModelStatus
    from promql import Engine

logger = get_logger(__name__)

FrameKind = Literal["tick", "state"]

#: RFC 6455: 1001 "going away"; 1012 "service restart" and 1013 "try again later" are registered with IANA.
GOING_AWAY = 1001
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
#: Request threads that open pages leave free, for requests and for health; of a small pool, half.
SPARE_THREADS = 64


class Closing(NamedTuple):
    """Why the hub ends a connection."""

    code: int
    reason: str


class Topic(NamedTuple):
    """What a viewer watches: a page, with rates over a window in ms."""

    page: str
    window_ms: int


class Viewer:
    """One open page: a mailbox with one slot for each kind of frame."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.skipped = 0
        self.closing: Closing | None = None
        self._slots: dict[FrameKind, Callable[[], bytes]] = {}
        self._lock = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()

    def offer(self, kind: FrameKind, frame: Callable[[], bytes]) -> None:
        """Put a frame into its slot, in place of one that was not taken. Never blocks."""
        with self._lock:
            self.skipped += kind in self._slots
            wake = not self._slots
            self._slots[kind] = frame
        if wake:
            self._wake.put(None)

    def take(self, timeout_seconds: float) -> list[bytes]:
        """Wait for frames and take them; empty after the timeout or when the hub closes."""
        try:
            self._wake.get(timeout=timeout_seconds)
        except Empty:
            return []
        with self._lock:
            frames = list(self._slots.values())
            self._slots.clear()
        return [frame() for frame in frames]

    def close(self, closing: Closing) -> None:
        """Wake the viewer to say good-bye."""
        self.closing = closing
        self._wake.put(None)


class _StateFrame:
    """The state as it is when the first viewer sends it; made once, however many send it."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._bytes: bytes | None = None

    def __call__(self) -> bytes:
        with self._lock:
            if self._bytes is None:
                self._bytes = self._make()
            return self._bytes


class Hub:
    """All viewers of one server process. ``clock`` gives UTC ms for changes between two ticks."""

    def __init__(
        self, board: Board, situation: Situation, *, clock: Callable[[], int], most_viewers: int | None = None
    ) -> None:
        self._board = board
        self._situation = situation
        self._clock = clock
        self._most = most_viewers
        self._viewers: set[Viewer] = set()
        self._lock = threading.Lock()
        self._closing: Closing | None = None
        self._figures = Figures()

    @property
    def board(self) -> Board:
        """The panels, for their history."""
        return self._board

    def panels(self, page: str) -> list[Panel]:
        """The panels of a page in their order."""
        return self._board.panels(page)

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._viewers)

    def join(self, page: str, step_ms: int) -> Viewer:
        """A new viewer of a page whose charts have this step. Its first frame, the state, is already there.

        One that comes while the hub closes, or when it is full, finds its ``closing`` set.
        """
        viewer = Viewer(Topic(page, self._board.window_ms(step_ms)))
        with self._lock:
            closing = self._closing
            if closing is None and self._most is not None and len(self._viewers) >= self._most:
                closing = Closing(TRY_AGAIN_LATER, f"{self._most} pages are open already, as many as may be")
            if closing is None:
                self._viewers.add(viewer)
        if closing:
            viewer.close(closing)
            return viewer
        viewer.offer("state", _StateFrame(self._state_frame))
        return viewer

    def watch(self, viewer: Viewer, page: str, step_ms: int) -> None:
        """Let a viewer watch something else from the next tick on."""
        viewer.topic = Topic(page, self._board.window_ms(step_ms))

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        with self._lock:
            self._viewers.discard(viewer)

    def publish(self, now_ms: int) -> None:
        """The tick's last step: evaluate what is watched, serialise it once per topic, and offer it to the viewers."""
        with self._lock:
            viewers = list(self._viewers)
        if not viewers:
            return
        values = {topic: self._board.now(topic.page, now_ms, topic.window_ms) for topic in {v.topic for v in viewers}}
        for topic, current in values.items():
            if topic.page == "overview":
                self._figures = Figures.of(current)
        state = orjson.Fragment(orjson.dumps(self._situation.now(now_ms, self._figures)))
        frames = {
            topic: orjson.dumps({"type": "tick", "time_ms": now_ms, "state": state, "panels": current})
            for topic, current in values.items()
        }
        for viewer in viewers:
            # A viewer that changed its topic since the list was made waits for the next tick.
            frame = frames.get(viewer.topic)
            if frame is not None:
                viewer.offer("tick", lambda frame=frame: frame)  # type: ignore[misc]

    def notify(self) -> None:
        """Say that something changed that nobody should wait a tick for. Cheap, from any thread: the frame is made by
        the viewer that sends it first."""
        with self._lock:
            viewers = list(self._viewers)
        frame = _StateFrame(self._state_frame)
        for viewer in viewers:
            viewer.offer("state", frame)

    def first(self, page: str, now_ms: int, step_ms: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """State and values for a page's first paint; the state's sentence knows the page's own figures."""
        values = self._board.now(page, now_ms, self._board.window_ms(step_ms))
        figures = Figures.of(values) if page == "overview" else self._figures
        return self._situation.now(now_ms, figures), values

    def close(self, reason: str, code: int = SERVICE_RESTART) -> None:
        """End all connections with a reason, those that come later as well."""
        closing = Closing(code, reason)
        with self._lock:
            self._closing = closing
            viewers = list(self._viewers)
        for viewer in viewers:
            viewer.close(closing)
        logger.info("viewers_closed", count=len(viewers), reason=reason)

    def _state_frame(self) -> bytes:
        now_ms = self._clock()
        return orjson.dumps({"type": "state", "time_ms": now_ms, "state": self._situation.now(now_ms, self._figures)})


def most_viewers(threads: int) -> int:
    """How many pages may be open with so many request threads, each of which one page holds."""
    return threads - min(SPARE_THREADS, threads // 2)


def open_hub(
    settings: Settings,
    query: Engine,
    *,
    started_ms: int,
    safe_mode: bool,
    model: Callable[[], ModelStatus],
    health: Callable[[], Health],
    alerts: Callable[[], Sequence[Alert]],
    last_restart: Callable[[], Restart | None] = lambda: None,
    quiet: Quiet = lambda alert, now_ms: {},
    clock: Callable[[], int],
) -> Hub:
    """The hub of a server process, with the stock panels and the user's; a bad one says on the page what is wrong."""
    board = Board(query, read_panels(settings.panels), interval_seconds=settings.collectors.interval_seconds)
    situation = Situation(
        name=settings.name,
        start_id=f"{started_ms:x}",
        started_ms=started_ms,
        safe_mode=safe_mode,
        model=model,
        health=health,
        alerts=alerts,
        last_restart=last_restart,
        quiet=quiet,
    )
    return Hub(board, situation, clock=clock, most_viewers=most_viewers(settings.server.threads))
