"""A connection to a vetted address, over TLS or not, on which nothing takes longer than until a deadline."""

from __future__ import annotations

import errno
import io
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from targets.address import Address, AddressError, resolve


class FetchError(Exception):
    """No whole answer; the message says why in words that are the same each time.

    ``kind`` is timeout, refused, unreachable, dns, tls, redirect, forbidden_address, protocol, too_large or url.
    ``certificate_ends_ms`` is when the certificate expires where that became known.
    """

    def __init__(self, kind: str, message: str, certificate_ends_ms: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.certificate_ends_ms = certificate_ends_ms


class Connection:
    """What :func:`connect` has connected. ``stream`` is what http.client takes for a socket."""

    def __init__(self, sock: socket.socket, address: Address, deadline: float, ends_ms: int | None) -> None:
        self._socket = sock
        self._deadline = deadline
        self._allowed: int | None = None
        self.address = address
        self.certificate_ends_ms = ends_ms
        self.stream: Any = _Stream(self)

    def allow(self, count: int | None) -> None:
        """Receive no more than so many bytes from here on, or as many as come (None)."""
        self._allowed = count

    def receive(self, buffer: Any) -> int:
        """Receive into a buffer; 0 at the end. Raises ``OSError``, :class:`FetchError` where it is too much."""
        if self._allowed is not None and self._allowed <= 0:
            raise FetchError("too_large", "sends headers without end", self.certificate_ends_ms)
        self._socket.settimeout(remaining(self._deadline))
        count = self._socket.recv_into(buffer)
        if self._allowed is not None:
            self._allowed -= count
        return count

    def send(self, data: bytes) -> None:
        """Send all of it."""
        view = memoryview(data)
        while view:
            self._socket.settimeout(remaining(self._deadline))
            view = view[self._socket.send(view) :]

    def close(self) -> None:
        """End it, without waiting for the other side."""
        with suppress(OSError):
            self._socket.close()


class _Stream:
    """What http.client needs of a socket. Its ``close`` closes nothing: the answer is still to be read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        self._connection.send(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Raw(self._connection))

    def close(self) -> None:
        pass


class _Raw(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.receive(buffer)


def connect(
    host: str, port: int, deadline: float, phases: dict[str, float], *, tls: bool = False, verify: bool = True
) -> Connection:
    """Connect to the first of the host's addresses that takes it. ``deadline`` is of :func:`time.monotonic`.

    Adds the seconds that it took to ``phases``. Raises :class:`FetchError`.
    """
    try:
        with timed(phases, "resolve"):
            addresses = resolve(host, port, remaining(deadline))
    except AddressError as error:
        raise FetchError(error.kind, str(error)) from error
    except TimeoutError as error:
        raise FetchError("timeout", "no time left") from error
    with timed(phases, "connect"):
        sock, address = _first(addresses, deadline)
    if not tls:
        return Connection(sock, address, deadline, None)
    try:
        with timed(phases, "tls"):
            secure = _secure(sock, host, deadline, verify=verify)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):  # ssl's errors are
            raise _tls_error(error, address, host, deadline) from error
        raise
    return Connection(secure, address, deadline, _ends_ms(secure))


def remaining(deadline: float) -> float:
    """Seconds until then. Raises ``TimeoutError`` if there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("no time left")
    return seconds


@contextmanager
def timed(phases: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds that the block takes. Of a phase that has begun, something is there at once."""
    began = time.monotonic()
    phases[name] = phases.get(name, 0.0) + 1e-9
    try:
        yield
    finally:
        phases[name] += time.monotonic() - began


def _first(addresses: list[Address], deadline: float) -> tuple[socket.socket, Address]:
    """A connection to the first address that takes one: each but the last gets its share of the time that is left."""
    problem: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    for index, address in enumerate(addresses):
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.settimeout(remaining(deadline) / (len(addresses) - index))
            sock.connect(address.sockaddr)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock, address
    raise connect_error(problem) from problem


def connect_error(error: OSError) -> FetchError:
    """What it means that a connection was not made."""
    if isinstance(error, TimeoutError):
        return FetchError("timeout", "does not take the connection in time")
    if isinstance(error, ConnectionRefusedError):
        return FetchError("refused", "refuses the connection")
    return FetchError("unreachable", f"cannot be reached: {error.strerror or error}")


def _secure(sock: socket.socket, host: str, deadline: float, *, verify: bool) -> ssl.SSLSocket:
    sock.settimeout(remaining(deadline))
    return _context(verify).wrap_socket(sock, server_hostname=host.partition("%")[0])


@lru_cache(maxsize=2)
def _context(verify: bool) -> ssl.SSLContext:
    """Made once: reading the certificates of all authorities takes tens of milliseconds."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _ends_ms(sock: ssl.SSLSocket) -> int | None:
    """When the other side's certificate expires."""
    checked = sock.getpeercert()
    if checked:
        return round(ssl.cert_time_to_seconds(str(checked["notAfter"])) * 1000)
    der = sock.getpeercert(binary_form=True)  # one that was not verified is not taken apart for us
    if der is None:
        return None
    from cryptography import x509  # only where it is needed: it takes memory

    try:
        return round(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp() * 1000)
    except ValueError:
        return None


def _tls_error(error: OSError, address: Address, host: str, deadline: float) -> FetchError:
    """Why there is no TLS. To tell when a certificate expires that is not valid, it is asked for once more."""
    if isinstance(error, ssl.SSLCertVerificationError):
        ends_ms = _look_at_certificate(address, host, deadline)
        return FetchError("tls", f"the certificate is not valid: {error.verify_message}", ends_ms)
    if isinstance(error, TimeoutError):
        return FetchError("timeout", "no TLS handshake in time")
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return FetchError("tls", "ended the connection during the TLS handshake")
    reason = str(getattr(error, "reason", None) or error.strerror or error).replace("_", " ").lower()
    return FetchError("tls", f"no TLS: {reason}")


def _look_at_certificate(address: Address, host: str, deadline: float) -> int | None:
    try:
        sock, _ = _first([address], deadline)
        with sock, _secure(sock, host, deadline, verify=False) as secure:
            return _ends_ms(secure)
    except (OSError, FetchError):
        return None  # the verdict stands without it
