"""Stopping: nothing new comes in, what is here is finished, and it ends in time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from model.errors import Draining
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage

Make = Callable[..., Bench]


def test_it_finishes_what_is_in_flight_and_waiting_and_refuses_what_comes_later(bench: Make, stage: Stage) -> None:
    b = bench(batch_size=1).ready()
    sent = [b.occupy(), *b.send_waiting(1, 2)]
    stopper = threading.Thread(target=b.host.stop, args=(PATIENCE,))
    stopper.start()
    b.until(lambda: b.host.status().state == "draining")
    with pytest.raises(Draining) as refused:
        b.infer(9)
    assert refused.value.status == 503
    assert refused.value.retry_after_seconds is not None
    assert refused.value.retry_after_seconds >= 1
    assert b.host.health().ready.reason == "draining"
    assert b.host.health().live.ok
    stage.gate.set()
    stopper.join(PATIENCE)
    assert [future.result(PATIENCE).result["value"] for future in sent] == [0, 2, 4]
    assert b.host.status().state == "stopped"
    assert not b.host._fleet.engines[0].worker.alive


def test_what_cannot_be_finished_in_time_is_refused_and_the_stop_does_not_wait_for_it(
    bench: Make, stage: Stage
) -> None:
    b = bench(batch_size=1).ready()
    b.occupy()
    (waiting,) = b.send_waiting(1)
    b.host.stop(0.05)
    with pytest.raises(Draining):
        waiting.result(PATIENCE)
    assert b.host.status().state == "stopped"


def test_a_stop_while_the_model_loads_does_not_wait_for_the_load(bench: Make, stage: Stage) -> None:
    stage.load_gate.clear()
    b = bench().start()
    assert stage.load_entered.acquire(timeout=PATIENCE)
    b.host.stop(PATIENCE)
    assert b.host.status().state == "stopped"
    stage.load_gate.set()
    assert not b.host.reload("operator")


def test_stopping_a_host_that_never_started_is_harmless(bench: Make) -> None:
    b = bench(enabled=False)
    b.host.stop(1)
    b.host.stop(1)
    assert b.host.status().state == "stopped"
