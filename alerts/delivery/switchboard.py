"""The switchboard: brings the channels of the settings, the routing file and the page together, and tries them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from secrets import token_hex

import structlog

from alerts.delivery.address import canonical
from alerts.delivery.channel import Channel
from alerts.delivery.message import Message
from alerts.delivery.receipt import DeliveryError, whole
from alerts.delivery.registry import ChannelRegistry
from alerts.delivery.secret import scheme_of
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.store import ChannelError, ChannelStore, StoredChannel, check_spec

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """A channel as people may see it: everything but where it leads."""

    name: str
    kind: str
    scheme: str
    origin: str
    language: str | None
    least_level: int
    per_minute: float
    picture: bool
    send_resolved: bool
    max_alerts: int
    created_by: str | None = None
    created_ms: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """How a test went: what the service answered, and how long it took."""

    ok: bool
    answer: str
    seconds: float


class Switchboard:
    """Owns what the registry holds: first the settings' channels, then the routing file's, then the page's.

    ``on_change`` hears when that has changed, so that the routing can follow.
    """

    def __init__(
        self,
        registry: ChannelRegistry,
        store: ChannelStore,
        build: Callable[[ChannelSpec], Channel],
        fixed: Sequence[ChannelSpec] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.registry = registry
        self._store = store
        self._build = build
        self._fixed = tuple(canonical(spec) for spec in fixed)
        self._routed: tuple[ChannelSpec, ...] = ()
        self._problems: dict[str, str] = {}
        self._lock = threading.Lock()
        self.on_change = on_change
        self.refresh()

    def refresh(self) -> None:
        """Read the page's channels anew and hand all to the registry; those whose key is lost are said to be so."""
        with self._lock:  # of two at once the later must be the one that read later, or a new channel is lost again
            self._take(self._store.list())

    def _take(self, stored: Sequence[StoredChannel]) -> None:
        problems = {one.spec.name: one.problem for one in stored if one.problem is not None}
        if problems != self._problems:
            for problem in problems.values():
                log.error("channel_unreadable", reason=problem)
        self._problems = problems
        self.registry.replace([*self._fixed, *self._routed, *(one.spec for one in stored)], problems)

    def reroute(self, specs: Iterable[ChannelSpec]) -> None:
        """The routing file's channels are these now."""
        self._routed = tuple(canonical(spec) for spec in specs)
        self.refresh()

    def list(self) -> list[Listed]:
        """All channels, as people may see them."""
        with self._lock:
            found = self._store.list()
            if self._problems:
                self._take(found)  # the key file may be back
        stored = {one.spec.name: one for one in found}
        return [_listed(spec, stored.get(spec.name)) for spec in self.registry.specs()]

    def add(self, spec: ChannelSpec, by: str, now_ms: int) -> None:
        """A new channel of the page. Raises :class:`ChannelError`."""
        if spec.name in self.registry.names():
            raise ChannelError("conflict", f"there is a channel {spec.name!r} already")
        self._store.add(canonical(spec), by, now_ms)
        self._changed()

    def change(self, spec: ChannelSpec) -> None:
        """Another spec for a channel of the page; an empty URL keeps the one it has. Raises :class:`ChannelError`."""
        if not spec.url.get_secret_value() and spec.kind != self._store.get(spec.name).spec.kind:
            raise ChannelError("invalid", "another kind of channel needs another URL")
        self._store.change(canonical(spec))
        self._changed()

    def remove(self, name: str) -> None:
        """Remove a channel of the page; what waits for it is given up. Raises :class:`ChannelError`."""
        self._store.remove(name)
        self._changed()

    def stored(self, name: str) -> StoredChannel:
        """A channel of the page. Raises :class:`ChannelError`."""
        return self._store.get(name)

    def test(self, name: str, now_ms: int) -> Trial:
        """Send a test through a channel, past the outbox. Raises :class:`ChannelError` if there is no such channel."""
        channel = self.registry.get(name)
        if channel is None:
            raise ChannelError("not_found", f"there is no channel {name!r}")
        return _try(channel, now_ms)

    def test_spec(self, spec: ChannelSpec, now_ms: int) -> Trial:
        """Send a test through a channel that is not kept. Raises :class:`ChannelError` for a spec that will not do."""
        wanted = canonical(spec)
        check_spec(wanted)
        return _try(self._build(wanted), now_ms)

    def _changed(self) -> None:
        self.refresh()
        self.on_change()


def _try(channel: Channel, now_ms: int) -> Trial:
    key = f"test-{token_hex(8)}"
    message = Message("test", channel.name, key, {}, (), now_ms)
    begun = time.monotonic()
    try:
        ok, answer = True, whole(channel.send(message, key, now_ms).answer)
    except DeliveryError as error:
        ok, answer = False, str(error)
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises is a failed attempt
        # Its text may hold the URL, so only its kind is told.
        ok, answer = False, f"the channel failed with {type(error).__name__}"
    return Trial(ok, answer, round(time.monotonic() - begun, 3))


def _listed(spec: ChannelSpec, stored: StoredChannel | None) -> Listed:
    own = stored if spec.origin == "page" else None
    return Listed(
        name=spec.name,
        kind=spec.kind,
        scheme=own.scheme if own is not None else scheme_of(spec.url.get_secret_value()),
        origin=spec.origin,
        language=spec.language,
        least_level=spec.least_level,
        per_minute=spec.per_minute,
        picture=spec.picture,
        send_resolved=spec.send_resolved,
        max_alerts=spec.max_alerts,
        created_by=own.created_by if own is not None else None,
        created_ms=own.created_ms if own is not None else None,
        problem=own.problem if own is not None else None,
    )
