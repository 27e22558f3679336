"""Names become addresses here, and only such as may be asked: not the machine's own metadata service, for one.

A target's name may come from the page, and what it resolves to from a stranger's DNS. Whoever connects does so to an
address that :func:`resolve` has let through, never to the name again: it could resolve to another one by then.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

#: What no target may resolve to, and what it is.
_FORBIDDEN = tuple(
    (ip_network(network), what)
    for network, what in (
        ("169.254.0.0/16", "link-local"),  # the metadata of nearly every cloud is at 169.254.169.254
        ("fe80::/10", "link-local"),
        ("fd00:ec2::/32", "metadata"),  # AWS
        ("fd20:ce::254/128", "metadata"),  # Google
        ("100.100.100.200/32", "metadata"),  # Alibaba
        ("168.63.129.16/32", "metadata"),  # Azure's WireServer
        ("192.0.0.192/32", "metadata"),  # Oracle
        ("0.0.0.0/8", "unspecified"),
        ("::/128", "unspecified"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("255.255.255.255/32", "broadcast"),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
#: Lookups that may hang at once; each costs a thread until the system's resolver gives up.
_MOST_LOOKUPS = 64


class AddressError(Exception):
    """A name leads to no address. ``kind`` is ``dns`` or ``timeout``."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class AddressRefused(AddressError):
    """A name leads to addresses that may not be asked only."""

    def __init__(self, message: str) -> None:
        super().__init__("forbidden_address", message)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to: an IP address and a port, vetted."""

    ip: str
    port: int
    family: socket.AddressFamily

    @property
    def sockaddr(self) -> tuple[str, int]:
        """What a socket of ``family`` connects to."""
        return self.ip, self.port


def resolve(host: str, port: int, timeout: float) -> list[Address]:
    """The addresses of ``host`` (a name or an address) that may be asked, in the system's order; one at least.

    Raises :class:`AddressRefused` if there are only others, :class:`AddressError` if there is none within ``timeout``
    seconds.
    """
    ips = [host] if _is_ip(host) else _look_up(host, timeout)
    refused = {ip: what for ip in ips if (what := forbidden(ip)) is not None}
    allowed = [Address(ip, port, _family(ip)) for ip in ips if ip not in refused]
    if not allowed:
        ip, what = next(iter(refused.items()))
        raise AddressRefused(f"resolves to a {what} address ({ip}), which no target may")
    return allowed


def forbidden(ip: str) -> str | None:
    """What kind of address it is that no target may have; None if it may be asked. Raises ``ValueError`` if none."""
    for address in _meanings(ip_address(ip.partition("%")[0])):
        for network, what in _FORBIDDEN:
            if address in network:
                return what
    return None


def _meanings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 address that it stands for in one of the ways of writing one as IPv6."""
    meanings = [address]
    if isinstance(address, IPv6Address):
        teredo = address.teredo
        inner = (address.ipv4_mapped, address.sixtofour, teredo[1] if teredo else None)
        meanings += [one for one in inner if one is not None]
        if address in _NAT64 or int(address) >> 32 == 0:  # or the deprecated ::a.b.c.d
            meanings.append(IPv4Address(int(address) & 0xFFFFFFFF))
    if IPv6Address("::1") in meanings:
        return [address]  # which is no ::0.0.0.1
    return meanings


def _is_ip(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _family(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


_lock = threading.Lock()
_lookups: dict[str, Future[list[str]]] = {}


def _look_up(host: str, timeout: float) -> list[str]:
    """Ask the system's resolver, which knows no time-out: on a thread of its own, one for all who ask for a name."""
    with _lock:
        lookup = _lookups.get(host)
        if lookup is None:
            if len(_lookups) >= _MOST_LOOKUPS:
                raise AddressError("dns", "the system's resolver hangs: too many names wait for it")
            lookup = _lookups[host] = Future()
            threading.Thread(target=_ask, args=(host, lookup), name="resolve", daemon=True).start()
    try:
        return lookup.result(timeout)
    except FutureTimeout:
        raise AddressError("timeout", f"the name could not be resolved within {timeout:.3g} s") from None
    except (OSError, UnicodeError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AddressError("dns", f"the name cannot be resolved: {text}") from error


def _ask(host: str, lookup: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        answer = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    except Exception as error:  # noqa: BLE001 - the edge of a thread: whoever waits is told
        outcome: Exception | None = error
    else:
        outcome = None if answer else OSError(0, "no address")
    with _lock:
        del _lookups[host]
    if outcome is not None:
        lookup.set_exception(outcome)
    else:
        lookup.set_result(answer)
