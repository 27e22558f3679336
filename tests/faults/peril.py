"""Models in which each failure of the recovery ladder really happens, on request or from the start."""

from __future__ import annotations

import ctypes
import math
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from model import BadInput, Golden, Model

MB = 1 << 20
#: What a forward pass may take: the stand-in for a GPU's memory.
BUDGET_MB = 200
#: No test is worth the machine's memory: where nobody ends the process by then, it has failed to happen.
_MOST_EATEN_MB = 2048
#: How long a batch takes as long as all is well: so long that noise is small beside it.
_BATCH_SECONDS = 0.002


class Peril(Model):
    """Doubles ``{"value": 1.5}``; ``"peril": NAME`` has it fail that way.

    ``"mb": 64`` has it take so much memory for the batch, ``"keep_mb": 8`` for as long as it lives. What ails
    it is gone when it is loaded anew.
    """

    name = "peril"

    def load(self, device: str) -> None:
        self.device = device
        self.factor = 2.0
        self.slowness = 0.0
        self.storm = False
        self.kept: list[bytearray] = []

    def decode(self, body: bytes, content_type: str) -> Any:
        given = super().decode(body, content_type)
        if not isinstance(given, dict) or given.get("peril", "storm") not in PERILS | PERILS_OF_DECODE:
            raise BadInput('Send {"value": 1.5}, and with "peril" one of: ' + ", ".join(PERILS | PERILS_OF_DECODE))
        if (peril := PERILS_OF_DECODE.get(given.get("peril", ""))) is not None:
            peril(self)
        return {"value": 1.0, **given}

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        for item in batch:
            if "peril" in item:
                PERILS[item["peril"]](self)
            self.kept.append(bytearray(b"x") * (item.get("keep_mb", 0) * MB))
        if taken := sum(item.get("mb", 0) for item in batch):
            take(taken)
        if self.storm:
            raise ZeroDivisionError("something in the model is broken for good")
        time.sleep(_BATCH_SECONDS + self.slowness)  # this is the model's work, not a wait
        return [self.factor * item["value"] for item in batch]

    def golden(self) -> Sequence[Golden]:
        return [({"value": 2.0}, lambda answer: answer == 4.0)]


class ThirdRequest(Peril):
    """Takes the process with it at the third request that it is given."""

    def load(self, device: str) -> None:
        super().load(device)
        self.served = 0

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        self.served += sum("number" in item for item in batch)
        if self.served >= 3:
            segfault(self)
        return super().predict(batch)


class EndlessLoad(Peril):
    """Never gets its weights, as from a network disk that is gone."""

    def load(self, device: str) -> None:
        hang_in_native_code(self)


# --- memory ---------------------------------------------------------------------------------------------------------


def take(megabytes: int) -> None:
    """Take memory of which there is little. Raises what torch raises when the system refuses it."""
    import torch  # here: the supervisor's side of a test must not need it

    with _little_memory(BUDGET_MB * MB):
        torch.empty(megabytes * MB, dtype=torch.uint8)


@contextmanager
def _little_memory(more: int) -> Iterator[None]:
    """Let the process have ``more`` bytes of address space than it has now, for the moment of one allocation."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def eat(model: Peril) -> None:
    """Take memory and fill it until the kernel ends the process."""
    for _ in range(_MOST_EATEN_MB // 16):
        model.kept.append(bytearray(b"x") * (16 * MB))


# --- wrong answers, failures, slowness -------------------------------------------------------------------------------


def storm(model: Peril) -> None:
    """From now on nothing works."""
    model.storm = True


def rot(model: Peril) -> None:
    """From now on every answer is wrong, as after a bit flip in the weights."""
    model.factor = 3.0


def become_nan(model: Peril) -> None:
    """From now on every answer is no number."""
    model.factor = math.nan


def grow_slow(model: Peril) -> None:
    """From now on everything takes long, as on a device that was throttled."""
    model.slowness = 0.06


def device_assert(model: Peril) -> None:
    """Poison the context: on a GPU for real, elsewhere in CUDA's words."""
    if model.device.startswith("cuda"):
        import torch

        table = torch.zeros(4, device=model.device)
        float(table[torch.tensor([99], device=model.device)].sum())
    raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported asynchronously")


# --- ends -------------------------------------------------------------------------------------------------------------


def leave(model: Peril) -> None:
    """End the process as a library does that calls exit()."""
    os._exit(3)


def kill(model: Peril) -> None:
    """End the process as an impatient administrator does."""
    os.kill(os.getpid(), signal.SIGKILL)


def segfault(model: Peril) -> None:
    """Read what is not there."""
    ctypes.string_at(0)


# --- hangs -----------------------------------------------------------------------------------------------------------


def hang_in_python(model: Peril) -> None:
    """A loop without an end; other threads get their turns."""
    while True:
        sum(range(1000))


def hang_in_native_code(model: Peril) -> None:
    """A call into a library that does not come back; other threads go on."""
    while True:
        ctypes.CDLL(None).sleep(3600)


def hang_with_the_gil(model: Peril) -> None:
    """A call into a library that does not come back and keeps the interpreter: no thread of this process goes on."""
    while True:
        ctypes.PyDLL(None).sleep(3600)


def hang_in_a_pattern(model: Peril) -> None:
    """A regular expression that takes longer than the sun will last, and keeps the interpreter."""
    re.fullmatch(r"(a+)+b", "a" * 100)


PERILS: dict[str, Callable[[Peril], None]] = {
    "eat": eat,
    "storm": storm,
    "rot": rot,
    "nan": become_nan,
    "slow": grow_slow,
    "assert": device_assert,
    "exit": leave,
    "kill": kill,
    "segfault": segfault,
    "hang": hang_in_python,
    "hang-native": hang_in_native_code,
    "hang-gil": hang_with_the_gil,
    "hang-pattern": hang_in_a_pattern,
}
#: Those that happen before there is a batch.
PERILS_OF_DECODE: dict[str, Callable[[Peril], None]] = {
    "decode-hang": hang_in_native_code,
    "decode-hang-gil": hang_with_the_gil,
}
