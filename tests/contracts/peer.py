"""Something that speaks the Prometheus API, asked over HTTP and heard to the letter."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON document whose numbers are kept as they were written."""

    status: int
    document: Any

    @property
    def data(self) -> Any:
        return self.document["data"]


class _Written(str):
    """A number as it stood in the text: 1.50 is not 1.5."""


class Peer:
    """One server."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url = url
        self.headers = headers or {}

    def is_ready(self, path: str) -> bool:
        try:
            return self._open("GET", path, None, {})[0] == 200
        except OSError:
            return False

    def get(self, path: str, **parameters: Any) -> Answer:
        """``GET /api/v1/PATH``; ``match`` stands for ``match[]``."""
        query = urlencode(_named(parameters), doseq=True)
        return self._ask("GET", f"/api/v1/{path}" + (f"?{query}" if query else ""), None, {})

    def post(self, path: str, **parameters: Any) -> Answer:
        """The same as a form."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(_named(parameters), doseq=True).encode()
        return self._ask("POST", f"/api/v1/{path}", body, kind)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        status, text = self._open(method, path, body, headers)
        return Answer(status, json.loads(text, parse_float=_Written, parse_int=_Written))

    def _open(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        request = urllib.request.Request(self.url + path, body, self.headers | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def _named(parameters: Parameters) -> Parameters:
    return {"match[]" if name == "match" else name: value for name, value in parameters.items()}
