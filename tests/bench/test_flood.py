"""The sender of the overload benchmarks, against a server of known manners."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.flood import Tally, flooding

STATUSES = (200, 429, 503)


class _Manners(BaseHTTPRequestHandler):
    """Answers 200, 429 with and 503 without a word of when to come back, in turn."""

    protocol_version = "HTTP/1.1"
    served = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = STATUSES[_Manners.served % len(STATUSES)]
        _Manners.served += 1
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    _Manners.served = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Manners) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_every_request_of_the_timetable_is_accounted_for(port: int) -> None:
    with flooding(port, 100, 1.5, "--body", "{}") as flood:
        tally = flood.tally()
    assert tally.sent == tally.count(*STATUSES) == _Manners.served
    assert (tally.unsent, tally.lost) == (0, 0)
    assert tally.mute == tally.count(503) > 0
    assert 0 < tally.meanwhile[200] <= tally.count(200)
    assert tally.count(429) > 0


def test_clients_wait_for_their_answers(port: int) -> None:
    with flooding(port, 1, 0.5, "--body", "{}", "--clients", 3) as flood:
        tally = flood.tally()
    assert tally.sent == tally.count(*STATUSES) == _Manners.served


def test_what_is_not_there_is_lost(port: int) -> None:
    with flooding(1, 50, 0.5, "--body", "{}") as flood:
        tally = flood.tally()
    assert tally.lost == tally.sent > 0


def test_times_are_told_by_share() -> None:
    tally = Tally(seconds=2.0, times={200: {10: 98, 5000: 2}, 429: {1: 100}}, meanwhile={200: 100})
    assert tally.rate() == 50.0
    assert (tally.seconds_at(0.5, 200), tally.seconds_at(0.99, 200)) == (0.001, 0.5)
    assert tally.seconds_at(0.5) == 0.0001
    assert tally.seconds_at(0.5, 503) != tally.seconds_at(0.5, 503), "there is none"
