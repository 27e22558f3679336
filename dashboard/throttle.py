"""Guessing passwords, made slow: how many logins one address and one account may try."""

from __future__ import annotations

import math
import time
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

#: Attempts a minute from one address, good or bad, and failed ones for one account from everywhere together.
PER_ADDRESS = 30
PER_ACCOUNT = 5


class LoginThrottle:
    """Counts attempts in memory, before they are tried, so that many at once cannot slip through."""

    def __init__(self) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._address: RateLimitItem = RateLimitItemPerMinute(PER_ADDRESS)
        self._account: RateLimitItem = RateLimitItemPerMinute(PER_ACCOUNT)

    def attempt(self, peer: str | None, account: str | None) -> float | None:
        """Count one attempt before it is tried. Returns None if it may go on, else the seconds to wait."""
        if not self._window.hit(self._address, "address", _network(peer)):
            return self._wait(self._address, "address", _network(peer))
        if account is not None and not self._window.hit(self._account, "account", _key(account)):
            return self._wait(self._account, "account", _key(account))
        return None

    def attempt_link(self, peer: str | None) -> float | None:
        """The same for a one-time link: counted apart, so that guessed passwords do not lock the owner out."""
        if not self._window.hit(self._address, "link", _network(peer)):
            return self._wait(self._address, "link", _network(peer))
        return None

    def succeeded(self, account: str) -> None:
        """Forget the failures of an account whose owner has come in. Those of the address stay: it may have others."""
        self._window.clear(self._account, "account", _key(account))

    def _wait(self, item: RateLimitItem, *key: str) -> float:
        reset, _ = self._window.get_window_stats(item, *key)
        return float(max(1, math.ceil(reset - time.time())))


def _key(account: str) -> str:
    return account.strip().casefold()[:100]


def _network(peer: str | None) -> str:
    """The address; of IPv6 the /64, which is what one household has."""
    if peer is None:
        return "unknown"
    try:
        address = ip_address(peer.split("%", 1)[0])
    except ValueError:
        return peer
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return address.exploded[:19]
    return str(address)
