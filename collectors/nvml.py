"""NVIDIA GPUs: reads the rows of :mod:`collectors.nvml_field` on every GPU, and listens for Xid errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pynvml

from collectors.nvml_field import PCIE, Field, Values
from collectors.nvml_session import Device, NvmlSession, Unsupported, text
from collectors.sample import Labels, Sample

#: Most Xid events taken in one run, lest a storm of them hold up the tick.
_MAX_EVENTS = 64


class _Question(NamedTuple):
    """A field bound to one device: what to call, and the finished series of its answer."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    series: tuple[tuple[str, Labels], ...]
    values: Values
    field: Field


class _Reader:
    """Asks some devices a table of fields. A field that a card does not support is not asked again."""

    def __init__(self, session: NvmlSession, devices: tuple[Device, ...], fields: Sequence[Field]) -> None:
        self._session = session
        self._devices = devices
        self._questions = [self._bind(device, field) for device in devices for field in fields]

    def read(self) -> list[Sample]:
        """All values of this moment, device by device."""
        samples: list[Sample] = []
        unsupported = []
        for number, question in enumerate(self._questions):
            try:
                answer = self._session.query(question.function, *question.arguments)
                if answer is None:
                    continue
                for (name, labels), value in zip(question.series, question.values(answer), strict=True):
                    if value is not None:
                        samples.append(Sample(name, labels, float(value)))
            except Unsupported:
                unsupported.append(number)
        if unsupported:
            self._give_up(unsupported)
        return samples

    def _bind(self, device: Device, field: Field) -> _Question:
        series = tuple((name, tuple(sorted(device.labels + labels))) for name, labels in field.series)
        function = getattr(self._session.library, field.function)
        return _Question(function, (device.handle, *field.arguments), series, field.values, field)

    def _give_up(self, unsupported: list[int]) -> None:
        """Replace questions that the card does not support by their fallbacks, or drop them."""
        for number in reversed(unsupported):
            question = self._questions[number]
            fallback = question.field.fallback
            if fallback is None:
                del self._questions[number]
                continue
            device = next(device for device in self._devices if device.handle is question.arguments[0])
            self._questions[number] = self._bind(device, fallback)


class NvmlCollector:
    """Reads a table of fields on every GPU and MIG instance.

    No NVML at all is no error: nothing is yielded, and ``absent_reason`` says why. A lost GPU or a broken driver
    raises ``NvmlBroken``.
    """

    def __init__(
        self, session: NvmlSession, fields: Sequence[Field], *, name: str = "nvml", interval_seconds: float = 1.0
    ) -> None:
        self.name = name
        self.interval_seconds = interval_seconds
        self._session = session
        self._fields = fields
        self._devices: tuple[Device, ...] = ()
        self._reader = _Reader(session, (), ())

    @property
    def absent_reason(self) -> str | None:
        """Why there are no GPUs to read; None while there are."""
        return self._session.absent_reason

    def collect(self) -> Iterable[Sample]:
        """All values of this moment, GPU by GPU."""
        devices = self._session.devices()
        if devices is not self._devices:
            self._reader = _Reader(self._session, devices, self._fields)
            self._devices = devices
        return self._reader.read()


