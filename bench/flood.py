"""Requests on a timetable, whether or not the earlier ones have been answered: what a crowd does to a server.

    python -m bench.flood PORT RATE SECONDS [--body JSON] [--path PATH]... [--fresh] [--clients N] [--settle S]

A process of its own with one thread, so that what it measures is not its own queueing. Requests come at random moments
(a Poisson process), kept-alive connections are used again, and times count from the moment at which a request was due:
a server that stalls is charged with all who would have come meanwhile. Without a body it GETs the paths, in turn. With
``--clients`` there is no timetable: so many go on asking, each as soon as it has its answer. What is asked in the first
``--settle`` seconds counts neither in times nor in rates. Prints one line of JSON, a :class:`Tally`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
#: Steps of time in which latencies are counted.
STEPS_PER_SECOND = 10_000
#: How long after the last request answers are still waited for.
PATIENCE_SECONDS = 60.0
_END_OF_HEADERS = b"\r\n\r\n"


@dataclass
class Tally:
    """What came of a flood. ``times`` are counts by status and time, the latter in steps of 0.1 ms."""

    #: How long it lasted, once things had settled.
    seconds: float = 0.0
    sent: int = 0
    #: Requests that were due while every connection waited for an answer; a flood with any of these is none.
    unsent: int = 0
    #: Connections that ended without an answer.
    lost: int = 0
    #: Refusals (429, 503, 504) that did not say when to come back.
    mute: int = 0
    times: dict[int, dict[int, int]] = field(default_factory=dict)
    #: Answers by status that came while it lasted; the last ones come later.
    meanwhile: dict[int, int] = field(default_factory=dict)
    #: How late the sender itself was, in steps.
    late: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Tally:
        """From the line that a flood prints."""
        found = json.loads(text)
        found["times"] = {int(status): _whole(counts) for status, counts in found["times"].items()}
        return cls(**{**found, "late": _whole(found["late"]), "meanwhile": _whole(found["meanwhile"])})

    def count(self, *statuses: int) -> int:
        """How many answers had one of these."""
        return sum(sum(self.times.get(status, {}).values()) for status in statuses)

    def rate(self, status: int = 200) -> float:
        """Answers with ``status`` in a second, while it lasted."""
        return self.meanwhile.get(status, 0) / self.seconds

    def seconds_at(self, share: float, *statuses: int) -> float:
        """The time within which ``share`` of the answers with these came (all without); NaN if there are none."""
        together: Counter[int] = Counter()
        for status in statuses or self.times:
            together.update(self.times.get(status, {}))
        return _quantile(together, share)

    def late_at(self, share: float) -> float:
        """The same for how late the requests were sent."""
        return _quantile(Counter(self.late), share)


def _whole(counts: dict[str, int]) -> dict[int, int]:
    return {int(step): count for step, count in counts.items()}


def _quantile(counts: Counter[int], share: float) -> float:
    wanted, seen = share * counts.total(), 0
    for step in sorted(counts):
        seen += counts[step]
        if seen >= wanted:
            return step / STEPS_PER_SECOND
    return float("nan")


class _Channel(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, flood: _Flood, due: float, request: bytes) -> None:
        self._flood = flood
        self._due: float | None = due
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._said = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def send(self, due: float, request: bytes) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._said += data
        end = self._said.find(_END_OF_HEADERS)
        if end < 0:
            return
        head = bytes(self._said[:end]).lower()
        if len(self._said) < end + len(_END_OF_HEADERS) + _length(head):
            return
        due, self._due = self._due, None
        self._said.clear()
        if b"\r\nconnection: close" in head:
            assert self._transport is not None
            self._transport.close()
        else:
            self._flood.idle.append(self)
        if due is not None:
            self._flood.answered(due, int(head[9:12]), b"\r\nretry-after:" in head)

    def connection_lost(self, error: Exception | None) -> None:
        self._flood.ended(self, waiting=self._due is not None)


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


class _Flood:
    """The sender: ``requests`` in turn, ``rate`` of them in a second, over at most ``connections``."""

    def __init__(
        self, port: int, requests: Sequence[bytes], rate: float, connections: int, seed: int, settle: float
    ) -> None:
        self._port = port
        self._requests = requests
        self._rate = rate
        self._most = connections
        self._dice = random.Random(seed)
        self._open = 0
        self._openings: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._settle = settle
        self._settled = self._loop.time() + settle
        #: Until when every answer is followed by the next request: that of a flood without a timetable.
        self._ask_again = 0.0
        self.idle: list[_Channel] = []
        self.tally = Tally()
        self._times: dict[int, Counter[int]] = {}
        self._late: Counter[int] = Counter()
        self._meanwhile: Counter[int] = Counter()
        self._over = False

    async def run(self, seconds: float) -> Tally:
        """Send by the timetable for so long, then wait for the last answers."""
        began = due = self._loop.time()
        while (due := due + self._dice.expovariate(self._rate)) < began + seconds:
            if (left := due - self._loop.time()) > 0:
                await asyncio.sleep(left)
            self._send(due)
        return await self._end(seconds)

    async def run_clients(self, count: int, seconds: float) -> Tally:
        """The same with so many clients that wait for their answers."""
        self._ask_again = self._loop.time() + seconds
        for _ in range(count):
            self._send(self._loop.time())
        await asyncio.sleep(seconds)
        return await self._end(seconds)

    async def _end(self, seconds: float) -> Tally:
        self.tally.seconds, self._over = seconds - self._settle, True
        until = self._loop.time() + PATIENCE_SECONDS
        while self._open > len(self.idle) and self._loop.time() < until:
            await asyncio.sleep(0.02)
        self.tally.lost += self._open - len(self.idle)
        self.tally.times = {status: dict(counts) for status, counts in sorted(self._times.items())}
        self.tally.late, self.tally.meanwhile = dict(self._late), dict(self._meanwhile)
        return self.tally

    def _send(self, due: float) -> None:
        self._late[_step(self._loop.time() - due)] += 1
        request = self._requests[self.tally.sent % len(self._requests)]
        if self.idle:
            self.tally.sent += 1
            self.idle.pop().send(due, request)
        elif self._open < self._most:
            self.tally.sent += 1
            self._open += 1
            opening = self._loop.create_task(self._connect(due, request))
            self._openings.add(opening)
            opening.add_done_callback(self._openings.discard)
        else:
            self.tally.unsent += 1

    async def _connect(self, due: float, request: bytes) -> None:
        try:
            await self._loop.create_connection(lambda: _Channel(self, due, request), "127.0.0.1", self._port)
        except OSError:
            self._open -= 1
            self.tally.lost += 1

    def answered(self, due: float, status: int, returns: bool) -> None:
        now = self._loop.time()
        if due >= self._settled:
            self._times.setdefault(status, Counter())[_step(now - due)] += 1
        self._meanwhile[status] += now >= self._settled and not self._over
        self.tally.mute += status in (429, 503, 504) and not returns
        if now < self._ask_again:
            self._send(now)

    def ended(self, channel: _Channel, *, waiting: bool) -> None:
        self._open -= 1
        self.tally.lost += waiting
        if channel in self.idle:
            self.idle.remove(channel)


def _step(seconds: float) -> int:
    return round(max(seconds, 0.0) * STEPS_PER_SECOND)


def _request(path: str, body: bytes, fresh: bool) -> bytes:
    """With a body a POST of JSON. ``fresh``: the connection ends with the answer."""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
    if fresh:
        head += "Connection: close\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


@contextmanager
def flooding(port: int, rate: float, seconds: float, *arguments: object) -> Iterator[Pending]:
    """A flood in a process of its own; it is ended with the block."""
    command = [sys.executable, "-m", "bench.flood", port, f"{rate:.3f}", seconds, *arguments]
    with tempfile.TemporaryFile("w+") as said:  # a pipe would be full before anybody reads it
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=said)
        try:
            yield Pending(process, said, seconds)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()


class Pending:
    """A flood under way."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[str], seconds: float) -> None:
        self._process = process
        self._said = said
        self._seconds = seconds

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def tally(self) -> Tally:
        """Wait for its end. Raises ``RuntimeError`` when it failed."""
        if status := self._process.wait(self._seconds + PATIENCE_SECONDS + 30):
            raise RuntimeError(f"the flood ended with status {status}")
        self._said.seek(0)
        return Tally.read(self._said.read())


async def _flood(options: Any) -> Tally:
    requests = [_request(path, options.body.encode(), options.fresh) for path in options.path or ["/predict"]]
    flood = _Flood(options.port, requests, options.rate, options.connections, options.seed, options.settle)
    if options.clients:
        return await flood.run_clients(options.clients, options.seconds)
    return await flood.run(options.seconds)


def main() -> None:
    """Flood, and print the tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float, help="requests in a second")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--body", default="")
    parser.add_argument("--path", action="append", help="may be repeated; default /predict")
    parser.add_argument("--fresh", action="store_true", help="a connection for each request")
    parser.add_argument("--clients", type=int, default=0, help="so many that wait for their answers; RATE is not used")
    parser.add_argument("--settle", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=1024, help="most connections at once")
    print(json.dumps(asdict(asyncio.run(_flood(parser.parse_args())))))


if __name__ == "__main__":
    main()
