"""All channels by name, from the settings, the routing file and the page; replaced while notices are under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import SecretStr

from alerts.delivery.channel import AppriseChannel, BrokenChannel, Channel, Voice
from alerts.delivery.secret import channel_name
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel


class ChannelRegistry:
    """Builds a channel when it is first asked for, and keeps it for as long as its spec stays the same.

    Of two specs with one name the first wins. ``problems`` of :meth:`replace` names those that cannot be used, and
    why: what is for them waits.
    """

    def __init__(self, build: Callable[[ChannelSpec], Channel], specs: Iterable[ChannelSpec] = ()) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._specs: dict[str, ChannelSpec] = {}
        self._problems: dict[str, str] = {}
        self._built: dict[str, Channel] = {}
        self.replace(specs)

    def get(self, name: str) -> Channel | None:
        """The channel of this name; None if there is none."""
        with self._lock:
            spec = self._specs.get(name)
            if spec is None:
                return None
            if name not in self._built:
                problem = self._problems.get(name)
                self._built[name] = self._build(spec) if problem is None else BrokenChannel(spec, problem)
            return self._built[name]

    def names(self) -> tuple[str, ...]:
        """All names, in the order of the specs."""
        with self._lock:
            return tuple(self._specs)

    def specs(self) -> tuple[ChannelSpec, ...]:
        """All specs, in their order."""
        with self._lock:
            return tuple(self._specs.values())

    def replace(self, specs: Iterable[ChannelSpec], problems: Mapping[str, str] | None = None) -> None:
        """Have these from now on; a channel whose spec is the same goes on as it is."""
        wanted: dict[str, ChannelSpec] = {}
        for spec in specs:
            wanted.setdefault(spec.name, spec)
        found = dict(problems or {})
        with self._lock:
            self._built = {
                name: channel
                for name, channel in self._built.items()
                if wanted.get(name) == self._specs.get(name) and found.get(name) == self._problems.get(name)
            }
            self._specs, self._problems = wanted, found


def builder(voice: Voice) -> Callable[[ChannelSpec], Channel]:
    """What makes a channel of a spec, speaking with this voice."""

    def build(spec: ChannelSpec) -> Channel:
        if spec.kind == "webhook":
            return WebhookChannel(spec, voice.composer.public_url)
        return AppriseChannel(spec, voice)

    return build


def settings_specs(urls: Sequence[SecretStr]) -> tuple[ChannelSpec, ...]:
    """The channels of ``alerts.channels``, each called by its scheme and six digits of a hash."""
    return tuple(ChannelSpec(channel_name(url.get_secret_value()), "apprise", url) for url in urls)
