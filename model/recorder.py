"""One recorder for the calls of several model threads, which knows of one call at a time: that which runs longest."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from model.progress import Recorder

_Call = tuple[str, int, Sequence[str], Sequence[str]]


class SharedRecorder:
    """Hands out a :meth:`part` for each thread. What is noted is the oldest call that has not ended."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._lock = threading.Lock()
        self._running: dict[object, _Call] = {}

    def part(self) -> Recorder:
        """A recorder for one thread."""
        return _Part(self)

    def begin(self, part: object, call: _Call) -> None:
        """A call of one thread starts; it is noted if no other runs."""
        with self._lock:
            self._running[part] = call
            if len(self._running) == 1:
                self.recorder.begin(*call)

    def end(self, part: object) -> None:
        """It is over; if it was noted, the next takes its place."""
        with self._lock:
            noted = next(iter(self._running), None) is part
            self._running.pop(part, None)
            if noted:
                self.recorder.end()
                if self._running:
                    self.recorder.begin(*next(iter(self._running.values())))


class _Part:
    """What one thread is given."""

    def __init__(self, shared: SharedRecorder) -> None:
        self._shared = shared

    def shapes(self, inputs: Sequence[Any]) -> Sequence[str]:
        """What inputs look like."""
        return self._shared.recorder.shapes(inputs)

    def begin(self, what: str, size: int, request_ids: Sequence[str], shapes: Sequence[str]) -> None:
        """A call starts."""
        self._shared.begin(self, (what, size, request_ids, shapes))

    def end(self) -> None:
        """It is over."""
        self._shared.end(self)

    def enter(self, what: str, request_id: str) -> int:
        """A call beside those of the model threads starts; of these there is room for several."""
        return self._shared.recorder.enter(what, request_id)

    def leave(self, place: int) -> None:
        """It is over."""
        self._shared.recorder.leave(place)
