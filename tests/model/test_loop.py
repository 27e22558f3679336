"""On an event loop nothing of the plug-in's own code runs, whatever comes into service meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from model.answer import Answer
from model.interface import BadInput
from pause import Hub, on_loop
from tests.model.conftest import Bench
from tests.model.stage import PATIENCE, Stage
from tests.model.test_versions import Shelf, switch
from tests.model.test_versions import shelf as shelf

Make = Callable[..., Bench]
TWO = ["cpu:0", "cpu:1"]

PLAIN = """
from model import Model

class Plain(Model):
    def load(self, device):
        {load}

    def predict(self, batch):
        return [given * {factor} for given in batch]
"""
OWN_DECODE = """
    def decode(self, body, content_type):
        return super().decode(body, content_type)
"""


class Loop:
    """An event loop that has nothing but its hub."""

    def __init__(self) -> None:
        self._calls: queue.Queue[None] = queue.Queue()
        self._hub = Hub(lambda: self._calls.put(None))

    def run(self, work: Callable[[], Any]) -> Any:
        """What ``work`` returns or raises on the loop, which turns until then."""
        ends: list[tuple[Any, Exception | None]] = []

        def begin() -> None:
            try:
                ends.append((work(), None))
            except Exception as error:  # noqa: BLE001  # raised again below
                ends.append((None, error))

        self._hub.start(begin)
        while not ends:
            self._calls.get(timeout=PATIENCE)
            self._hub.go_on()
        ((found, error),) = ends
        if error is not None:
            raise error
        return found


def put(shelf: Shelf, version: str, *, load: str = "pass", more: str = "") -> None:
    folder = shelf.path / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(PLAIN.format(load=load, factor=version) + more)


def test_code_of_a_plug_in_runs_beside_the_loop_and_what_it_raises_arrives(bench: Make, stage: Stage) -> None:
    b, seen = bench().ready(), []

    def note(answer: dict[str, Any]) -> dict[str, Any]:
        seen.append((on_loop(), threading.get_ident()))
        return answer

    stage.on_encode = note
    answer: Answer[bytes] = Loop().run(lambda: b.infer(3.0))
    assert (answer.result["value"], answer.input) == (6.0, {"digits": 3})
    ((was_on_loop, thread),) = seen
    assert not was_on_loop
    assert thread != threading.get_ident()
    with pytest.raises(BadInput, match="decimal point"):
        Loop().run(lambda: b.host.infer(b"7", "application/json", "request-1"))


def test_a_model_that_only_predicts_needs_no_thread_of_its_own(bench: Make, shelf: Shelf) -> None:
    put(shelf, "1")
    b = bench(**shelf.settings()).ready()
    assert b.host.prompt()
    before = threading.enumerate()
    assert Loop().run(lambda: b.infer(3.0)).result == 3.0
    assert threading.enumerate() == before


def test_a_step_that_load_puts_on_the_instance_is_code_of_its_own(bench: Make, shelf: Shelf) -> None:
    put(shelf, "1", load="self.encode = lambda result: {'of': self.name, 'result': result}")
    b = bench(**shelf.settings()).ready()
    assert not b.host.prompt()
    assert Loop().run(lambda: b.infer(3.0)).result["result"] == 3.0


def test_as_long_as_one_replica_has_code_of_its_own_requests_have_threads(bench: Make, shelf: Shelf) -> None:
    put(shelf, "1")
    b = bench(devices=TWO, **shelf.settings()).start()
    b.until(lambda: all(each.state == "ready" for each in b.host.status().replicas))
    assert b.host.prompt()
    first, last = b.host._fleet.engines
    put(shelf, "2", more=OWN_DECODE)
    former = last.instance
    switch(b, "2")
    last.worker.instance = former  # as in the middle of it
    assert b.host._fleet.first is first
    assert not b.host.prompt()
    first.worker.instance, last.worker.instance = former, first.instance
    assert not b.host.prompt()
