"""Replays a recording of NVML, so that the collectors run the same code where there is no GPU.

A recording is a JSON file that ``python -m collectors.record`` writes: for each call with its arguments, the answers
and the seconds at which they changed. It is replayed in a loop, for as many GPUs as are asked for; when more are asked
for than were recorded, the copies are at other points of the loop. What the recording does not know is answered
"not supported".
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pynvml

#: The ``format`` of a recording.
FORMAT = "wakeless-nvml/1"
DEFAULT_RECORDING = Path(__file__).with_name("fixtures") / "modelled-l4.json"

#: How far apart in the loop two copies of a recorded GPU are.
_PHASE_SECONDS = 47.0
#: Answers that only grow: each round of the loop goes on where the last one ended.
_COUNTERS = frozenset({"nvmlDeviceGetTotalEnergyConsumption"})
_GET_DEVICE = "nvmlDeviceGetHandleByIndex"


class RecordingError(ValueError):
    """A file is no recording; the message says why."""


class Handle(NamedTuple):
    """An opaque object of NVML: the call that made it, and which simulated GPU it belongs to."""

    made_by: str
    gpu: int


class Timeline(NamedTuple):
    """The answers to one call: ``answers[i]`` holds from ``times[i]`` on, in seconds."""

    times: tuple[float, ...]
    answers: tuple[Any, ...]

    def index_at(self, seconds: float) -> int:
        return max(bisect_right(self.times, seconds) - 1, 0)


class SimulatedNvml:
    """Stands for the module ``pynvml``: its functions answer from a recording, everything else is pynvml's own.

    ``clock`` gives seconds; the same clock reading always gives the same answers.
    """

    def __init__(self, recording: Path, gpus: int, clock: Callable[[], float] = time.time) -> None:
        self._gpus = gpus
        self._clock = clock
        self._seconds, self._timelines = _load(recording)
        self._recorded_gpus = _recorded_gpus(self._timelines)
        self._polled: float | None = None
        self._events: deque[Any] = deque()

    def __getattr__(self, name: str) -> Any:
        """pynvml's ``name``; for a function of NVML, one that replays it."""
        value = getattr(pynvml, name)
        if name.startswith("nvml") and callable(value) and not isinstance(value, type):
            value = self._replay(name)
            setattr(self, name, value)  # found directly the next time
        return value

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        return self._gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:  # noqa: N802 - NVML's name
        if not 0 <= index < self._gpus:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return Handle(f"{_GET_DEVICE}({index % self._recorded_gpus})", index)

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:  # noqa: N802 - NVML's name
        """The recorded UUID, made unique for each simulated GPU."""
        uuid: str = self._replay("nvmlDeviceGetUUID")(handle)
        return f"{uuid[:-4]}{handle.gpu:04x}"

    def nvmlEventSetWait_v2(self, events: Handle, timeout_ms: int) -> Any:  # noqa: N802 - NVML's name
        """The next recorded event whose time has come since the last call; otherwise times out at once."""
        timeline = self._timelines.get(call_key("nvmlEventSetWait_v2", [_plain(events), timeout_ms]))
        now, before = self._clock(), self._polled
        self._polled = now
        if timeline is not None and before is not None:
            start = now - now % self._seconds
            for time_, answer in zip(timeline.times, timeline.answers, strict=True):
                at = start + time_ if start + time_ <= now else start + time_ - self._seconds
                if before < at and not isinstance(answer, pynvml.NVMLError):
                    self._events.append(answer)
        if self._events:
            return self._events.popleft()
        raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)

    def _replay(self, name: str) -> Callable[..., Any]:
        known: dict[Any, tuple[float, Timeline | None]] = {}
        is_counter = name in _COUNTERS

        def answer(*arguments: Any) -> Any:
            key = tuple(tuple(value) if isinstance(value, list) else value for value in arguments)
            found = known.get(key)
            if found is None:
                found = known[key] = self._find(name, arguments)
            phase, timeline = found
            if timeline is None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            round_, seconds = divmod(self._clock() + phase, self._seconds)
            value = _give(timeline.answers[timeline.index_at(seconds)])
            if is_counter:
                value += int(round_) * (timeline.answers[-1] - timeline.answers[0])
            return _of_gpu(value, arguments)

        return answer

    def _find(self, name: str, arguments: tuple[Any, ...]) -> tuple[float, Timeline | None]:
        owner = next((value.gpu for value in arguments if isinstance(value, Handle)), 0)
        phase = owner // self._recorded_gpus * _PHASE_SECONDS
        return phase, self._timelines.get(call_key(name, [_plain(value) for value in arguments]))


def call_key(name: str, arguments: list[Any]) -> str:
    """How a call is called in a recording: ``name(arguments as JSON)``; an opaque object is ``{"handle": …}``."""
    return f"{name}({json.dumps(arguments, separators=(',', ':'))[1:-1]})"


def _plain(value: Any) -> Any:
    return {"handle": value.made_by} if isinstance(value, Handle) else value


def _give(answer: Any) -> Any:
    """The answer, or the error that was recorded."""
    if isinstance(answer, pynvml.NVMLError):
        raise pynvml.NVMLError(answer.value)
    return answer


def _of_gpu(value: Any, arguments: tuple[Any, ...]) -> Any:
    """A handle that was got from a handle belongs to the same simulated GPU."""
    if isinstance(value, Handle) and arguments and isinstance(arguments[0], Handle):
        return value._replace(gpu=arguments[0].gpu)
    return value


def _load(recording: Path) -> tuple[float, dict[str, Timeline]]:
    """Read a recording: the length of its loop and its timelines. Raises :class:`RecordingError`."""
    try:
        tree = json.loads(recording.read_text(encoding="utf-8"))
        if tree.get("format") != FORMAT:
            raise RecordingError(f"{recording} is not a recording of NVML ({FORMAT})")
        timelines = {}
        for call in tree["calls"]:
            times, answers = zip(*call["answers"], strict=True)
            key = call_key(call["call"], call["arguments"])
            timelines[key] = Timeline(tuple(map(float, times)), tuple(map(_decoded, answers)))
        return float(tree["seconds"]), timelines
    except OSError as error:
        raise RecordingError(f"cannot read {recording}: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{recording} is not a recording of NVML: {error}") from error


def _decoded(answer: Any) -> Any:
    """An answer as pynvml gives it: structures become objects with attributes, errors exceptions."""
    if isinstance(answer, list):
        return [_decoded(value) for value in answer]
    if not isinstance(answer, dict):
        return answer
    if "error" in answer:
        return pynvml.NVMLError(answer["error"])
    if "handle" in answer:
        return Handle(answer["handle"], 0)
    return SimpleNamespace(**{name: _decoded(value) for name, value in answer.items()})


def _recorded_gpus(timelines: dict[str, Timeline]) -> int:
    count = 0
    while call_key(_GET_DEVICE, [count]) in timelines:
        count += 1
    if count == 0:
        raise RecordingError("the recording holds no GPU")
    return count
