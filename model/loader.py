"""Bring a model up: device, weights, warm-up, golden inputs. What comes out may serve; anything else is a failure."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog

from config import HealthSettings, ModelSettings
from model.call import LOAD, Calls
from model.device import Device, NoDevice
from model.fault import LoadFailure, Poisoned, brief, classify, sticky
from model.interface import Golden, Model
from model.result import NotJson, to_json
from model.source import is_file_path, resolve
from model.warmup import WarmUp, warm_up

log = structlog.get_logger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Instance:
    """A loaded, warmed and checked model, ready for traffic."""

    model: Model
    name: str
    version: str
    device: Device
    dtype: str | None
    golden: tuple[Golden, ...]
    #: What it has run before its first request.
    warmed: WarmUp
    load_seconds: float
    #: GPU memory that loading and warming up took; 0 on the CPU.
    gpu_bytes: int
    #: What it was loaded from, as ``model.path`` has it; of a folder with versions, the version's folder.
    path: str = ""

    @property
    def batch_limit(self) -> int:
        """Most inputs that fit into one forward pass; less than the setting when the warm-up ran out of memory."""
        return self.warmed.limit

    @property
    def streams(self) -> bool:
        """Whether the model can answer in steps."""
        return type(self.model).stream is not Model.stream

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        """One forward pass; raises whatever the model raises."""
        return self.device.predict(self.model, batch)


def check_golden(model: Model, device: Device, pairs: Sequence[Golden]) -> None:
    """Run golden pairs one by one, as far as their JSON. Raises :class:`LoadFailure` at the first that fails.

    Failures that are the device's, not the answer's (memory, a lost context), are raised as they come.
    """
    for number, (given, check) in enumerate(pairs, start=1):
        results = device.predict(model, [given])
        if len(results) != 1:
            raise LoadFailure(
                f"golden_failed: {len(results)} results for one input", "predict must return one result for each input."
            )
        encoded = model.encode(results[0])
        try:
            to_json(encoded)
        except NotJson as error:
            raise LoadFailure(f"golden_failed: {error.reason}", error.suggestion) from error
        if not check(encoded):
            raise LoadFailure(
                f"golden_failed: pair {number} of {len(pairs)}",
                "The model answers a known input wrongly: check that the weights belong to this code.",
            )


@cache
def _set_imports_aside() -> None:
    """Once: what has been imported stays for good, and the garbage collector need not look at it again.

    Torch alone brings so many objects that each full collection would hold up all requests for a seventh of a second.
    """
    gc.collect()
    gc.freeze()


class Loader:
    """Loads instances of the model that the settings name, or of another version. Runs on the model's threads.

    ``calls`` is told while it does. ``place`` is one of ``model.devices``; without it ``model.device`` says where.
    """

    def __init__(
        self,
        settings: ModelSettings,
        health: HealthSettings,
        clock: Callable[[], float],
        calls: Calls | None = None,
        place: str | None = None,
    ) -> None:
        self._place = place
        self._settings = settings
        self._health = health
        self._clock = clock
        self._calls = calls or Calls(clock)
        self._device: Device | None = None

    @property
    def device(self) -> Device | None:
        """The device, once chosen; it stays the same for the life of the process."""
        return self._device

    def load(self, say: Say, path: str | None = None) -> Instance:
        """A fresh instance. ``say`` is told what is being done. Raises :class:`LoadFailure` or :class:`Poisoned`."""
        path = path or self._settings.path
        try:
            with self._calls.running(LOAD):
                return self._load(say, path)
        except (LoadFailure, Poisoned):
            raise
        except Exception as error:  # a plug-in may raise anything; it is named and handed on
            log.exception("load_failed", path=path)
            slug = sticky(error)
            failure = Poisoned(f"cuda_error: {slug}") if slug else self._explain(error)
        # Raised outside ``except``, so that no traceback keeps what was half loaded in memory.
        if self._device is not None and isinstance(failure, LoadFailure):
            self._device.release()
        raise failure

    def _load(self, say: Say, path: str) -> Instance:
        began = self._clock()
        device = self._open_device(say)
        say("importing the model")
        if is_file_path(path):  # each load reads its code anew; that has to go with its instance
            _set_imports_aside()
        kind = resolve(path)
        _set_imports_aside()
        before = device.memory()
        say("loading weights")
        model = kind()
        model.pin_memory = self._settings.pin_memory
        with device.current():
            model.load(device.name)
        self._to_eval(model, device)
        golden = tuple(model.golden())
        if self._settings.compile:
            say("compiling")
            self._compile(model, device, golden)
        say("warming up")
        warmed = warm_up(
            model,
            device,
            golden,
            batch_size=self._settings.batch_size,
            seconds=self._settings.warm_up_seconds,
            clock=self._clock,
        )
        say("checking golden inputs")
        self._check_golden(model, device, golden)
        after = device.memory()
        return Instance(
            model=model,
            name=model.name,
            version=str(model.version),
            device=device,
            dtype=device.dtype_of(model),
            golden=golden,
            warmed=warmed,
            load_seconds=self._clock() - began,
            gpu_bytes=max(0, after.allocated - before.allocated) if before and after else 0,
            path=path,
        )

    def _open_device(self, say: Say) -> Device:
        if self._device is None:
            say("importing torch")
            try:
                self._device = self._choose_device()
            except NoDevice as error:
                raise LoadFailure(
                    "cuda_unavailable",
                    f"No GPU can be used: {error}. Check nvidia-smi and the driver, or let the model run on the CPU "
                    "(model.device: auto, health.require_gpu: false).",
                ) from error
        return self._device

    def _choose_device(self) -> Device:
        settings, require_gpu = self._settings, self._health.require_gpu
        if self._place is None:
            return Device.choose(
                settings.device,
                require_gpu=require_gpu,
                cpu_threads=settings.cpu_threads,
                autocast=settings.autocast,
            )
        return Device.at(
            self._place,
            require_gpu=require_gpu,
            cpu_threads=settings.cpu_threads,
            sharing=max(1, sum(place.startswith("cpu") for place in settings.devices)),
            autocast=settings.autocast,
        )

    @staticmethod
    def _to_eval(model: Model, device: Device) -> None:
        """Dropout and batch statistics would make answers random; a network left in training mode is a slip."""
        if not device.in_eval(model):
            log.warning("network_left_in_training_mode", model=model.name)
            for network in device.networks(model):
                network.eval()

    @staticmethod
    def _compile(model: Model, device: Device, golden: Sequence[Golden]) -> None:
        """Have the networks compiled, on a golden input. Where that fails the model is served as it was written."""
        if not golden:
            log.warning("not_compiled", model=model.name, why="there is no golden input to compile it with")
            return
        device.compile(model)
        try:
            device.predict(model, [golden[0][0]])
        except Exception as error:
            if classify(error) != "error":
                raise
            log.warning("not_compiled", model=model.name, why=brief(error))
            device.uncompile(model)

    def _check_golden(self, model: Model, device: Device, golden: Sequence[Golden]) -> None:
        try:
            check_golden(model, device, golden)
        except LoadFailure:
            raise
        except Exception as error:
            if classify(error) != "error":
                raise
            raise LoadFailure(
                f"golden_failed: {brief(error)}", "A golden input makes the model raise; the log has the traceback."
            ) from error

    def _explain(self, error: Exception) -> LoadFailure:
        if classify(error) != "memory":
            return LoadFailure(f"load_failed: {brief(error)}", "The model's load raised; the log has the traceback.")
        memory = self._device.memory() if self._device else None
        if memory is None:
            return LoadFailure("load_failed: out_of_memory", "The model does not fit into the machine's memory.")
        return LoadFailure(
            f"insufficient_gpu_memory: {memory.available / 1e9:.1f}GB free",
            "The model does not fit into the GPU's memory: stop other programs on it or lower model.batch_size.",
        )
