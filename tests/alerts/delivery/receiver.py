"""A web service that takes webhooks, on a real socket: it notes what comes and answers what it is told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Receiver:
    """Answers requests with ``statuses`` in turn, then with 200. ``hold`` keeps answers back until it is cleared."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.free = threading.Event()
        self.free.set()
        self._statuses = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.free.wait(20)
                status = receiver._statuses.pop(0) if receiver._statuses else 200
                (receiver.got if status == 200 else receiver.refused).append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def url(self, path: str = "hook-with-a-secret") -> str:
        """Its address as an Apprise URL."""
        return f"json://127.0.0.1:{self._server.server_address[1]}/{path}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def recover(self) -> None:
        """Take everything from now on."""
        self._statuses.clear()

    def titles(self) -> list[str]:
        """The titles of what was accepted, in the order of arrival."""
        return [body["title"] for body in self.got]
