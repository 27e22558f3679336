"""Follow what a container writes, through Docker's API."""

from __future__ import annotations

import calendar
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import structlog

from targets.logfile.entry import Entry
from targets.logfile.part import MakeFramer
from targets.logfile.source import Count
from targets.logfile.stream import Mark, Marked, stored_mark

logger = structlog.get_logger(__name__)

#: When the stream ends, it is asked for again after so long.
AGAIN_MS = 5_000
#: Chunks that wait to be read; Docker waits while there are more, and keeps what comes.
MOST_CHUNKS = 1_000
TIMEOUT_SECONDS = 10.0
MOST_BYTES = 16 * 1024 * 1024
#: Docker stamps its two outputs separately: a line can stand behind one that is younger, by less than this.
OVERLAP_SECONDS = 2
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z ?")


class _Stream(threading.Thread):
    """Takes chunks from Docker, which may block for ever, into a bounded queue. ``since`` are seconds; None: all."""

    def __init__(self, socket: Path, container: str, since: int | None) -> None:
        super().__init__(name="log-container", daemon=True)
        self.chunks: queue.Queue[bytes] = queue.Queue(MOST_CHUNKS)
        self.error: str | None = None
        self.connected = False
        self._socket, self._container, self._since = socket, container, since
        self._cancelled = threading.Event()
        self._answer: Any = None

    def run(self) -> None:
        """Until the stream ends, or nobody wants it."""
        import docker  # type: ignore[import-untyped] # heavy: where it is needed first
        from docker.errors import DockerException, NotFound  # type: ignore[import-untyped]

        try:
            client = docker.APIClient(base_url=f"unix://{self._socket}", version="auto", timeout=TIMEOUT_SECONDS)
            with client:
                self._follow(client)
        except NotFound:
            self.error = "there is no such container"
        except (DockerException, OSError) as error:
            self.error = f"Docker does not answer: {error}"
        except Exception as error:  # noqa: BLE001 - the edge of this thread: a stream breaks in many ways
            logger.info("log_container_ended", container=self._container, error=repr(error))
            self.error = f"the stream broke: {error!r}"

    def _follow(self, client: Any) -> None:
        options = {"tail": "all"} if self._since is None else {"since": self._since}
        self._answer = client.logs(self._container, stream=True, follow=True, timestamps=True, **options)
        self.connected = True
        for chunk in self._answer:
            while not self._cancelled.is_set():
                with suppress(queue.Full):
                    self.chunks.put(chunk, timeout=0.5)
                    break
            if self._cancelled.is_set():
                return
        self.error = "the container has stopped, or its output has ended"

    def cancel(self) -> None:
        """End, without waiting for Docker."""
        self._cancelled.set()
        with suppress(Exception):
            self._answer.close()


class ContainerSource:
    """What ``container`` writes to its two outputs.

    Docker is asked for what was written since some second. Lines of the last seconds are told from those that are new
    by how many of each second were taken.
    """

    behind_bytes = 0

    def __init__(
        self,
        container: str,
        socket: Path,
        make: MakeFramer,
        *,
        begin: Literal["end", "start"] = "end",
        stored: Mapping[str, Any] | None = None,
        count: Count | None = None,
    ) -> None:
        self.up: bool | None = None
        self.error: str | None = None
        self._container, self._socket, self._begin = container, socket, begin
        self._marked = Marked(make, stored_mark(stored), count or Count())
        self._stream: _Stream | None = None
        self._ended_ms: int | None = None
        self._rest = b""
        self._skip: dict[int, int] = {}
        self._seconds: dict[int, int] = {}  # how many lines of each of the last seconds were fed
        self._second = (b"", 0)

    @property
    def count(self) -> Count:
        """What was given out."""
        return self._marked.count

    def look(self, now_ms: int) -> None:
        """See that there is a stream."""
        stream = self._stream
        if stream is not None:
            if stream.is_alive() or not stream.chunks.empty():
                if stream.connected:
                    self.up, self.error = True, None
                return
            self.up, self.error, self._ended_ms = False, stream.error, now_ms
            self.close()
        if self._ended_ms is not None and 0 <= now_ms - self._ended_ms < AGAIN_MS:
            return
        if not self._socket.exists():
            self.up, self.error = None, f"there is no Docker at {self._socket}"
            return
        self._connect(now_ms)

    def _connect(self, now_ms: int) -> None:
        if self._marked.mark is None and self._begin == "end":
            self._marked.begin({"seconds": {str(now_ms // 1000 + OVERLAP_SECONDS): 0}})
        mark = self._marked.mark
        self._rest, self._seconds, self._skip = b"", {}, {}
        since = None
        if mark is not None:
            counts = {int(second): number for second, number in mark["seconds"].items()}
            since = max(counts) - OVERLAP_SECONDS
            self._seconds, self._skip = counts, dict(counts)
        self._stream = _Stream(self._socket, self._container, since)
        self._stream.start()

    def read(self, now_ms: int, most: int) -> tuple[list[Entry], bool]:
        """What has come meanwhile."""
        left = most
        while left > 0 and self._stream is not None:
            try:
                chunk = self._stream.chunks.get_nowait()
            except queue.Empty:
                break
            left -= len(chunk)
            self._marked.feed(self._lines(chunk), now_ms)
        if left == most:
            self._marked.feed((), now_ms)
        return self._marked.take(), left <= 0

    def _lines(self, chunk: bytes) -> Iterator[tuple[bytes, Mark]]:
        """Lines that are new, without their stamps."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            self._rest = self._rest[: MOST_BYTES // 2]
        for line in lines:
            stamp = _STAMP.match(line)
            second = self._second[1] if stamp is None else self._read_second(stamp[1])
            if self._skip.get(second, 0) > 0:
                self._skip[second] -= 1
                continue
            self._seconds[second] = self._seconds.get(second, 0) + 1
            newest = max(self._seconds)
            if len(self._seconds) > OVERLAP_SECONDS + 1:
                recent = {one: n for one, n in self._seconds.items() if one >= newest - OVERLAP_SECONDS}
                self._seconds = recent
            yield (
                (line if stamp is None else line[stamp.end() :]),
                {"seconds": {str(one): number for one, number in self._seconds.items()}},
            )

    def _read_second(self, stamp: bytes) -> int:
        if stamp != self._second[0]:
            self._second = (stamp, calendar.timegm(time.strptime(stamp.decode(), "%Y-%m-%dT%H:%M:%S")))
        return self._second[1]

    def position(self) -> dict[str, Any]:
        """The last seconds, and how many lines of each were given out."""
        return self._marked.position()

    def settled(self) -> None:
        """It is committed."""
        self._marked.settled()

    def undo(self) -> None:
        """Ask for everything after the committed mark again."""
        self._marked.undo()
        self.close()
        self._ended_ms = None

    def close(self) -> None:
        """Let go of the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
