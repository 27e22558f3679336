"""Another version is put into service, watched, and taken back, with real tiny models in folders."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.errors import InferenceFailed
from model.loader import _set_imports_aside
from model.logbook import FILE_NAME
from model.release import MAX_STARTS, NoSwitch
from model.switch import Switch
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage
from tests.model.test_reload import small_gpu as small_gpu

Make = Callable[..., Bench]

CODE = """
import torch
from model import Model, TensorSpec
from tests.model import stage as stages

class Times(Model):
    name = "times"

    def load(self, device):
        stages.current.events.append("load {version}")
        self.network = torch.nn.Linear(1, 1, bias=False).to(device).eval()
        torch.nn.init.constant_(self.network.weight, {factor})

    def decode(self, body, content_type):
        return ("{version}", super().decode(body, content_type))

    def predict(self, batch):
        stage = stages.current
        if batch[0][1] == 0:
            stage.entered.release()
            assert stage.gate.wait(stages.PATIENCE)
        for decoder, number in batch:
            if decoder != "{version}":
                raise TypeError(f"{{decoder}} has decoded this, and not version {version}")
            if number in {poison}:
                raise RuntimeError("a number that this version cannot take")
        stage.on_predict(["{version}", *batch])
        numbers = torch.tensor([number for _, number in batch])
        return self.network(numbers.unsqueeze(1)).squeeze(1).tolist()

    def encode(self, result):
        return {{"value": result}}

    def golden(self):
        return [(("{version}", 1.0), lambda answer: answer["value"] == {golden})]
{more}
"""


class Shelf:
    """A model's folder, into which a test puts versions; the factor is the version's number."""

    def __init__(self, root: Path) -> None:
        self.path = root / "models" / "times"
        self.data = root / "data"
        self.data.mkdir()

    def put(self, version: str, *, golden: float | None = None, poison: tuple[float, ...] = (), more: str = "") -> None:
        folder, factor = self.path / version, float(version)
        folder.mkdir(parents=True, exist_ok=True)
        known = factor if golden is None else golden
        code = CODE.format(version=version, factor=factor, golden=known, poison=poison, more=more)
        (folder / "model.py").write_text(code)

    def settings(self, clock: Clock | None = None, **model: Any) -> dict[str, Any]:
        host: dict[str, Any] = {"data_dir": self.data} | ({"clock": clock} if clock else {})
        return {"path": str(self.path), "host": host, "heal_seconds": 0} | model


@pytest.fixture
def shelf(tmp_path: Path, stage: Stage) -> Shelf:
    found = Shelf(tmp_path)
    found.put("1")
    return found


def switch(b: Bench, version: str, *, force: bool = False) -> Switch:
    """Switch and wait for the end of it."""
    b.host.switch(version, force=force)
    found = b.host.switched(PATIENCE)
    assert found is not None
    assert found.state != "loading"
    return found


def states(b: Bench) -> dict[str, str]:
    return {release.version: release.state for release in b.host.versions().versions}


def serving(b: Bench) -> tuple[str | None, str | None]:
    found = b.host.versions()
    return found.serving, found.last_good


def test_it_lists_what_is_in_the_folder_and_what_is_known_of_each(bench: Make, shelf: Shelf) -> None:
    shelf.put("10")
    (shelf.path / "notes").mkdir()
    (shelf.path / ".11").mkdir()
    (shelf.path / ".11" / "model.py").write_text("half of it is still on its wa")
    b = bench(**shelf.settings()).ready()
    first, second = b.host.versions().versions
    assert (first.version, first.serving, first.state, first.golden) == ("10", True, "good", 1)
    assert (second.version, second.serving, second.state, second.golden) == ("1", False, "unknown", None)
    assert first.load_seconds is not None
    assert b.host.versions().probation is None, "the first one there is has nothing to be compared with"


def test_a_switch_puts_the_version_into_service_and_says_so(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    found = switch(b, "2")
    assert (found.state, found.before, found.reason, found.differs) == ("done", "1", None, ())
    assert (b.infer(3).result, b.infer(3).version) == ({"value": 6.0}, "2")
    assert serving(b) == ("2", "1")
    assert states(b) == {"1": "good", "2": "trial"}
    assert b.book.reloads == [("version", "ok")]


def test_switches_under_load_lose_nothing_and_each_input_is_answered_by_what_decoded_it(
    bench: Make, shelf: Shelf
) -> None:
    shelf.put("2")
    b = bench(**shelf.settings(queue_size=64, probation_seconds=0)).ready()
    over = threading.Event()
    answers: list[tuple[float, str, float]] = []

    def send(number: float) -> None:
        while not over.is_set():
            answer = b.infer(number)
            answers.append((number, answer.version, answer.result["value"]))

    threads = [threading.Thread(target=send, args=(float(number),)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for version in ("1", "2", "1", "2"):
        assert switch(b, version).state == "done"
        before = len(answers)
        b.until(lambda before=before: len(answers) > before + 20)  # type: ignore[misc]
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(b.book.outcomes) == {"ok"}
    assert len(answers) == len(b.book.outcomes)
    assert {version for _, version, _ in answers} == {"1", "2"}
    assert all(value == number * float(version) for number, version, value in answers)


def test_what_waits_when_the_switch_comes_is_answered_by_the_version_that_decoded_it(
    bench: Make, shelf: Shelf, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    queue, lined_up = b.host._fleet.engines[0].queue, threading.Event()
    submit = queue.submit

    def noted(errand: Callable[[], None], *, urgent: bool = False) -> bool:
        taken = submit(errand, urgent=urgent)
        lined_up.set()
        return taken

    monkeypatch.setattr(queue, "submit", noted)
    held = b.occupy(0)
    waiting = b.send_waiting(2, 3)
    b.host.switch("2")
    assert lined_up.wait(PATIENCE), "version 2 is loaded, and its turn comes before those that wait"
    stage.gate.set()
    results = [future.result(PATIENCE) for future in (held, *waiting)]
    assert [(answer.version, answer.result["value"]) for answer in results] == [("1", 0.0), ("1", 2.0), ("1", 3.0)]
    assert serving(b)[0] == "2"
    assert b.infer(3).version == "2"


def test_a_version_whose_golden_answer_is_wrong_never_serves(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", golden=5.0)
    found = switch(b, "2")
    assert (found.state, found.reason) == ("failed", "golden_failed: pair 1 of 1")
    assert b.infer(1).version == "1"
    assert states(b) == {"1": "good", "2": "failed"}
    assert b.host.status().reason == "reload_failed: golden_failed: pair 1 of 1"


OTHER_CLASSES = '    classes = ["cat", "dog"]\n'
OTHER_INPUTS = '    def inputs(self):\n        return [TensorSpec("x", "FP32", (-1, 3))]\n'


def test_an_incompatible_version_is_refused_with_what_differs_unless_it_is_forced(bench: Make, shelf: Shelf) -> None:
    shelf.put("1", more='    classes = ["cat", "bird"]\n')
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more=OTHER_CLASSES + OTHER_INPUTS)
    found = switch(b, "2")
    assert found.state == "failed"
    assert found.differs == (
        "no input input any more",
        "a new input x, which callers do not send",
        "no class bird any more",
        "a new class dog",
    )
    assert (found.reason or "").startswith("incompatible: no input input any more; ")
    assert states(b)["2"] == "refused"
    assert b.infer(1).version == "1"
    assert switch(b, "2", force=True).state == "done"
    assert serving(b) == ("2", "1")


def test_what_cannot_be_switched_to_is_said_at_once(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    for version, kind in (("9", "unknown"), ("../1", "unknown"), ("1", "conflict")):
        with pytest.raises(NoSwitch) as refused:
            b.host.switch(version)
        assert refused.value.kind == kind
    single = bench().ready()
    with pytest.raises(NoSwitch, match="one model only"):
        single.host.switch("2")
    assert single.host.versions().versions == ()
    off = bench(host={"disabled": "safe_mode: 5 crashes"}).host
    with pytest.raises(NoSwitch, match="switched off"):
        off.switch("2")


def test_a_version_that_is_replaced_on_probation_gets_no_verdict(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    shelf.put("3")
    switch(b, "2")
    switch(b, "3")
    assert states(b) == {"1": "good", "2": "unknown", "3": "trial"}
    assert serving(b) == ("3", "1"), "the way back leads to what has proved itself"


def test_only_one_switch_at_a_time(bench: Make, shelf: Shelf, stage: Stage) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more="    def schema(self):\n        assert stages.current.load_gate.wait(stages.PATIENCE)\n")
    shelf.put("3")
    stage.load_gate.clear()
    b.host.switch("2")
    with pytest.raises(NoSwitch, match="already"):
        b.host.switch("3")
    stage.load_gate.set()
    found = b.host.switched(PATIENCE)
    assert found is not None
    assert (found.version, found.state) == ("2", "done")


# --- probation --------------------------------------------------------------------------------------------------


@pytest.fixture
def on_trial(bench: Make, shelf: Shelf) -> tuple[Bench, Clock]:
    """Version 2, which fails on 13, is on probation after version 1."""
    clock = Clock()
    b = bench(**shelf.settings(clock, probation_seconds=300.0)).ready()
    shelf.put("2", poison=(13.0,))
    assert switch(b, "2").state == "done"
    return b, clock


def fail(b: Bench, times: int) -> None:
    for _ in range(times):
        with pytest.raises(InferenceFailed):
            b.infer(13)


def test_a_version_that_passes_golden_and_then_fails_is_rolled_back(on_trial: tuple[Bench, Clock]) -> None:
    b, _ = on_trial
    trial = b.host.versions().probation
    assert trial is not None
    assert (trial.version, trial.last_good, trial.left_seconds) == ("2", "1", 300.0)
    for number in range(5):
        b.infer(number)
    fail(b, 5)
    b.until(lambda: serving(b)[0] == "1" and b.host.status().state == "ready")
    assert b.infer(13).result == {"value": 13.0}
    b.until(lambda: [remedy.state for remedy in b.host.remedies()] == ["watching"])
    b.host.check(1_000)
    (remedy,) = b.host.remedies()
    assert (remedy.cause, remedy.action, remedy.helped, remedy.outcome) == (
        "probation",
        "rollback",
        True,
        "version 1 serves",
    )
    assert remedy.why == "failures: 50% of 10 requests failed, 0% before"
    assert states(b) == {"1": "good", "2": "rolled_back"}
    assert b.host.versions().probation is None
    assert b.book.reloads == [("version", "ok"), ("probation", "ok")]


def test_an_open_breaker_ends_a_probation_at_once(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings(breaker_requests=3)).ready()
    shelf.put("2", poison=(13.0,))
    switch(b, "2")
    fail(b, 3)
    b.until(lambda: serving(b)[0] == "1" and b.host.status().state == "ready")
    assert b.host.remedies()[0].why.startswith("breaker_open: ")
    assert b.infer(1).version == "1"


def test_a_version_that_is_much_slower_is_rolled_back(bench: Make, shelf: Shelf, stage: Stage) -> None:
    clock = Clock()
    b = bench(**shelf.settings(clock)).ready()
    shelf.put("2")

    def work(run: list[Any]) -> None:
        clock.now += 0.01 * int(run[0]) ** 2

    stage.on_predict = work
    for _ in range(16):
        b.infer(1)
    switch(b, "2")
    for _ in range(16):
        b.infer(1)
    b.host.check(1_000)
    b.until(lambda: serving(b)[0] == "1" and b.host.status().state == "ready")
    assert b.host.remedies()[0].why == "latency: batches take 4.0 times as long as before"


def test_after_its_probation_a_version_is_good_and_is_not_rolled_back_any_more(on_trial: tuple[Bench, Clock]) -> None:
    b, clock = on_trial
    fail(b, 4)
    clock.now += 301
    b.host.check(1_000)
    assert states(b) == {"1": "good", "2": "good"}
    assert serving(b) == ("2", "1")
    fail(b, 10)
    assert b.host.remedies() == []
    assert b.infer(1).version == "2"


# --- the next process -------------------------------------------------------------------------------------------


def test_a_restart_starts_what_was_chosen_though_there_is_a_newer_one(bench: Make, shelf: Shelf) -> None:
    shelf.put("2")
    shelf.put("3")
    b = bench(**shelf.settings()).ready()
    assert serving(b) == ("3", None)
    switch(b, "2")
    b.close()
    again = bench(**shelf.settings()).ready()
    assert serving(again) == ("2", "3")
    assert states(again) == {"1": "unknown", "2": "trial", "3": "good"}, "a restart is no probation passed"


def test_a_chosen_version_that_cannot_be_loaded_any_more_gives_way_to_the_last_good_one(
    bench: Make, shelf: Shelf
) -> None:
    shelf.put("2")
    b = bench(**shelf.settings(probation_seconds=0)).ready()
    switch(b, "1")
    b.close()
    (shelf.path / "1" / "model.py").write_text("raise OSError('the weights are gone')")
    again = bench(**shelf.settings()).ready()
    assert serving(again) == ("2", None)
    assert again.host.status().reason == "reload_failed: load_failed: import_error OSError: the weights are gone"
    assert states(again)["1"] == "failed"
    assert [(remedy.action, remedy.outcome) for remedy in again.host.remedies()] == [("rollback", "version 2 serves")]
    assert again.infer(1).outcome == "ok"


def test_what_was_good_goes_before_what_nobody_asked_for_where_the_chosen_one_has_gone(
    bench: Make, shelf: Shelf
) -> None:
    shelf.put("2")
    b = bench(**shelf.settings(probation_seconds=0)).ready()
    switch(b, "1")
    b.close()
    (shelf.path / "1").rename(shelf.path / ".1")
    shelf.put("3")
    assert serving(bench(**shelf.settings()).ready()) == ("2", None)


def test_a_reload_stays_with_the_version_that_serves(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    assert b.host.reload("manual")
    b.until(lambda: b.book.reloads == [("manual", "ok")])
    assert b.infer(1).version == "1"


def test_a_rolled_back_version_is_not_started_again(on_trial: tuple[Bench, Clock], bench: Make, shelf: Shelf) -> None:
    b, _ = on_trial
    fail(b, 5)
    b.until(lambda: serving(b)[0] == "1" and b.host.status().state == "ready")
    b.close()
    again = bench(**shelf.settings()).ready()
    assert serving(again)[0] == "1", "2 is newer, and was taken back"


def test_a_version_that_keeps_ending_its_process_gives_way_to_the_last_good_one(
    on_trial: tuple[Bench, Clock], bench: Make, shelf: Shelf
) -> None:
    assert serving(on_trial[0])[0] == "2"
    for _ in range(MAX_STARTS - 1):  # none of these ends in order
        assert serving(bench(**shelf.settings()).ready())[0] == "2"
    last = bench(**shelf.settings()).ready()
    assert serving(last)[0] == "1"
    assert states(last)["2"] == "rolled_back"
    assert last.host.remedies()[0].why == "2: crash_loop: 3 processes ended while it was on probation"


def test_restarts_in_order_are_nothing_against_a_version_on_probation(bench: Make, shelf: Shelf) -> None:
    shelf.put("2")
    b = bench(**shelf.settings()).ready()
    switch(b, "1")
    for _ in range(MAX_STARTS + 1):
        b.close()
        b = bench(**shelf.settings()).ready()
    assert serving(b) == ("1", "2")
    assert states(b)["1"] == "trial"


@pytest.mark.parametrize("content", [b"", b"{", b'{"path": 7}', b"\xff\xfe", b'{"path": "elsewhere", "chosen": "1"}'])
def test_a_memory_that_cannot_be_read_is_an_empty_one(bench: Make, shelf: Shelf, content: bytes) -> None:
    shelf.put("2")
    (shelf.data / FILE_NAME).write_bytes(content)
    assert serving(bench(**shelf.settings()).ready()) == ("2", None)


def test_a_disk_that_takes_nothing_costs_the_memory_and_not_the_service(bench: Make, shelf: Shelf) -> None:
    shelf.put("2")
    (shelf.data / FILE_NAME).mkdir()
    b = bench(**shelf.settings()).ready()
    assert switch(b, "1").state == "done"
    assert b.infer(1).version == "1"


# --- no room for two --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_gpu")
def test_without_room_for_two_a_version_that_fails_gives_way_to_the_one_before(bench: Make, shelf: Shelf) -> None:
    b = bench(health={"min_free_gpu_bytes": 0}, **shelf.settings()).ready()
    shelf.put("2", golden=5.0)
    found = switch(b, "2")
    assert (found.state, found.reason) == ("failed", "golden_failed: pair 1 of 1")
    assert b.host.status().state == "ready"
    assert serving(b)[0] == "1"
    assert b.infer(2).result == {"value": 2.0}


def test_the_code_of_a_load_goes_with_its_instance(bench: Make, shelf: Shelf) -> None:
    """Each load reads ``model.py`` anew: whoever kept its class would keep all that the module holds."""
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    switch(b, "2")
    instance = b.host._fleet.engines[0].instance
    assert instance is not None
    kind = weakref.ref(type(instance.model))
    del instance
    assert not b.host.prompt(), "it has a decode of its own"
    for version in ("1", "2"):
        switch(b, version)
        assert not b.host.prompt()

    def freed() -> bool:
        gc.collect()
        return kind() is None

    b.until(freed)


def test_the_code_of_the_first_load_goes_as_well(bench: Make, shelf: Shelf) -> None:
    """What has been imported by then is set aside from the garbage collector; this is not."""
    _set_imports_aside.cache_clear()
    b = bench(**shelf.settings()).ready()
    instance = b.host._fleet.engines[0].instance
    assert instance is not None
    kind = weakref.ref(type(instance.model))
    del instance
    assert b.host.reload("manual")
    b.until(lambda: b.book.reloads == [("manual", "ok")])

    def freed() -> bool:
        gc.collect()
        return kind() is None

    b.until(freed)
