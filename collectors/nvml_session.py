"""The one way to NVML: when it is there, which GPUs it knows, and what each of its errors means.

NVML's functions come from ``pynvml`` or from anything with the same functions (the simulation, the recorder). A
machine without NVIDIA's driver is normal: the session is then *absent* and looks again once a minute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pynvml
import structlog

from collectors.sample import Labels, make_labels

_log = structlog.get_logger(__name__)

#: Seconds until an absent NVML, and the list of GPUs, is looked at again.
REFRESH_SECONDS = 60.0
#: Seconds until a broken GPU or driver is tried again.
RETRY_SECONDS = 10.0

_ABSENT = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver library on this machine",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
}
#: This card or driver will never answer this question.
_UNSUPPORTED = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
        pynvml.NVML_ERROR_VGPU_ECC_NOT_SUPPORTED,
    }
)
#: The card or the driver is out of order.
_BROKEN = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        pynvml.NVML_ERROR_GPU_NOT_FOUND,
    }
)


class Unsupported(Exception):
    """This card or driver does not have what was asked for; there is no use in asking again."""


class NvmlBroken(Exception):
    """A GPU or the driver is out of order."""


class Device(NamedTuple):
    """A GPU or a MIG instance of one. ``gpu`` is NVML's index, ``0:1`` for instance 1 of GPU 0."""

    gpu: str
    uuid: str
    name: str
    labels: Labels
    handle: Any
    is_mig: bool


class NvmlSession:
    """NVML as the collectors share it. Any thread may call any method."""

    def __init__(
        self, library: Any = pynvml, *, simulated: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.library = library
        self._marks = {"simulated": "true"} if simulated else {}
        self._clock = clock
        self._lock = threading.Lock()
        self._initialized = False
        self._devices: tuple[Device, ...] = ()
        self._next_look = -float("inf")
        self._broken: str | None = None
        #: Why there is nothing to read here; None while there is.
        self.absent_reason: str | None = None

    def devices(self) -> tuple[Device, ...]:
        """The GPUs; empty while NVML is absent. The same tuple as long as nothing changes.

        Raises :class:`NvmlBroken` while a GPU or the driver is out of order.
        """
        with self._lock:
            now = self._clock()
            if now >= self._next_look:
                self._next_look = now + REFRESH_SECONDS
                self._broken = None
                self._look()
            if self._broken is not None:
                raise NvmlBroken(self._broken)
            return self._devices

    def index_of(self, uuid: str) -> str | None:
        """The ``gpu`` label of the GPU with this UUID, if it is known."""
        return next((device.gpu for device in self._devices if device.uuid == uuid), None)

    def query(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call one NVML function. None means: no answer this time.

        Raises :class:`Unsupported` if there will never be one, :class:`NvmlBroken` if the GPU or driver is broken.
        """
        try:
            return function(*arguments)
        except pynvml.NVMLError as error:
            if error.value in _UNSUPPORTED:
                raise Unsupported(str(error)) from None
            if error.value in _BROKEN:
                self._break(error)
                raise NvmlBroken(self._broken) from error
            return None

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Like :meth:`query`, for what is asked rarely: None also where it is not supported."""
        try:
            return self.query(function, *arguments)
        except Unsupported:
            return None

    def _break(self, error: pynvml.NVMLError) -> None:
        self._broken = f"NVML: {error}"
        self._next_look = self._clock() + RETRY_SECONDS
        if error.value in (pynvml.NVML_ERROR_UNINITIALIZED, pynvml.NVML_ERROR_DRIVER_NOT_LOADED):
            self._initialized = False
            self._devices = ()  # their handles are worth nothing once NVML is started anew

    def _look(self) -> None:
        """Start NVML if need be and list the GPUs anew."""
        try:
            if not self._initialized:
                self.library.nvmlInit()
                self._initialized = True
            found = tuple(self._discover())
        except pynvml.NVMLError as error:
            self._devices = ()
            if error.value in _ABSENT:
                self._be_absent(_ABSENT[error.value])
            else:
                self._break(error)
            return
        if not found:
            self._be_absent("NVML knows no GPU on this machine")
        else:
            self.absent_reason = None
        if [device[:-2] for device in found] != [device[:-2] for device in self._devices]:
            self._devices = found
            _log.info("gpus_found", gpus=[device.gpu for device in found], names=sorted({d.name for d in found}))

    def _be_absent(self, reason: str) -> None:
        self._devices = ()
        if reason != self.absent_reason:
            _log.info("nvml_absent", reason=reason)
        self.absent_reason = reason

    def _discover(self) -> Iterator[Device]:
        library = self.library
        for index in range(library.nvmlDeviceGetCount()):
            handle = library.nvmlDeviceGetHandleByIndex(index)
            yield self._device(str(index), handle)
            mode = self.ask(library.nvmlDeviceGetMigMode, handle)
            if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
                continue
            for number in range(self.ask(library.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
                instance = self.ask(library.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
                if instance is not None:
                    yield self._device(f"{index}:{number}", instance, is_mig=True)

    def _device(self, gpu: str, handle: Any, *, is_mig: bool = False) -> Device:
        uuid = text(self.library.nvmlDeviceGetUUID(handle))
        name = text(self.library.nvmlDeviceGetName(handle))
        labels = make_labels(gpu=gpu, uuid=uuid, name=name, **self._marks)
        return Device(gpu, uuid, name, labels, handle, is_mig)


def text(value: str | bytes) -> str:
    """NVML's strings are bytes in some versions of the bindings."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def is_unsupported(code: int) -> bool:
    """Whether this NVML return code means that there will never be an answer."""
    return code in _UNSUPPORTED
