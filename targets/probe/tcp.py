"""Connects to a port, over TLS or not, and says nothing there."""

from __future__ import annotations

import time

from config_target import TcpProbe
from targets.connection import FetchError, connect
from targets.probe.outcome import Outcome


def look(settings: TcpProbe) -> Outcome:
    """Connect once."""
    began = time.monotonic()
    try:
        connection = connect(
            settings.host, settings.port, began + settings.timeout, {}, tls=settings.tls, verify=settings.verify
        )
    except FetchError as error:
        reason = str(error)
        if error.kind == "timeout":
            reason = f"no connection within {settings.timeout:g} s"
        seconds = time.monotonic() - began
        return Outcome(False, reason, seconds, {"kind": error.kind}, certificate_ends_ms=error.certificate_ends_ms)
    connection.close()
    return Outcome(True, "", time.monotonic() - began, certificate_ends_ms=connection.certificate_ends_ms)
