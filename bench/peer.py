"""Debian's Prometheus beside us: started on loopback with a data folder of its own, fed, left to rest, stopped.

Samples go in by remote write, an hour of all series in one request. Each sample of a ``TimeSeries`` message is 18 bytes
of which only the value and the time differ, so numpy lays them out; the body is valid snappy that compresses nothing.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import psutil

from bench.fleet import Stretch, full_labels
from collectors.sample import Labels, Times, Values
from tests.running import eventually, free_port

HOURS = 24
#: Prometheus keeps two to three hours of newest samples out of its blocks.
HEAD_MS = 3 * 3_600_000
_SAMPLE = np.dtype([("head", "S3"), ("value", "<f8"), ("time_tag", "u1"), ("time", "u1", 6)])


class Prometheus:
    """One Prometheus on a free port of loopback. Use it as a context manager: it starts there and stops here."""

    def __init__(self, folder: Path, config: str = "global: {scrape_interval: 1m}\n") -> None:
        self.folder = folder
        self.config = config
        self.data = folder / "tsdb"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready; one that does not get there is ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yml"
        config.write_text(self.config)
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.data}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver"]
        command += ["--storage.tsdb.retention.time=90d"]
        with (self.folder / "prometheus.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            eventually(self._ready, within=120, what="a ready Prometheus")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in order."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(120)

    @property
    def server(self) -> psutil.Process:
        """The process that answers."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def feed(self, days: Iterable[list[Stretch]]) -> Iterator[int]:
        """Write day after day in the order of time; yields the number of samples after each day."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        for day in days:
            for hour in range(HOURS):
                connection.request("POST", "/api/v1/write", snappy_literal(write_request(day, hour)), headers)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status not in (200, 204):
                    raise RuntimeError(f"Prometheus refused: {answer.status} {said.decode(errors='replace')}")
            yield sum(stretch.values.size for stretch in day)
        connection.close()

    def settle(self, within: float = 900.0) -> None:
        """Wait until nothing is left to compact; Prometheus looks for work once a minute, so more than a minute."""
        started = quiet_since = time.monotonic()
        before: dict[str, float] = {}
        while time.monotonic() - started < within:
            now = self._metrics()
            length = now["head_max_time"] - now["head_min_time"]
            if now["compactions_total"] != before.get("compactions_total") or now["compaction_populating_block"]:
                quiet_since = time.monotonic()
            elif length <= 1.01 * HEAD_MS and time.monotonic() - quiet_since > 70:
                return
            before = now
            time.sleep(1)
        raise RuntimeError("Prometheus did not come to rest")

    def sizes(self) -> dict[str, int]:
        """Bytes by kind: blocks, wal, head (chunks of the head); and the samples that lie in blocks."""
        found = {"blocks": 0, "wal": size_of(self.data / "wal"), "head": size_of(self.data / "chunks_head")}
        found["samples"] = 0
        for meta in self.data.glob("*/meta.json"):
            found["blocks"] += size_of(meta.parent)
            found["samples"] += json.loads(meta.read_text())["stats"]["numSamples"]
        return found

    def _metrics(self) -> dict[str, float]:
        """Those of its storage that have no labels, without their common beginning."""
        text = self._get("/metrics").decode()
        found = re.findall(r"^prometheus_tsdb_(\w+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: see {self.folder / 'prometheus.log'}")
        try:
            return bool(self._get("/-/ready"))
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            return body if answer.status == 200 else b""
        finally:
            connection.close()


def write_request(day: list[Stretch], hour: int) -> bytes:
    """One hour of a day as a protobuf ``prometheus.WriteRequest``."""
    parts: list[bytes] = []
    for stretch in day:
        first, last = (len(stretch.times) * edge // HOURS for edge in (hour, hour + 1))
        for key, row in zip(stretch.keys, stretch.values, strict=True):
            message = _labels(full_labels(key)) + _samples(stretch.times[first:last], row[first:last])
            parts += [b"\x0a", _varint(len(message)), message]
    return b"".join(parts)


def snappy_literal(body: bytes) -> bytes:
    """The snappy block format with nothing compressed: one literal. ``body`` is not empty."""
    return _varint(len(body)) + b"\xfc" + (len(body) - 1).to_bytes(4, "little") + body


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _labels(labels: Labels) -> bytes:
    return b"".join(_field(0x0A, _field(0x0A, name.encode()) + _field(0x12, value.encode())) for name, value in labels)


def _field(tag: int, body: bytes) -> bytes:
    return bytes([tag]) + _varint(len(body)) + body


def _samples(times: Times, values: Values) -> bytes:
    """``Sample`` fields: each 16 bytes behind its tag and length, a double and a varint of six bytes.

    Six bytes hold times from 2004 (2^40 - 2^35 ms) to 2109 (2^42 ms).
    """
    rows = np.empty(len(times), dtype=_SAMPLE)
    rows["head"] = b"\x12\x10\x09"
    rows["value"] = values
    rows["time_tag"] = 0x10
    shifts = np.arange(0, 42, 7)
    rows["time"] = (times[:, None] >> shifts & 0x7F) | np.where(shifts < 35, 0x80, 0)
    return rows.tobytes()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
