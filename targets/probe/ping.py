"""Pings a host, where the system lets us."""

from __future__ import annotations

import time

from config_target import PingProbe
from targets.address import AddressError, resolve
from targets.probe.outcome import Outcome

NOT_ALLOWED = "ping is not allowed here: net.ipv4.ping_group_range leaves this user out, and it may not use raw sockets"


def look(settings: PingProbe) -> Outcome:
    """Send one echo request."""
    began = time.monotonic()
    try:
        address = resolve(settings.host, 0, settings.timeout)[0]
    except AddressError as error:
        return Outcome(False, str(error), time.monotonic() - began, {"kind": error.kind})
    left = max(0.05, settings.timeout - (time.monotonic() - began))
    alive = _ping(address.ip, left)
    if alive is None:
        return Outcome(None, NOT_ALLOWED, time.monotonic() - began)
    seconds, reached = alive
    if not reached:
        return Outcome(False, f"no reply within {settings.timeout:g} s", time.monotonic() - began)
    return Outcome(True, "", seconds, {"address": address.ip})


def _ping(ip: str, timeout: float) -> tuple[float, bool] | None:
    """The round trip in seconds and whether there was one; None where we may not ask."""
    import icmplib  # takes memory

    for privileged in (False, True):
        try:
            host = icmplib.ping(ip, count=1, timeout=timeout, privileged=privileged)
        except icmplib.SocketPermissionError:
            continue
        except icmplib.ICMPLibError:
            return 0.0, False
        return host.avg_rtt / 1000, host.is_alive
    return None
