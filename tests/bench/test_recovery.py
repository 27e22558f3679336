"""The witness counts what a client sees, and the table says where a target was missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.rung import HEADER, Row
from bench.witness import PAGE, Witness, now_ms, wait_for


class Moody(BaseHTTPRequestHandler):
    """Answers pages, and requests in turn with 200, 503 with ``Retry-After``, 500, and not at all."""

    turn = 0

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Moody.turn += 1
        mood = Moody.turn % 4
        if mood:
            self._answer({1: 200, 2: 503, 3: 500}[mood])

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is to be seen here."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_answers_refusals_and_losses_are_told_apart(port: int) -> None:
    with Witness(port) as witness:
        wait_for(lambda: sum(witness.counts(0).values()) >= 40, "forty requests", within=30)
        wait_for(lambda: witness.first_good(PAGE, 0), "a page", within=30)
    counts = witness.counts(0)
    total = sum(counts.values())
    assert abs(counts["answered"] - total / 4) <= 1
    assert abs(counts["refused"] - total / 4) <= 1
    assert abs(counts["lost"] - total / 2) <= 1
    assert witness.counts(now_ms() + 1) == {}
    assert witness.first_good(PAGE, now_ms() + 1) is None


def test_a_target_that_was_missed_is_bold() -> None:
    row = Row("hang", 4.5, "restart", 0.5, 5.0, 1, 20, detected_target=4.0, ready_target=6.0)
    line = str(row)
    assert line == "| hang | **4.50 s (≤ 4.0)** | restart | 0.50 s (≤ 3.0) | 5.00 s (≤ 6.0) | 1 | 20 |"
    assert str(replace(row, detected=None, page_target=None)).startswith("| hang | – | restart | 0.5 s |")
    assert line.count("|") == HEADER.splitlines()[0].count("|")
