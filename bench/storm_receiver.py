"""A web service in trouble: it takes half of the notices, and keeps a book of what it has really taken."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple, Self, get_args

#: What it may do with a request. Lost and late: it takes the notice, but no answer comes, or one that comes too late.
Mood = Literal["ok", "error", "busy", "reset", "mute", "lost", "late"]
#: How often, in a hundred.
MOODS: Mapping[Mood, int] = {"ok": 50, "error": 13, "busy": 11, "reset": 10, "mute": 3, "lost": 10, "late": 3}
#: How long it says nothing where it is mute or late; longer than the sender of a storm waits.
SILENCE_SECONDS = 0.7


class Told(NamedTuple):
    """One alert as a notice told of it: whose, since when it fires, and whether it still does."""

    fingerprint: str
    starts: str
    firing: bool


class Taken(NamedTuple):
    """One notice that was taken; ``life`` is the number of the process that sent it."""

    life: int
    channel: str
    key: str
    told: tuple[Told, ...]
    mood: Mood
    is_summary: bool


class StormReceiver:
    """An HTTP server in this process; the path says which channel it is. ``calm`` makes it take everything.

    ``life`` is the number of the process that lives, for requests that do not say so themselves.
    """

    def __init__(self, seed: int) -> None:
        self.book: list[Taken] = []
        self.moods: dict[Mood, int] = dict.fromkeys(get_args(Mood), 0)
        self.calm = False
        self.life = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._serve(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed in the middle of a request is what this is about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def url(self, channel: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{channel}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            mood = "ok" if self.calm else self._random.choices([*MOODS], [*MOODS.values()])[0]
            self.moods[mood] += 1
        if mood == "reset":
            _reset(request.connection)
            return
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if mood == "mute":
            time.sleep(SILENCE_SECONDS)
            _reset(request.connection)
            return
        if mood in ("error", "busy"):
            _answer(request, 500 if mood == "error" else 503, {"Retry-After": "1"} if mood == "busy" else {})
            return
        self._take(request, json.loads(body), mood)
        if mood == "lost":
            _reset(request.connection)
            return
        if mood == "late":
            time.sleep(SILENCE_SECONDS)
        _answer(request, 200, {})

    def _take(self, request: BaseHTTPRequestHandler, document: dict[str, Any], mood: Mood) -> None:
        told = tuple(
            Told(alert["fingerprint"], alert["startsAt"], alert["status"] == "firing") for alert in document["alerts"]
        )
        taken = Taken(
            int(request.headers.get("X-Life", self.life)),
            request.path.strip("/"),
            request.headers["Idempotency-Key"],
            told,
            mood,
            document["groupKey"].startswith("summary:"),
        )
        with self._lock:
            self.book.append(taken)


def _answer(request: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str]) -> None:
    request.send_response(status)
    for name, value in {"Content-Length": "0", **headers}.items():
        request.send_header(name, value)
    request.end_headers()


def _reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset instead of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
