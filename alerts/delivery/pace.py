"""How fast a service takes messages, as its documentation says, and when the next one may go."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from alerts.delivery.spec import ChannelSpec


class Limit(NamedTuple):
    """At most ``most`` messages in any ``seconds``."""

    most: int
    seconds: float


#: What services say that they take from one bot, webhook or chat, by Apprise's scheme. Who sends more gets errors, and
#: from DingTalk nothing at all for ten minutes.
KNOWN: Mapping[str, tuple[Limit, ...]] = {
    "wecombot": (Limit(20, 60),),
    "dingtalk": (Limit(20, 60),),
    "feishu": (Limit(5, 1), Limit(100, 60)),
    "lark": (Limit(5, 1), Limit(100, 60)),
    "tgram": (Limit(1, 1), Limit(20, 60)),
    "slack": (Limit(1, 1),),
    "discord": (Limit(5, 2), Limit(30, 60)),
    "msteams": (Limit(4, 1),),
    "workflow": (Limit(4, 1),),
}
#: Addresses that Apprise knows for the services above.
_HOSTS: Mapping[str, str] = {
    "qyapi.weixin.qq.com": "wecombot",
    "oapi.dingtalk.com": "dingtalk",
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "lark",
    "api.telegram.org": "tgram",
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
}
_MINUTE_SECONDS = 60.0
#: The most attempts that any limit looks back on, and for how long.
_KEPT = 1000


def limits(spec: ChannelSpec) -> tuple[Limit, ...]:
    """What bounds a channel: its own ``per_minute``, else what is known of its service, else nothing."""
    if spec.per_minute > 0:
        count = min(max(1, math.floor(spec.per_minute)), _KEPT)
        return (Limit(count, count * _MINUTE_SECONDS / spec.per_minute),)
    if spec.kind == "webhook":
        return ()
    url = spec.url.get_secret_value()
    scheme = url.partition("://")[0].lower()
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return KNOWN.get(scheme) or KNOWN.get(_HOSTS.get(host, ""), ())


def rate(bounds: Sequence[Limit]) -> float | None:
    """The most messages a minute that ``bounds`` allow; None without any."""
    return min((limit.most * _MINUTE_SECONDS / limit.seconds for limit in bounds), default=None)


class Pace:
    """When one channel was asked to take something lately. ``moments`` are those of the process before."""

    def __init__(self, moments: Iterable[int] = ()) -> None:
        self._moments = deque(sorted(moments), maxlen=_KEPT)

    def note(self, now_ms: int) -> None:
        """One more goes now. Whether the service takes it or not: most count what they refuse as well."""
        self._moments.append(now_ms)

    def free_ms(self, bounds: Sequence[Limit], now_ms: int) -> int:
        """From when on one more may go; ``now_ms`` or before: at once."""
        free_ms = now_ms
        for limit in bounds:
            used = self._used(limit, now_ms)
            if len(used) >= limit.most:
                free_ms = max(free_ms, used[-limit.most] + math.ceil(limit.seconds * 1000))
        return free_ms

    def room(self, bounds: Sequence[Limit], now_ms: int) -> float:
        """How many more may go within the next minute."""
        return min((self._room(limit, now_ms) for limit in bounds), default=math.inf)

    def _room(self, limit: Limit, now_ms: int) -> float:
        if limit.seconds < _MINUTE_SECONDS / 2:  # what was used of it is free again in no time
            return limit.most * _MINUTE_SECONDS / limit.seconds
        return limit.most - len(self._used(limit, now_ms))

    def _used(self, limit: Limit, now_ms: int) -> list[int]:
        """The moments within a limit's window. Those that lie ahead are from before the clock was set back."""
        first_ms = now_ms - limit.seconds * 1000
        return [moment for moment in self._moments if first_ms < moment <= now_ms]
