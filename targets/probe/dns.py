"""Looks up a name at a name server, and looks whether the answer is what it should be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from config_target import DnsProbe
from targets.address import forbidden
from targets.probe.outcome import Outcome

if TYPE_CHECKING:
    from dns.rdata import Rdata
    from dns.resolver import Resolver


def look(settings: DnsProbe) -> Outcome:
    """Ask once."""
    import dns.exception  # all of it only where a target wants it
    import dns.resolver

    began = time.monotonic()
    try:
        resolver = _resolver(settings)
        answer = resolver.resolve(settings.name, settings.type, lifetime=settings.timeout, search=False)
    except dns.exception.DNSException as error:
        success, reason = _explain(settings, error)
        return Outcome(success, reason, time.monotonic() - began)
    except (ValueError, OSError) as error:
        return Outcome(None, f"cannot be asked: {error}", time.monotonic() - began)
    seconds = time.monotonic() - began
    found = sorted(_text(record) for record in answer)
    detail = {"records": found[:20]}
    if settings.expect and not any(_is(one, record) for one in settings.expect for record in found):
        return Outcome(False, f"none of the expected {settings.type} records is in the answer", seconds, detail)
    return Outcome(True, "", seconds, detail)


def _resolver(settings: DnsProbe) -> Resolver:
    """The name server that is to be asked. Raises ``ValueError`` where it may not be."""
    import dns.resolver

    if settings.server is None:
        return dns.resolver.Resolver()  # as /etc/resolv.conf has it now
    resolver = dns.resolver.Resolver(configure=False)
    host, port = _server(settings.server)
    what = forbidden(host)
    if what is not None:
        raise ValueError(f"the name server has a {what} address, which no target may")
    resolver.nameservers, resolver.port = [host], port
    return resolver


def _server(text: str) -> tuple[str, int]:
    """``address``, ``address:port`` or ``[address]:port``. Raises ``ValueError``."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not 1 <= int(port) <= 65_535:
        raise ValueError("the name server has no such port")
    return host, int(port)


def _explain(settings: DnsProbe, error: Exception) -> tuple[bool | None, str]:
    import dns.exception
    import dns.resolver

    if isinstance(error, dns.resolver.NXDOMAIN):
        return False, "the name does not exist (NXDOMAIN)"
    if isinstance(error, dns.resolver.NoAnswer):
        return False, f"the name has no {settings.type} record"
    if isinstance(error, dns.exception.Timeout):
        return False, f"no answer within {settings.timeout:g} s"
    if isinstance(error, dns.resolver.NoNameservers):
        return False, "the name server does not answer the question (such as SERVFAIL or REFUSED)"
    if isinstance(error, dns.resolver.NoResolverConfiguration):
        return None, "this machine has no name server"
    return None, f"cannot be asked: {type(error).__name__}"


def _text(record: Rdata) -> str:
    """A record as people write it: a TXT's text as a whole, names without the last dot."""
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    return str(record.to_text()).removesuffix(".")


def _is(wanted: str, found: str) -> bool:
    """Whether a record is the one that is expected; of MX and SRV its name is enough."""
    wanted, found = wanted.removesuffix(".").lower(), found.lower()
    return wanted in (found, found.rpartition(" ")[2])
