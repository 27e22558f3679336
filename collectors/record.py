"""Records the real answers of every NVML call that the collectors make: ``python -m collectors.record OUT.json``."""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pynvml

from collectors.build import nvml_collectors
from collectors.nvml_session import NvmlSession
from collectors.sample import Collector
from collectors.simulation import FORMAT, call_key

_SLOW_SECONDS = 10
_EVENT_WAIT = "nvmlEventSetWait_v2"


class Recorder:
    """Stands between the collectors and ``pynvml`` (or what has its functions) and notes every answer when it changes.

    ``clock`` gives seconds since the start of the recording.
    """

    def __init__(self, library: Any, clock: Callable[[], float]) -> None:
        self._library = library
        self._clock = clock
        self._calls: dict[str, dict[str, Any]] = {}
        self._handles: dict[int, str] = {}
        self._kept: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._library, name)
        if name.startswith("nvml") and callable(value) and not isinstance(value, type):
            value = self._noting(name, value)
            setattr(self, name, value)
        return value

    def recording(self, seconds: float, **facts: str) -> dict[str, Any]:
        """What was noted, as :mod:`collectors.simulation` reads it."""
        return {"format": FORMAT, **facts, "seconds": seconds, "calls": list(self._calls.values())}

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            plain = [self._plain(value) for value in arguments]
            try:
                answer = function(*arguments)
            except pynvml.NVMLError as error:
                self._note(name, plain, {"error": error.value})
                raise
            self._note(name, plain, self._plain(answer, call_key(name, plain)))
            return answer

        return call

    def _note(self, name: str, arguments: list[Any], answer: Any) -> None:
        key = call_key(name, arguments)
        call = self._calls.setdefault(key, {"call": name, "arguments": arguments, "answers": []})
        answers = call["answers"]
        if not answers or answers[-1][1] != answer or (name == _EVENT_WAIT and "error" not in answer):
            answers.append([round(self._clock(), 3), answer])

    def _plain(self, value: Any, made_by: str | None = None) -> Any:
        """A value as JSON has it. An opaque object is known by the call that made it first."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, list | tuple | ctypes.Array):
            return [self._plain(item) for item in value]
        if isinstance(value, ctypes.Structure | ctypes.Union):
            return {name: self._plain(getattr(value, name)) for name, *_ in value._fields_}
        if type(value).__name__ in ("nvmlFriendlyObject", "SimpleNamespace"):
            return {name: self._plain(item) for name, item in vars(value).items()}
        return self._handle(value, made_by)

    def _handle(self, value: Any, made_by: str | None) -> dict[str, str] | None:
        """An opaque object; None for one that no noted call has made."""
        pointer = isinstance(value, ctypes._Pointer)
        identity = ctypes.cast(value, ctypes.c_void_p).value or 0 if pointer else id(value)
        if identity not in self._handles:
            if made_by is None:
                return None
            self._handles[identity] = made_by
            self._kept.append(value)  # so that no other object gets its identity
        return {"handle": self._handles[identity]}


def run(recorder: Recorder, seconds: int, wait_until: Callable[[float], None]) -> None:
    """Let all NVML collectors read through the recorder once a second; the slow ones every ten seconds."""
    collectors = nvml_collectors(NvmlSession(recorder), 1.0, _SLOW_SECONDS)
    for second in range(seconds):
        wait_until(second)
        for collector in collectors:
            if second % round(collector.interval_seconds) == 0:
                _read(collector)


def write(path: Path, recording: dict[str, Any]) -> None:
    """Write a recording with one call a line, so that it can be looked at and compared."""
    head = {name: value for name, value in recording.items() if name != "calls"}
    lines = ",\n".join(json.dumps(call, separators=(",", ":")) for call in recording["calls"])
    path.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "calls": [\n{lines}\n]}}\n', encoding="utf-8")


def _read(collector: Collector) -> None:
    for _ in collector.collect():
        pass


def main(arguments: list[str] | None = None) -> int:
    """Record this machine's GPUs. Exits with 1 where there are none."""
    parser = argparse.ArgumentParser(prog="python -m collectors.record", description=__doc__)
    parser.add_argument("out", type=Path, help="the JSON file to write")
    parser.add_argument("--seconds", type=int, default=60, help="how long to record (default: 60)")
    options = parser.parse_args(arguments)
    probe = NvmlSession()
    if not probe.devices():
        sys.stderr.write(f"nothing to record: {probe.absent_reason}\n")
        return 1
    start = time.monotonic()
    recorder = Recorder(pynvml, lambda: time.monotonic() - start)
    run(recorder, options.seconds, lambda second: time.sleep(max(start + second - time.monotonic(), 0)))
    names = ", ".join(device.name for device in probe.devices())
    day = datetime.now(UTC).date().isoformat()
    write(options.out, recorder.recording(options.seconds, origin="recorded", description=f"{names}, recorded {day}."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
