"""Hangs and deaths in the plug-in's code beside its batches: found within its limit, and the ledger says what ran."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ledger import Exit, Ledger
from tests.faults.pitfall import TAR
from tests.running import RunningServer, eventually

WATCHDOG_SECONDS = 2.0
#: Longer than torch takes to be imported on a busy machine.
LOAD_SECONDS = 10.0
#: What is noticed within so many seconds was not noticed by the net below, the heartbeat of two minutes.
SOON_SECONDS = 30.0


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TAR, str(folder / "tar"))
        with RunningServer(
            folder / "data",
            MODEL__PATH="tests.faults.pitfall:Pitfall",
            MODEL__DEVICE="cpu",
            MODEL__WATCHDOG_SECONDS=WATCHDOG_SECONDS,
            SUPERVISOR__BACKOFF_SECONDS=0.1,
            **settings,
        ) as server:
            yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("pitfall")) as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> RunningServer:
    running.wait_until_ready()
    return running


@contextmanager
def ends(server: RunningServer) -> Iterator[list[Exit]]:
    """The process is to end in here; the list then has how, and the next one is ready."""
    before = len(Ledger(server.data_dir).exits())
    found: list[Exit] = []
    yield found
    eventually(lambda: len(Ledger(server.data_dir).exits()) > before, within=30, what="the end of the process")
    found += Ledger(server.data_dir).exits()[before:]
    server.wait_until_ready()


def send(server: RunningServer, given: dict[str, Any], **headers: str) -> bytes:
    """What came until the connection ended."""
    with suppress(OSError, http.client.HTTPException):
        return server.request("POST", "/predict", json.dumps(given).encode(), {"X-Request-ID": "r-1", **headers})[1]
    return b""


@pytest.mark.parametrize("place", ["decode", "encode"])
@pytest.mark.parametrize("peril", ["hang-gil", "hang"])
def test_a_hang_on_a_requests_thread_is_found_within_the_watchdogs_limit(
    server: RunningServer, place: str, peril: str
) -> None:
    with ends(server) as found, ThreadPoolExecutor(1) as pool:
        pool.submit(send, server, {place: peril})
    (end,) = found
    assert end.reason == "hang"
    assert place in end.summary
    (call,) = end.detail["calls"]
    assert (call["what"], call["request_id"]) == (place, "r-1")
    assert WATCHDOG_SECONDS <= call["seconds"] < SOON_SECONDS
    assert any(f"in {place}" in line for line in end.detail["stderr"]), "the stacks say where it hung"
    assert any("pitfall.py" in line for line in end.detail["stderr"])


def test_a_load_that_holds_the_interpreter_is_found_within_its_own_limit(tmp_path: Path) -> None:
    tar = tmp_path / "tar"
    with serving(tmp_path, MODEL__LOAD_SECONDS=LOAD_SECONDS) as server:
        server.wait_until_ready()
        operator = server.token("operator") | {"Content-Type": "application/json"}
        tar.touch()
        with ends(server) as found:
            with suppress(OSError, http.client.HTTPException):  # the answer may not get out any more
                server.request("POST", "/api/model/restart", b"{}", operator)
            eventually(lambda: Ledger(server.data_dir).exits(), what="the end of the process")
            tar.unlink()  # the next one is to get over it
    (end,) = found
    (call,) = end.detail["calls"]
    assert (end.reason, call["what"]) == ("hang", "load")
    assert LOAD_SECONDS <= call["seconds"] < SOON_SECONDS
    assert any("in load" in line for line in end.detail["stderr"]), "the stacks say where it hung"


@pytest.mark.parametrize(("peril", "reason"), [("segfault", "segfault"), ("hang-gil", "hang")])
def test_a_death_in_a_step_of_a_stream_is_told_with_what_the_stream_was_given(
    server: RunningServer, peril: str, reason: str
) -> None:
    with ends(server) as found, ThreadPoolExecutor(1) as pool:
        pool.submit(send, server, {"step": 2, "peril": peril}, Accept="text/event-stream")
    (end,) = found
    assert end.reason == reason
    batch = end.detail["batch"]
    assert (batch["what"], batch["size"], batch["finished"]) == ("step", 1, False)
    assert (batch["inputs"], batch["request_ids"]) == (["dict of 2"], ["r-1"])
    assert any("in stream" in line for line in end.detail["stderr"])
