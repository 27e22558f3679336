"""Services that somebody else runs on the same machine, to be watched: web servers with metrics, and writers of logs.

    python -m bench.neighbour web PORT SERIES           answers on PORT until it is ended; /metrics has SERIES series
    python -m bench.neighbour logs FOLDER FILES LINES SECONDS ROTATIONS

``logs`` writes LINES lines a second in all into FILES files of FOLDER and turns them over ROTATIONS times in all, as
logrotate does by renaming. Every line has a number; how many were written is the last thing it prints, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TextIO

#: One line in so many is an error that a pattern looks for.
ERROR_EVERY = 500
#: Seconds between two writes to each file, as of a program whose output is buffered by lines.
WRITE_SECONDS = 0.05
KEPT = 3


def metrics(series: int) -> bytes:
    """What an exporter with so many series answers, in Prometheus' text format: a third each of three kinds."""
    lines = [
        "# TYPE neighbour_requests_total counter",
        "# TYPE neighbour_load gauge",
        "# TYPE neighbour_seconds summary",
    ]
    for index in range(series):
        name = ("neighbour_requests_total", "neighbour_load", "neighbour_seconds")[index % 3]
        labels = f'{{shard="{index}",route="/api/v1/items",method="GET",status="200"}}'
        lines.append(f"{name}{labels} {index * 1.5 + time.time() % 1000:.6f}")
    return ("\n".join(lines) + "\n").encode()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, series: int) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        request = await reader.readuntil(b"\r\n\r\n")
        body = metrics(series) if request.startswith(b"GET /metrics") else b'{"status": "ok"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    writer.close()


async def web(port: int, series: int) -> None:
    """Answer on ``port`` until the process is ended."""
    server = await asyncio.start_server(lambda reader, writer: _answer(reader, writer, series), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


class LogFile:
    """One log: numbered lines, flushed in batches, turned over by renaming."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.errors = 0
        self._file = self._open()

    def write(self, count: int) -> None:
        """Write so many lines."""
        batch = []
        for _ in range(count):
            self.lines += 1
            said = "INFO worker: prompt executed in 1.25 seconds, queue 3, image 1024x1024"
            if self.lines % ERROR_EVERY == 0:
                self.errors += 1
                said = "ERROR worker: Execution error in node KSampler"
            batch.append(f"2026-11-22 01:02:03,456 {said} #{self.lines}\n")
        self._file.write("".join(batch))
        self._file.flush()

    def rotate(self) -> None:
        """Rename it and its forerunners, and begin anew."""
        self._file.close()
        for number in range(KEPT - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(self.path.with_name(f"{self.path.name}.1"))
        self._file = self._open()

    def close(self) -> None:
        self._file.close()

    def _open(self) -> TextIO:
        return self.path.open("a", encoding="utf-8")


def logs(folder: Path, files: int, lines: int, seconds: float, rotations: int) -> dict[str, int]:
    """Write at an even pace; what is owed after a pause of the machine is made up for."""
    targets = [LogFile(folder / f"service{index:02}.log") for index in range(files)]
    began, written, rotated = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - began) < seconds:
        owed = int(elapsed * lines) - written
        for index, target in enumerate(targets):
            target.write(owed // files + (index < owed % files))
        written += owed
        while rotated < rotations * elapsed / seconds:
            targets[rotated % files].rotate()
            rotated += 1
        time.sleep(WRITE_SECONDS)
    for target in targets:
        target.close()
    return {
        "lines": sum(one.lines for one in targets),
        "errors": sum(one.errors for one in targets),
        "rotations": rotated,
    }


def main(arguments: list[str]) -> None:
    if arguments[0] == "web":
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(web(int(arguments[1]), int(arguments[2])))
        return
    folder, files, lines, seconds, rotations = arguments[1:]
    print(json.dumps(logs(Path(folder), int(files), int(lines), float(seconds), int(rotations))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
