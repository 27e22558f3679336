"""The recovery ladder, rung by rung: each failure really happens in a real server, which has to get over it by itself.

One server goes through everything that it survives or is restarted from, one test after the other. What a version
switch, a crash loop at the start and a full disk do is in ``test_death``, ``test_disk`` and ``tests/model``.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ledger import Exit, Ledger
from model.leak import SEGMENT_SECONDS, SEGMENTS
from model.remedy import Remedy
from tests.faults import weights
from tests.faults.peril import BUDGET_MB
from tests.model.conftest import Bench, Clock
from tests.model.stage import Stage
from tests.running import RunningServer, eventually

SETTINGS: dict[str, Any] = {
    "MODEL__PATH": "tests.faults.peril:Peril",
    "MODEL__DEVICE": "cpu",
    "MODEL__WATCHDOG_SECONDS": 2,
    "MODEL__BREAKER_REQUESTS": 10,
    "MODEL__REJECT_NAN": "true",
    "MODEL__DRIFT_RELOAD_RATIO": 8,
    "MODEL__HEAL_SECONDS": 0.001,
    "HEALTH__INTERVAL_SECONDS": 1,
    "SUPERVISOR__BACKOFF_SECONDS": 0.1,
    "AUTH__ANONYMOUS": "viewer",
}


#: What a client gets whose connection ends without an answer, or in the middle of one.
GONE = (OSError, http.client.HTTPException)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("ladder") / "data", **SETTINGS) as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> RunningServer:
    """It is well again, whatever the test before did to it."""
    running.wait_until_ready()
    return running


def predict(server: RunningServer, **given: object) -> tuple[int, Any]:
    """Status and answer; 0 where the connection ended without one."""
    try:
        status, body = server.request("POST", "/predict", json.dumps(given).encode())
    except GONE:
        return 0, {}
    return status, json.loads(body)


def answers_right(server: RunningServer) -> bool:
    status, answer = predict(server, value=1.5)
    return status == 200 and answer["result"] == 3.0


def remedies(server: RunningServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.json("/api/model")["remedies"]
    return found


def remedy_after(server: RunningServer, before: int) -> dict[str, Any]:
    """What was done about the model, once it is known whether it helped; it is asked all the while."""

    def done() -> dict[str, Any] | None:
        predict(server)
        found = remedies(server)
        return found[0] if len(found) > before and found[0]["state"] == "done" else None

    found = eventually(done, within=60, what="a remedy")
    assert found is not None
    return found


@contextmanager
def restart(server: RunningServer) -> Iterator[list[Exit]]:
    """The process is to end in here, for the reason that the list then holds, and the next one is to be ready."""
    first, before = server.worker.pid, len(Ledger(server.data_dir).exits())
    ends: list[Exit] = []
    yield ends
    eventually(lambda: len(Ledger(server.data_dir).exits()) > before, within=60, what="the end of the process")
    ends += Ledger(server.data_dir).exits()[before:]
    server.wait_until_ready()
    assert len(ends) == 1
    assert server.worker.pid != first
    assert answers_right(server)


# --- what the process survives ---------------------------------------------------------------------------------------


def test_out_of_memory_costs_no_request_that_fits_alone(server: RunningServer) -> None:
    first, share = server.worker.pid, BUDGET_MB // 2 - 10
    with ThreadPoolExecutor(9) as pool:
        held = pool.submit(predict, server, value=1.0)
        fitting = [pool.submit(predict, server, value=float(number), mb=share) for number in range(7)]
        oversized = pool.submit(predict, server, mb=2 * BUDGET_MB)
    assert held.result()[0] == 200
    assert [future.result()[0] for future in fitting] == [200] * 7
    assert [future.result()[1]["result"] for future in fitting] == [2.0 * number for number in range(7)]
    status, problem = oversized.result()
    assert (status, problem["reason"]) == (413, "out_of_memory")
    assert "can't allocate memory" in server.log.read_text(errors="replace"), "torch itself said so"
    assert server.worker.pid == first
    assert answers_right(server)


def test_an_exception_storm_opens_the_breaker_and_one_reload_ends_it(server: RunningServer) -> None:
    first, before = server.worker.pid, len(remedies(server))
    assert predict(server, peril="storm")[0] == 500
    remedy = remedy_after(server, before)
    assert (remedy["cause"], remedy["helped"]) == ("breaker_open", True)
    eventually(lambda: answers_right(server), what="a right answer")
    assert server.worker.pid == first


def test_answers_that_are_no_numbers_are_failures_and_a_reload_ends_them(server: RunningServer) -> None:
    before = len(remedies(server))
    assert predict(server, peril="nan")[0] == 500
    remedy = remedy_after(server, before)
    assert (remedy["cause"], remedy["helped"]) in (("breaker_open", True), ("golden_failed", True))
    eventually(lambda: answers_right(server), what="a right answer")


def test_wrong_answers_to_the_golden_input_are_found_in_the_midst_of_traffic_and_a_reload_ends_them(
    server: RunningServer,
) -> None:
    before = len(remedies(server))
    assert predict(server, peril="rot", value=1.5)[1]["result"] == 4.5
    remedy = remedy_after(server, before)  # requests that seem to succeed do not hide it
    assert (remedy["cause"], remedy["helped"]) == ("golden_failed", True)
    assert answers_right(server)


def test_a_model_that_grows_slow_is_reloaded_where_the_settings_say_so(server: RunningServer) -> None:
    before = len(remedies(server))
    for _ in range(70):
        assert predict(server)[0] == 200
    assert predict(server, peril="slow")[0] == 200
    remedy = remedy_after(server, before)
    assert (remedy["cause"], remedy["helped"]) == ("drift", True)
    assert remedy["why"].startswith("drift: batches take ")


def test_memory_that_requests_leave_behind_is_given_back_by_a_reload() -> None:
    """Six minutes and more of real memory; only the clock is moved by hand."""
    clock = Clock()
    settings = {"path": "tests.faults.peril:Peril", "leak_bytes": 40_000_000}
    bench = Bench(Stage(), settings, {"interval_seconds": 10.0}, clock=clock).start()
    try:
        bench.until(lambda: bench.host.status().state == "ready")

        def a_minute_of_work() -> list[Remedy]:
            bench.host.infer(b'{"value": 1.5, "keep_mb": 16}', "application/json", "request-1")
            clock.now += SEGMENT_SECONDS
            bench.host.check(round(clock.now * 1000))
            return bench.host.remedies()

        assert [a_minute_of_work() for _ in range(SEGMENTS)] == [[]] * SEGMENTS
        eventually(a_minute_of_work, what="a remedy")
        bench.until(lambda: bench.host.remedies()[0].state == "watching")
        for _ in range(3):
            a_minute_of_work()
        (remedy,) = bench.host.remedies()
        assert (remedy.cause, remedy.helped) == ("leak", True)
        assert "MB came back" in str(remedy.outcome)
    finally:
        bench.close()


# --- what only a new process helps against ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peril", "reason", "words"),
    [
        ("exit", "crash", "exited with code 3"),
        ("kill", "killed", "SIGKILL"),
        ("segfault", "segfault", "SIGSEGV"),
        ("assert", "crash", "cuda_error: device_side_assert"),
    ],
)
def test_a_death_is_told_with_its_reason_and_the_next_process_is_ready(
    server: RunningServer, peril: str, reason: str, words: str
) -> None:
    with restart(server) as ends:
        status, _ = predict(server, peril=peril)
    assert status in (0, 500, 503)
    assert ends[0].reason == reason
    assert words in ends[0].summary
    assert ends[0].detail["batch"]["what"] == "batch", "the black box says what it was doing"


@pytest.mark.parametrize(
    "peril",
    [
        "hang",
        "hang-gil",
        pytest.param("hang-native", marks=pytest.mark.long),
        pytest.param("hang-pattern", marks=pytest.mark.long),
    ],
)
def test_a_hang_ends_the_process_even_when_none_of_its_threads_can_notice(server: RunningServer, peril: str) -> None:
    with restart(server) as ends:
        status, _ = predict(server, peril=peril)
    assert status in (0, 503)
    assert ends[0].reason == "hang"
    assert ends[0].detail["batch"]["finished"] is False
    assert any("in predict" in line for line in ends[0].detail["stderr"]), "the stacks say where it hung"


def memory_group(name: str) -> Path | None:
    """A fresh control group whose memory can be limited, ``None`` where that is not ours to do."""
    for root in Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"):
        if (root / "cgroup.procs").exists():
            with suppress(OSError):
                (root / name).mkdir()
                if any((root / name / limit).exists() for limit in ("memory.limit_in_bytes", "memory.max")):
                    return root / name
                (root / name).rmdir()
    return None


def test_the_kernels_kill_for_memory_is_told_from_any_other(server: RunningServer) -> None:
    group = memory_group(f"wakeless-test-{os.getpid()}")
    if group is None:
        pytest.skip("control groups of memory are not writable here")
    try:
        limit = next(group / name for name in ("memory.limit_in_bytes", "memory.max") if (group / name).exists())
        (group / "cgroup.procs").write_text(str(server.worker.pid))
        limit.write_text(str(server.worker.memory_info().rss + 300_000_000))
        with restart(server) as ends:
            if predict(server, peril="eat")[0] == 200:
                pytest.skip("this kernel does not hold a control group to its limit")
        assert (ends[0].reason, ends[0].signal) == ("oom_kill", "SIGKILL")
    finally:
        group.rmdir()


# --- what fails from the start ----------------------------------------------------------------------------------------


def test_what_cannot_be_loaded_is_named_and_never_replaces_what_serves(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "sums" / "1"
    weights.missing(folder)
    with RunningServer(tmp_path / "data", **(SETTINGS | {"MODEL__PATH": folder})) as server:
        operator = server.token("operator") | {"Content-Type": "application/json"}
        first, body = server.worker.pid, json.dumps(weights.INPUT).encode()

        def reload(put: Callable[[Path], None]) -> None:
            put(folder)
            assert server.request("POST", "/api/model/restart", b"{}", operator)[0] == 202

        def told(reason: str) -> bool:
            return str(server.json("/api/model")["status"]["reason"]).startswith(reason)

        eventually(lambda: told("load_failed: no_such_file net.pt"), what="the missing weights")
        reload(weights.truncated)
        eventually(lambda: told("load_failed: unreadable_weights"), what="the truncated weights")
        status, answer = server.request("POST", "/predict", body)
        assert (status, json.loads(answer)["reason"][:31]) == (503, "load_failed: unreadable_weights")
        assert server.answers("/login")
        assert server.answers("/health/live"), "a new process would not help"
        assert not server.answers("/health/ready")
        reload(weights.good)
        server.wait_until_ready()
        for flaw, reason in weights.FLAWS:
            reload(flaw)
            eventually(lambda reason=reason: told(f"reload_failed: {reason}"), what=reason)  # type: ignore[misc]
            assert server.answers("/health/ready")
            status, answer = server.request("POST", "/predict", body)
            assert (status, json.loads(answer)["result"]) == (200, weights.OUTPUT)
        assert server.worker.pid == first
        assert Ledger(server.data_dir).exits() == []


def in_safe_mode(server: RunningServer) -> bool:
    try:
        status, body = server.get("/health/ready")
    except GONE:
        return False
    return status == 503 and b"safe_mode" in body


def test_a_load_that_hangs_ends_in_safe_mode_like_any_crash_loop(tmp_path: Path) -> None:
    own = {"MODEL__PATH": "tests.faults.peril:EndlessLoad", "MODEL__LOAD_SECONDS": 1, "SUPERVISOR__CRASH_LOOP_COUNT": 2}
    with RunningServer(tmp_path / "data", **(SETTINGS | own)) as server:
        eventually(lambda: in_safe_mode(server), within=60, what="safe mode")
        assert server.get("/login")[0] == 200
        ends = Ledger(server.data_dir).exits()
        assert [end.reason for end in ends] == ["hang"] * 2
        assert ends[0].summary.startswith("hang: loading for ")


@pytest.mark.long
def test_a_model_that_dies_at_its_third_request_serves_two_each_time_until_safe_mode_stops_it(tmp_path: Path) -> None:
    own = {"MODEL__PATH": "tests.faults.peril:ThirdRequest", "SUPERVISOR__CRASH_LOOP_COUNT": 2}
    with RunningServer(tmp_path / "data", **(SETTINGS | own)) as server:
        for _ in range(2):
            server.wait_until_ready()
            assert [predict(server, number=number)[0] for number in range(3)] == [200, 200, 0]
        eventually(lambda: in_safe_mode(server), within=60, what="safe mode")
        assert [end.reason for end in Ledger(server.data_dir).exits()] == ["segfault"] * 2
        assert predict(server)[0] == 503


@pytest.mark.gpu
def test_a_real_device_assert_restarts_the_process_and_the_next_one_has_a_gpu_that_works(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data", **(SETTINGS | {"MODEL__DEVICE": "cuda"})) as server:
        server.wait_until_ready(within=110)
        with restart(server) as ends:
            predict(server, peril="assert")
        assert "cuda_error: device_side_assert" in ends[0].summary
