"""NVML at its boundary: pynvml's names, answered from a table, with every call counted."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pynvml

DRIVER_ANSWERS: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlSystemGetDriverVersion": "570.1",
    "nvmlSystemGetCudaDriverVersion": 12080,
    "nvmlDeviceRegisterEvents": None,
    "nvmlDeviceGetVbiosVersion": "95.0",
}


class FakeNvml:
    """``answers`` maps a function, or a function with its arguments, to an answer or to an error code (``Error``)."""

    def __init__(self, gpus: int = 1) -> None:
        self.gpus = gpus
        self.answers: dict[Any, Any] = dict(DRIVER_ANSWERS)
        self.events: list[Any] = []
        self.calls: Counter[str] = Counter()
        self._handles: dict[str, Handle] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(pynvml, name)
        if not name.startswith("nvml") or not callable(value) or isinstance(value, type):
            return value
        return lambda *arguments: self._answer(name, arguments)

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.calls[name] += 1
        plain = tuple(_plain(value) for value in arguments)
        for key in ((name, *plain), name):
            if key in self.answers:
                answer = self.answers[key]
                if isinstance(answer, Error):
                    raise pynvml.NVMLError(answer.code)
                return answer
        return self._stock(name, arguments)

    def _stock(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "nvmlDeviceGetCount":
            return self.gpus
        if name == "nvmlDeviceGetHandleByIndex":
            return self._handle(f"card {arguments[0]}")
        if name == "nvmlDeviceGetMigDeviceHandleByIndex":
            return self._handle(f"{arguments[0]} instance {arguments[1]}")
        if name == "nvmlDeviceGetUUID":
            return f"GPU-{arguments[0]}"
        if name == "nvmlDeviceGetName":
            return b"Test Card"
        if name == "nvmlEventSetCreate":
            return self._handle("events")
        if name == "nvmlEventSetWait_v2":
            if not self.events:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
            event = self.events.pop(0)
            return SimpleNamespace(**{**vars(event), "device": self._handle(event.device)})
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    def forget_handles(self) -> None:
        """As when the driver is loaded anew: what was given out before stands for nothing."""
        self._handles.clear()

    def _handle(self, name: str) -> Handle:
        """The one object that stands for a card or an event set, as the library has it."""
        return self._handles.setdefault(name, Handle(name))


class Handle:
    """Opaque to everyone but this fake."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Handle) else repr(value) if isinstance(value, list) else value


class Error:
    """An NVML error as an answer."""

    def __init__(self, code: int) -> None:
        self.code = code


def xid(number: int, card: str = "card 0") -> SimpleNamespace:
    """A critical error event of a card."""
    return SimpleNamespace(device=card, eventType=pynvml.nvmlEventTypeXidCriticalError, eventData=number)


def field_value(code: int = 0, number: int = 0, kind: int = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT) -> SimpleNamespace:
    """One answer of ``nvmlDeviceGetFieldValues``."""
    return SimpleNamespace(nvmlReturn=code, valueType=kind, value=SimpleNamespace(uiVal=number, ullVal=number))


class Clock:
    """Seconds that move only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