class NvmlPcieCollector:
    """PCIe traffic. NVML measures it for 20 ms a number, so with many GPUs each run asks as many as its budget allows.

    The others keep their last values until their turn comes.
    """

    def __init__(
        self,
        session: NvmlSession,
        interval_seconds: float = 10.0,
        *,
        budget_seconds: float = 0.15,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = "nvml_pcie"
        self.interval_seconds = interval_seconds
        self._session = session
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._devices: tuple[Device, ...] = ()
        self._readers: list[_Reader] = []
        self._samples: dict[int, list[Sample]] = {}
        self._turn = 0

    @property
    def absent_reason(self) -> str | None:
        """Why there are no GPUs to read; None while there are."""
        return self._session.absent_reason

    def collect(self) -> Iterable[Sample]:
        """The newest values of each GPU."""
        devices = self._session.devices()
        if devices is not self._devices:
            self._readers = [_Reader(self._session, (device,), PCIE) for device in devices]
            self._samples = {}
            self._devices = devices
        until = self._clock() + self._budget_seconds
        for _ in self._readers:
            self._turn = (self._turn + 1) % len(self._readers)
            self._samples[self._turn] = self._readers[self._turn].read()
            if self._clock() >= until:
                break
        for number in sorted(self._samples):
            yield from self._samples[number]


class NvmlEventCollector:
    """What is said once or seldom: ``gpu_info``, and Xid errors counted since the start.

    A Xid's series begins with 0 in the run that first sees it and shows the count from the next run on, so that
    ``increase()`` sees the first one too.
    """

    def __init__(self, session: NvmlSession, interval_seconds: float = 10.0) -> None:
        self.name = "nvml_event"
        self.interval_seconds = interval_seconds
        self._session = session
        self._devices: tuple[Device, ...] = ()
        self._events: Any = None
        self._info: list[Sample] = []
        self._counts: dict[tuple[str, int], int] = {}

    @property
    def absent_reason(self) -> str | None:
        """Why there are no GPUs to read; None while there are."""
        return self._session.absent_reason

    def collect(self) -> Iterable[Sample]:
        """``gpu_info`` of each GPU and the Xid counts."""
        devices = self._session.devices()
        if devices is not self._devices:
            self._events = self._listen(devices)
            self._info = list(self._describe(devices))
            self._devices = devices
        known = set(self._counts)
        self._take_events()
        by_uuid = {device.uuid: device.labels for device in devices}
        yield from self._info
        for (uuid, xid), count in sorted(self._counts.items()):
            if uuid in by_uuid:
                labels = tuple(sorted((*by_uuid[uuid], ("xid", str(xid)))))
                yield Sample("gpu_xid_errors_total", labels, float(count if (uuid, xid) in known else 0))

    def _take_events(self) -> None:
        if self._events is None:
            return
        library = self._session.library
        for _ in range(_MAX_EVENTS):
            event = self._session.ask(library.nvmlEventSetWait_v2, self._events, 0)
            if event is None:
                return
            uuid = self._session.ask(library.nvmlDeviceGetUUID, event.device)
            if uuid is not None and event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                key = text(uuid), int(event.eventData)
                self._counts[key] = self._counts.get(key, 0) + 1

    def _listen(self, devices: tuple[Device, ...]) -> Any:
        """An event set that hears of Xid errors on all GPUs that tell of them; None if no GPU does."""
        if not devices:
            return None
        session = self._session
        events = session.ask(session.library.nvmlEventSetCreate)
        if events is None:
            return None
        heard = 0
        for device in devices:
            if device.is_mig:
                continue  # a MIG instance's errors are told by its GPU
            try:
                session.query(
                    session.library.nvmlDeviceRegisterEvents,
                    device.handle,
                    pynvml.nvmlEventTypeXidCriticalError,
                    events,
                )
                heard += 1
            except Unsupported:
                continue
        return events if heard else None

    def _describe(self, devices: tuple[Device, ...]) -> Iterator[Sample]:
        if not devices:
            return
        session = self._session
        driver = session.ask(session.library.nvmlSystemGetDriverVersion)
        cuda = session.ask(session.library.nvmlSystemGetCudaDriverVersion)
        for device in devices:
            vbios = session.ask(session.library.nvmlDeviceGetVbiosVersion, device.handle)
            facts = {
                "driver": text(driver) if driver is not None else "",
                "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda is not None else "",
                "vbios": text(vbios) if vbios is not None else "",
            }
            known = tuple((name, value) for name, value in facts.items() if value)
            yield Sample("gpu_info", tuple(sorted(device.labels + known)), 1.0)
