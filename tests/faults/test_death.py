"""Death and resurrection: a real server, killed for real."""

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from ledger import Ledger
from storage.engine import open_database
from storage.series import SeriesStore
from tests.running import ROOT, RunningServer, eventually, free_port

CARD = next((Path(__file__).parents[2] / "examples/cards").glob("*.jpg"))


class Traffic(threading.Thread):
    """Requests one after the other until stopped; counts answers by status, 0 where there was no connection."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.done = threading.Event()
        self.statuses: dict[int, int] = {}

    def run(self) -> None:
        body = CARD.read_bytes()
        while not self.done.is_set():
            try:
                status, _ = self.server.request("POST", "/predict", body, {"Content-Type": "image/jpeg"})
            except OSError:
                status = 0
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != 200:
                self.done.wait(0.05)

    def stop(self) -> None:
        self.done.set()
        self.join(30)


def tick_times(data_dir: Path) -> list[int]:
    database = open_database(data_dir / "wakeless.db")
    store = SeriesStore(database)
    store.attach()
    span = store.span()
    found = store.select([], *span) if span else []
    database.dispose()
    return sorted({time_ms for series in found for time_ms in series.times.tolist()})


def unexpected_incidents(server: RunningServer, headers: dict[str, str]) -> list[dict[str, object]]:
    found = server.json("/api/incidents", **headers)["incidents"]
    return [incident for incident in found if incident["kind"] == "process"]


def check_kills(tmp_path: Path, kills: int, seed: int) -> None:
    """Kill the server process ``kills`` times at random moments under traffic, and look at what is left each time."""
    dice = random.Random(seed)
    with RunningServer(tmp_path / "data", COLLECTORS__SIMULATED_GPUS=1) as server:
        server.wait_until_ready()
        headers = server.token()
        traffic = Traffic(server)
        traffic.start()
        for number in range(1, kills + 1):
            eventually(lambda: server.answers("/health/live"), what="life")
            threading.Event().wait(dice.uniform(1.2, 3.2))  # a random moment of its life, not a wait for something
            killed_ms = server.kill_worker()
            with closing(sqlite3.connect(tmp_path / "data/wakeless.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            before = [time_ms for time_ms in tick_times(tmp_path / "data") if time_ms <= killed_ms]
            assert killed_ms - before[-1] <= 2100, "more than the tick under way is missing"
            server.wait_until_alive()
            eventually(
                lambda expected=number: len(unexpected_incidents(server, headers)) == expected,  # type: ignore[misc]
                what=f"incident {number}",
            )
        eventually(
            lambda: all(incident["ended_ms"] for incident in unexpected_incidents(server, headers)),
            within=90,
            what="the end of the last incident",
        )
        traffic.stop()
        incidents = unexpected_incidents(server, headers)
        assert {incident["cause"] for incident in incidents} == {"killed"}
        assert all(incident["ended_ms"] > incident["started_ms"] for incident in incidents)  # type: ignore[operator]
        assert traffic.statuses.get(200, 0) > 0
        assert set(traffic.statuses) <= {200, 503, 0}, traffic.statuses


def test_after_each_kill_the_database_is_whole_and_an_incident_says_why(tmp_path: Path) -> None:
    check_kills(tmp_path, kills=2, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thirty_kills_at_random_moments_under_traffic(tmp_path: Path) -> None:
    check_kills(tmp_path, kills=30, seed=2)


def test_a_segfault_is_told_from_a_kill_and_the_next_process_answers(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        headers = server.token()
        first = server.worker.pid
        server.kill_worker(signal.SIGSEGV)
        server.wait_until_alive()
        assert server.worker.pid != first
        eventually(lambda: unexpected_incidents(server, headers), what="an incident")
        (incident,) = unexpected_incidents(server, headers)
        assert incident["cause"] == "segfault"


def test_a_connection_made_while_the_server_is_down_is_answered_by_the_next_one(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        server.kill_worker()
        assert server.get("/health/live")[0] == 200


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_requests_in_flight_finish_and_takes_less_than_ten_seconds(
    tmp_path: Path, sig: signal.Signals
) -> None:
    with RunningServer(tmp_path / "data", MODEL__PATH="tests.faults.slow:SlowModel", MODEL__BATCH_SIZE=1) as server:
        server.wait_until_ready()
        answer: list[int] = []
        slow = threading.Thread(
            target=lambda: answer.append(server.request("POST", "/predict", b'{"seconds": 1.5}')[0]), daemon=True
        )
        slow.start()
        eventually(lambda: b"inference_in_flight 1" in _in_flight(server), what="a request in flight")
        start = time.monotonic()
        assert server.stop(sig) == 0
        assert time.monotonic() - start < 10
        slow.join(5)
        assert answer == [200]


def _in_flight(server: RunningServer) -> bytes:
    """The line of ``/metrics`` that counts requests in flight, without its labels."""
    lines = server.get("/metrics")[1].splitlines()
    return b"\n".join(
        b"inference_in_flight " + line.rsplit(b" ", 1)[1].replace(b".0", b"")
        for line in lines
        if line.startswith(b"inference_in_flight")
    )


def test_an_orderly_stop_and_start_is_no_outage(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", MODEL__ENABLED="false")
    with server:
        headers = server.token()
    with server:
        assert unexpected_incidents(server, headers) == []


def test_a_stop_that_a_slow_client_holds_up_is_still_no_outage(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", MODEL__ENABLED="false", SERVER__DRAIN_SECONDS=1)
    with server, socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc")
        assert server.answers("/health/live")
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 10
    assert [end.reason for end in Ledger(server.data_dir).exits()] == ["stop"]
    with server:
        assert unexpected_incidents(server, server.token()) == []


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        environment = {**server.environment, "WAKELESS_SERVER__PORT": str(free_port())}
        second = subprocess.run(
            [sys.executable, "app.py", "serve"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert second.returncode == 2
        assert "another Wakeless is running" in second.stderr
        assert server.answers("/health/live")


def test_clients_that_stall_lose_their_threads_and_the_server_answers_others(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false", SERVER__THREADS=16) as server:
        head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(24)]
        for place, client in enumerate(stalled):
            client.sendall(head if place % 2 else head + b"Content-Length: 1000\r\n\r\nab")
        eventually(lambda: server.answers("/health/live"), within=60, what="an answer beside stalled clients")
        for client in stalled:
            client.close()


def test_a_chunk_that_is_none_is_the_clients_fault(tmp_path: Path) -> None:
    with (
        RunningServer(tmp_path / "data", MODEL__PATH="tests.faults.slow:SlowModel") as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
    ):
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nab\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_model_that_exits_is_a_crash_whatever_its_status_and_in_decode_only_a_failed_request(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__PATH="tests.faults.slow:ExitingModel") as server:
        server.wait_until_ready()
        first = server.worker.pid
        assert server.request("POST", "/predict", b'{"raise": true}')[0] == 500
        assert server.worker.pid == first
        with pytest.raises(OSError, match=r".*"):
            server.request("POST", "/predict", b'{"exit": 2}')
        server.wait_until_ready()
        assert server.worker.pid != first
        assert [end.reason for end in Ledger(server.data_dir).exits()] == ["crash"]


def test_more_idle_connections_than_it_may_have_files_do_not_end_the_server(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", open_files=500, MODEL__ENABLED="false", SERVER__THREADS=64) as server:
        first = server.worker.pid
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(600)]
        for connection in idle:
            connection.close()
        eventually(lambda: server.answers("/health/live"), what="an answer")
        assert server.worker.pid == first


def test_hup_restarts_the_server_process_without_two_at_a_time(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", MODEL__ENABLED="false") as server:
        assert server.process is not None
        first = server.worker.pid
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: _other_worker(server, first), what="a new server process")
        server.wait_until_alive()
        assert unexpected_incidents(server, server.token()) == []


def _other_worker(server: RunningServer, first: int) -> bool:
    try:
        return server.worker.pid != first
    except AssertionError:
        return False


def test_a_crash_loop_ends_in_safe_mode_with_the_page_alive(tmp_path: Path) -> None:
    with RunningServer(
        tmp_path / "data",
        MODEL__PATH="tests.faults.slow:CrashingModel",
        SUPERVISOR__CRASH_LOOP_COUNT=3,
        SUPERVISOR__BACKOFF_SECONDS=0.1,
    ) as server:

        def in_safe_mode() -> bool:
            try:
                status, body = server.get("/health/ready")
            except OSError:
                return False
            return status == 503 and b"safe_mode" in body

        eventually(in_safe_mode, within=60, what="safe mode")
        assert server.answers("/health/live")
        assert server.get("/login")[0] == 200
