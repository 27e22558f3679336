"""Servers on loopback that answer as a test says, byte by byte."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, bytes], None]


class Played:
    """Answers each connection on a thread of its own, and keeps what was asked."""

    def __init__(self, answer: Answer, family: socket.AddressFamily, context: ssl.SSLContext | None) -> None:
        self.asked: list[bytes] = []
        self.stopped = threading.Event()
        self._answer = answer
        self._context = context
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._socket.listen(16)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with suppress(OSError), connection:
            if self._context is None:
                self._one(connection)
            else:
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self._one(secure)

    def _one(self, connection: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            part = connection.recv(65536)
            if not part:
                return
            asked += part
        self.asked.append(asked)
        self._answer(connection, asked)

    def stop(self) -> None:
        """End it and its threads."""
        self.stopped.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def played(
    answer: Answer | bytes, *, family: socket.AddressFamily = socket.AF_INET, context: ssl.SSLContext | None = None
) -> Iterator[Played]:
    """A server for the length of a block. Bytes are its whole answer."""
    whole = answer
    server = Played(
        (lambda connection, _: connection.sendall(whole)) if isinstance(whole, bytes) else whole, family, context
    )
    try:
        yield server
    finally:
        server.stop()


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """An answer in HTTP, with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def dripping(head: bytes, drop: bytes, seconds: float = 0.02) -> Answer:
    """Send the head, then a drop again and again."""

    def answer(connection: socket.socket, _asked: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(drop)
            if seconds:
                time.sleep(seconds)

    return answer
