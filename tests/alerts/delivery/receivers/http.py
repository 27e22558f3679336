"""A service on a real local socket: it notes what comes in, and answers as the service that it plays would."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Call:
    """One request, read."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def parts(self) -> dict[str, bytes]:
        """The fields of a form with files."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        form: Message = BytesParser().parsebytes(head + self.body)
        found: dict[str, bytes] = {}
        for part in form.walk():
            name = part.get_param("name", header="content-disposition")
            if name:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found[str(name)] = content
        return found


@dataclass(frozen=True)
class Reply:
    """What a service answers: ``body`` is text, or what becomes JSON."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Service:
    """Plays one service: ``answer`` says what it does; ``trouble`` is answered first, one for each call.

    ``taken`` holds the calls that it answered with success, ``calls`` all of them.
    """

    def __init__(self, *trouble: Reply) -> None:
        self.calls: list[Call] = []
        self.taken: list[Call] = []
        self.trouble = list(trouble)
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", 0)))
                reply = service._reply(Call(self.command, address.path, query, headers, body))
                content = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
                kind = "text/plain" if isinstance(reply.body, str) else "application/json"
                self.send_response(reply.status)
                for name, value in {"Content-Type": kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 - as above

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def answer(self, call: Call) -> Reply:
        """What the service does with a call that nothing keeps it from."""
        return Reply()

    def is_success(self, reply: Reply) -> bool:
        """Whether it means that the call was taken."""
        return reply.status < 300

    def _reply(self, call: Call) -> Reply:
        self.calls.append(call)
        reply = self.trouble.pop(0) if self.trouble else self.answer(call)
        if self.is_success(reply):
            self.taken.append(call)
        return reply

    @property
    def base(self) -> str:
        """Its address without a path."""
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
