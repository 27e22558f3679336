"""A second version beside the one that serves: its share, who is asked by name, and how it goes when it is bad."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model import room
from model.canary import CanaryView
from model.collector import ModelCollector
from model.errors import InferenceFailed, NotReady, NoVersion, Refusal
from model.release import NoSwitch
from model.terms import STANDARD, Terms
from tests.model.conftest import Bench, Clock
from tests.model.stage import PATIENCE, Stage
from tests.model.test_reload import small_gpu as small_gpu
from tests.model.test_versions import Shelf, fail, serving, states, switch
from tests.model.test_versions import shelf as shelf

Make = Callable[..., Bench]

NAN = """
    def encode(self, result):
        return {"value": float("nan") if result == 26.0 else result}
"""
SLOW = """
    _load = load

    def load(self, device):
        stages.current.load_entered.release()
        assert stages.current.load_gate.wait(stages.PATIENCE)
        self._load(device)
"""
STREAM = """
    def stream(self, given):
        yield from range(int(given[1]))
"""


def begin(b: Bench, version: str, percent: float = 100.0, *, force: bool = False) -> CanaryView:
    b.host.canary.begin(version, percent, force=force)
    found = b.host.canary.wait(PATIENCE)
    assert found is not None
    assert found.state != "loading"
    return found


def view(b: Bench) -> CanaryView:
    found = b.host.canary.view()
    assert found is not None
    return found


def named(version: str) -> Terms:
    return Terms(version=version)


def infer_many(b: Bench, count: int) -> dict[str, str]:
    """Which version answers which request id."""
    found = {}
    for number in range(count):
        answer = b.host.infer(b"3.0", "application/json", f"id-{number}")
        found[f"id-{number}"] = answer.version
    return found


@pytest.fixture
def pair(bench: Make, shelf: Shelf) -> Bench:
    """Version 1 serves; version 2 is there, and cannot take 13."""
    b = bench(**shelf.settings(Clock(), cache_bytes=100_000, breaker_requests=20)).ready()
    shelf.put("2", poison=(13.0,))
    return b


# --- how it begins -----------------------------------------------------------------------------------------------


def test_it_is_loaded_beside_the_one_that_serves(pair: Bench) -> None:
    found = begin(pair, "2", 0)
    assert (found.state, found.version, found.before, found.percent) == ("running", "2", "1", 0)
    assert states(pair) == {"1": "good", "2": "canary"}
    assert serving(pair) == ("1", None)
    assert pair.host.status().state == "ready"
    assert pair.book.reloads == [("canary", "ok")]
    assert pair.book.announced[-1] == ("times", "2"), "its series begin at 0"
    assert set(infer_many(pair, 50).values()) == {"1"}, "0 % are none"


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        ({"golden": 7.0}, "golden_failed: pair 1 of 1"),
        ({"more": '    classes = ["dog"]'}, "incompatible: no class cat any more; a new class dog"),
        ({"more": "    raise OSError('half a file')"}, "load_failed: import_error OSError: half a file"),
    ],
)
def test_what_could_not_be_switched_to_cannot_be_a_canary_either(
    bench: Make, shelf: Shelf, put: dict[str, Any], reason: str
) -> None:
    shelf.put("1", more='    classes = ["cat"]')
    b = bench(**shelf.settings()).ready()
    shelf.put("2", **({"more": '    classes = ["cat"]'} | put))
    found = begin(b, "2")
    assert (found.state, found.reason) == ("failed", reason)
    assert b.host.status().state == "ready"
    assert states(b)["2"] in ("failed", "refused")
    assert {b.infer(1).version for _ in range(5)} == {"1"}
    if found.differs:
        assert begin(b, "2", force=True).state == "running"


@pytest.mark.parametrize("put", [{}, {"golden": 7.0}])
def test_whatever_becomes_of_it_what_is_wrong_with_the_one_that_serves_stays_said(
    pair: Bench, shelf: Shelf, put: dict[str, Any]
) -> None:
    shelf.put("1", golden=7.0)
    assert pair.host.reload("manual")
    pair.until(lambda: pair.book.reloads == [("manual", "failed")])
    before = pair.host.status()
    assert before.reason == "reload_failed: golden_failed: pair 1 of 1"
    shelf.put("2", **put)
    begin(pair, "2", 0)
    after = pair.host.status()
    assert (after.state, after.reason, after.suggestion) == ("ready", before.reason, before.suggestion)


def test_two_that_call_themselves_the_same_cannot_be_told_apart_not_even_by_force(bench: Make, shelf: Shelf) -> None:
    shelf.put("1", more='    version = "one"')
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more='    version = "one"')
    found = begin(b, "2", force=True)
    assert (found.state, found.reason) == ("failed", "same_version: both call themselves version one")


def test_it_is_asked_for_as_it_calls_itself(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more='    version = "two"')
    assert begin(b, "2", 0).state == "running"
    assert b.infer(1, named("two")).version == "two"
    with pytest.raises(NoVersion, match="1 and two can be asked for"):
        b.infer(1, named("2"))


def test_on_a_cpu_its_weights_have_to_fit(bench: Make, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    monkeypatch.setattr("model.room._available", lambda: 4)
    found = begin(b, "2", 0)
    assert (found.state, found.reason) == ("failed", "insufficient_memory: about 0.0 GB needed, 0.0 GB free")
    monkeypatch.setattr("model.room._available", lambda: 5)
    assert begin(b, "2", 0).state == "running", "one weight of four bytes, and a quarter more"


def test_a_control_group_may_have_less_room_than_its_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limit, used, stat = tmp_path / "memory.max", tmp_path / "memory.current", tmp_path / "memory.stat"
    monkeypatch.setattr(room, "_LIMIT", limit)
    monkeypatch.setattr(room, "_USED", used)
    monkeypatch.setattr(room, "_STAT", stat)
    free = room._available()
    assert free > 1000
    limit.write_text("5000\n")
    used.write_text("4000\n")
    assert room._available() == 1000
    stat.write_text("anon 1000\nfile 3000\ninactive_file 2500\nactive_file 500\n")
    assert room._available() == 3500, "what it keeps of files that nobody reads any more goes when room is needed"
    limit.write_text("max\n")
    assert room._available() > 1000


def test_it_is_refused_where_there_is_nothing_to_compare(bench: Make, shelf: Shelf, pair: Bench) -> None:
    for version, words in (("1", "serves already"), ("17", "no version 17")):
        with pytest.raises(NoSwitch, match=words):
            pair.host.canary.begin(version, 10, force=False)
    with pytest.raises(NoSwitch, match="one model only"):
        bench().ready().host.canary.begin("2", 10, force=False)
    with pytest.raises(NoSwitch, match="No canary is running"):
        pair.host.canary.end()


def test_one_at_a_time_and_no_switch_meanwhile(pair: Bench, shelf: Shelf) -> None:
    shelf.put("3")
    begin(pair, "2", 10)
    with pytest.raises(NoSwitch, match="Version 2 is a canary now"):
        pair.host.canary.begin("3", 10, force=False)
    with pytest.raises(NoSwitch, match="promote or end it first"):
        pair.host.switch("3")
    assert pair.host.reload("manual"), "what serves can be loaded anew all the same"
    pair.until(lambda: ("manual", "ok") in pair.book.reloads)
    assert view(pair).state == "running"
    assert {pair.infer(1, named("2")).version, pair.infer(1).version} == {"1", "2"}


@pytest.mark.usefixtures("small_gpu")
def test_without_room_for_two_it_is_refused_and_nothing_pauses(bench: Make, shelf: Shelf) -> None:
    b = bench(health={"min_free_gpu_bytes": 0}, **shelf.settings()).ready()
    shelf.put("2")
    found = begin(b, "2")
    assert found.state == "failed"
    assert (found.reason or "").startswith("insufficient_gpu_memory: ")
    assert b.stage.events == [], "nothing was loaded, and nothing had to go"
    assert b.infer(2).version == "1"


# --- who goes where ----------------------------------------------------------------------------------------------


def test_a_share_of_the_requests_goes_to_it_the_same_ones_each_time(pair: Bench) -> None:
    begin(pair, "2", 30)
    first = infer_many(pair, 300)
    assert 60 <= list(first.values()).count("2") <= 120
    assert infer_many(pair, 300) == first
    pair.host.canary.share(60)
    more = infer_many(pair, 300)
    assert {key for key, version in first.items() if version == "2"} < {
        key for key, version in more.items() if version == "2"
    }, "who was on its side stays there when it grows"


def test_a_key_keeps_a_caller_on_one_side(pair: Bench) -> None:
    begin(pair, "2", 50)
    for key in ("anna", "bert", "cleo", "dora"):
        terms = Terms(key=key)
        sides = {pair.host.infer(b"3.0", "application/json", f"id-{number}", terms).version for number in range(20)}
        assert len(sides) == 1


def test_a_version_is_asked_for_by_name_whatever_its_share(pair: Bench) -> None:
    begin(pair, "2", 0)
    assert pair.infer(3, named("2")).version == "2"
    pair.host.canary.share(100)
    assert pair.infer(3, named("1")).version == "1"
    with pytest.raises(NoVersion, match="Version 3 is not loaded; 1 and 2 can be asked for"):
        pair.infer(3, named("3"))
    assert pair.book.outcomes[-1] == "bad_input"
    pair.host.canary.end()
    with pytest.raises(NoVersion):
        pair.infer(3, named("2"))


def test_before_a_model_serves_a_name_changes_nothing(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings())
    with pytest.raises(NotReady):
        b.infer(1, named("2"))


def test_each_side_has_its_own_place_in_the_cache(pair: Bench) -> None:
    begin(pair, "2", 0)
    mine, theirs = pair.infer(5, named("2")), pair.infer(5, named("1"))
    assert (mine.payload, theirs.payload) == (b'{"value":10.0}', b'{"value":5.0}')
    again = [pair.infer(5, named(version)) for version in ("2", "1")]
    assert [(one.cache, one.version, one.payload) for one in again] == [
        ("hit", "2", mine.payload),
        ("hit", "1", theirs.payload),
    ]


def test_a_batch_holds_works_of_one_version_only(bench: Make, shelf: Shelf, stage: Stage) -> None:
    b = bench(**shelf.settings(batch_size=8, queue_size=32)).ready()
    shelf.put("2")
    begin(b, "2", 0)
    batches: list[list[Any]] = []
    stage.on_predict = batches.append
    held = b.occupy()
    sent = [b.send_waiting(number, terms=named(version))[0] for number in (1, 2, 3) for version in ("1", "2")]
    stage.gate.set()
    answers = [one.result(PATIENCE) for one in [held, *sent]]
    assert [answer.version for answer in answers] == ["1", "1", "2", "1", "2", "1", "2"]
    assert sorted(len(batch) - 1 for batch in batches) == [1, 3, 3]
    assert all({decoder for decoder, _ in batch[1:]} == {batch[0]} for batch in batches)


def test_a_stream_goes_to_the_version_that_it_asks_for(bench: Make, shelf: Shelf) -> None:
    shelf.put("1", more=STREAM)
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more=STREAM)
    begin(b, "2", 0)
    stream = b.stream(3, named("2"))
    assert stream.version == "2"
    while stream.read(PATIENCE) != "end":
        pass
    stream.close()
    comparison = view(b).comparison
    assert comparison is not None
    assert (comparison.canary.outcomes, comparison.serving.outcomes) == ({"ok": 1}, {})


# --- how it ends -------------------------------------------------------------------------------------------------


def test_start_share_promote_and_end_under_load_lose_nothing(bench: Make, shelf: Shelf) -> None:
    for version in ("2", "3"):
        shelf.put(version)
    b = bench(**shelf.settings(queue_size=64, probation_seconds=0)).ready()
    over = threading.Event()
    answers: list[tuple[float, str, float]] = []

    def send(number: float) -> None:
        count = 0
        while not over.is_set():
            count += 1
            answer = b.host.infer(str(number).encode(), "application/json", f"{number}-{count}")
            answers.append((number, answer.version, float(answer.payload.split(b":")[1][:-1])))

    threads = [threading.Thread(target=send, args=(float(number),)) for number in range(1, 9)]
    for thread in threads:
        thread.start()

    def traffic(version: str, count: int = 20) -> None:
        before = len(answers)
        b.until(lambda: [each for _, each, _ in answers[before:]].count(version) > count)

    assert serving(b)[0] == "3"
    begin(b, "2", 20)
    traffic("2")
    b.host.canary.share(80)
    traffic("2")
    b.host.canary.end()
    traffic("3")
    begin(b, "1", 50)
    traffic("1")
    b.host.promote()
    assert (b.host.switched(PATIENCE) or b).state == "done"  # type: ignore[union-attr]
    traffic("1")
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert set(b.book.outcomes) == {"ok"}
    assert len(answers) == len(b.book.outcomes)
    assert {version for _, version, _ in answers} == {"1", "2", "3"}
    assert all(value == number * float(version) for number, version, value in answers), "answered by what decoded it"


def test_promoted_it_serves_without_another_load_and_on_probation(pair: Bench) -> None:
    begin(pair, "2", 10)
    pair.stage.events.clear()
    found = pair.host.promote()
    assert (found.version, found.before) == ("2", "1")
    done = pair.host.switched(PATIENCE)
    assert done is not None
    assert done.state == "done"
    assert pair.stage.events == []
    assert view(pair).state == "promoted"
    assert serving(pair) == ("2", "1")
    assert states(pair) == {"1": "good", "2": "trial"}
    fail(pair, 5)
    pair.until(lambda: serving(pair)[0] == "1" and pair.host.status().state == "ready")


def test_ended_it_is_unloaded_when_the_last_of_its_requests_has_its_answer(
    bench: Make, shelf: Shelf, stage: Stage
) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    begin(b, "2", 0)
    assert b.host.canary.instance is not None
    model = weakref.ref(b.host.canary.instance.model)
    held = b.occupy()
    waiting = b.send_waiting(4, terms=named("2"))[0]
    ended = b.host.canary.end()
    assert (ended.state, ended.reason) == ("ended", None)
    stage.gate.set()
    assert waiting.result(PATIENCE).version == "2", "it had its place already"
    held.result(PATIENCE)
    del waiting, held

    def freed() -> bool:
        gc.collect()
        return model() is None

    b.until(freed)
    assert states(b) == {"1": "good", "2": "unknown"}


def test_a_good_version_is_still_good_after_it_has_been_a_canary(bench: Make, shelf: Shelf) -> None:
    shelf.put("2")
    b = bench(**shelf.settings(probation_seconds=0)).ready()
    switch(b, "1")
    begin(b, "2")
    b.host.canary.end()
    assert (states(b), serving(b)) == ({"1": "good", "2": "good"}, ("1", "2"))


# --- when it is bad ----------------------------------------------------------------------------------------------


def test_one_that_fails_is_taken_out_and_the_other_has_no_part_in_it(pair: Bench) -> None:
    for number in range(20):
        pair.infer(number + 1)
    begin(pair, "2", 100)
    fail(pair, 5)
    found = view(pair)
    assert (found.state, found.reason) == ("taken_out", "failures: 100% of 5 requests failed, 0% in version 1")
    assert found.comparison is not None
    assert found.comparison.canary.outcomes == {"error": 5}
    assert pair.infer(13).version == "1"
    assert pair.host.status().breaker == "closed"
    release = next(one for one in pair.host.versions().versions if one.version == "2")
    assert (release.state, release.reason) == ("rolled_back", found.reason)
    (remedy,) = pair.host.remedies()
    assert (remedy.cause, remedy.action, remedy.state, remedy.helped, remedy.outcome) == (
        "canary",
        "end_canary",
        "done",
        True,
        "version 1 answers alone",
    )
    assert remedy.why == found.reason


def test_an_open_breaker_of_its_own_takes_it_out(bench: Make, shelf: Shelf, stage: Stage) -> None:
    """Inputs too large for it, one after the other: out of memory on a CPU, by the name that the host goes by."""
    b = bench(**shelf.settings(breaker_ooms=3)).ready()
    shelf.put("2")
    begin(b, "2", 100)

    def work(run: list[Any]) -> None:
        if run[0] == "2":
            raise MemoryError

    stage.on_predict = work
    for _ in range(3):
        with pytest.raises(Refusal):
            b.infer(4)
    assert view(b).state == "taken_out"
    assert (view(b).reason or "").startswith("breaker_open: 3 requests in a row ran out of memory")
    assert b.host.status().breaker == "closed"
    assert b.infer(4).version == "1"
    stage.on_predict = lambda run: None
    assert begin(b, "2", 100).state == "running", "asked for anew, it begins with a closed breaker"
    assert b.infer(4).version == "2"


def test_answers_with_nan_take_it_out_though_they_are_no_errors(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more=NAN)
    begin(b, "2", 100)
    for _ in range(5):
        assert b.infer(13).payload == b'{"value":null}'
    assert (view(b).state, view(b).reason) == (
        "taken_out",
        "nan: 100% of 5 answers have NaN in them, 0% in version 1",
    )
    comparison = view(b).comparison
    assert comparison is not None
    assert (comparison.canary.nan, comparison.serving.nan) == (5, 0)


def test_one_that_is_much_slower_is_taken_out(bench: Make, shelf: Shelf, stage: Stage) -> None:
    clock = Clock()
    b = bench(**shelf.settings(clock)).ready()
    shelf.put("2")

    def work(run: list[Any]) -> None:
        clock.now += 0.01 * int(run[0]) ** 2

    stage.on_predict = work
    begin(b, "2", 0)
    for version in ("1", "2"):
        for _ in range(16):
            b.infer(1, named(version))
    assert view(b).state == "running"
    b.host.check(1_000)
    assert (view(b).state, view(b).reason) == ("taken_out", "latency: batches take 4.0 times as long as in version 1")
    assert b.host.status().latency_drift_ratio in (None, 1.0), "its batches are nobody else's"


def test_a_golden_input_that_goes_wrong_takes_it_out(bench: Make, shelf: Shelf, stage: Stage) -> None:
    clock = Clock()
    b = bench(**shelf.settings(clock)).ready()
    shelf.put("2")
    begin(b, "2", 0)
    canary: Any = b.host.canary.instance
    canary.model.network.weight.data.fill_(7.0)
    for _ in range(3):
        clock.now += 1000
        b.host.check(1_000)
        b.until(lambda: b.host.status().queue_depth == 0)

    def out() -> bool:
        b.host.check(1_000)
        return view(b).state == "taken_out"

    b.until(out)
    assert view(b).reason == "golden_failed: pair 1 of 1"
    assert b.host.health().ready.ok


def test_a_version_that_comes_into_service_by_itself_ends_it(bench: Make, shelf: Shelf) -> None:
    shelf.put("2", poison=(13.0,))
    shelf.put("3")
    b = bench(**shelf.settings()).ready()
    switch(b, "2")
    begin(b, "1", 0)
    fail(b, 5)
    b.until(lambda: serving(b)[0] == "3" and b.host.status().state == "ready")
    assert (view(b).state, view(b).reason) == ("ended", "canary_ended: version 3 was put into service")
    assert b.infer(13).version == "3"


# --- several replicas --------------------------------------------------------------------------------------------


def test_with_several_replicas_it_lives_on_one_and_promoted_it_comes_to_all(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings(devices=["cpu:0", "cpu:1"], probation_seconds=0)).start()
    b.until(lambda: [each.state for each in b.host.status().replicas] == ["ready", "ready"])
    b.ready()
    shelf.put("2")
    begin(b, "2", 50)
    assert b.stage.events == ["load 2"]
    assert set(infer_many(b, 40).values()) == {"1", "2"}
    b.host.promote()
    done = b.host.switched(PATIENCE)
    assert done is not None
    assert done.state == "done"
    assert b.stage.events == ["load 2", "load 2"], "one for the replica that had none"
    assert set(infer_many(b, 40).values()) == {"2"}
    assert serving(b) == ("2", "1")
    assert set(b.book.outcomes) == {"ok"}


def leave_as_canary(run: list[Any]) -> None:
    """What version 2 does: it takes the model thread along."""
    if run[0] == "2":
        raise SystemExit


def test_where_its_replica_has_failed_the_others_answer_for_it_and_it_ends(
    bench: Make, shelf: Shelf, stage: Stage
) -> None:
    b = bench(**shelf.settings(devices=["cpu:0", "cpu:1"], deadline_seconds=2)).start()
    b.until(lambda: [each.state for each in b.host.status().replicas] == ["ready", "ready"])
    shelf.put("2")
    begin(b, "2", 100)

    stage.on_predict = leave_as_canary
    with pytest.raises(InferenceFailed):
        b.infer(3)
    b.until(lambda: "failed" in [each.state for each in b.host.status().replicas])
    assert b.infer(3).version == "1", "in time: nobody waits for a thread that is gone"
    b.host.check(1_000)
    assert (view(b).state, view(b).reason) == ("ended", "canary_ended: model_thread_died: SystemExit")
    assert b.infer(3).version == "1"


def test_one_that_still_loads_when_the_model_thread_dies_has_failed(bench: Make, shelf: Shelf, stage: Stage) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more=SLOW)
    stage.load_gate.clear()
    b.host.canary.begin("2", 100, force=False)
    assert stage.load_entered.acquire(timeout=PATIENCE)
    with pytest.raises(NoSwitch, match="Version 2 is being loaded as a canary"):
        b.host.switch("2")

    def leave(run: list[Any]) -> None:
        raise SystemExit

    stage.on_predict = leave
    with pytest.raises(InferenceFailed):
        b.infer(3)
    stage.on_predict = lambda run: None
    b.until(lambda: b.host.status().state == "failed")
    assert (view(b).state, view(b).reason) == ("failed", "model_thread_died: SystemExit")
    stage.load_gate.set()
    assert b.host.reload("manual")
    b.until(lambda: b.host.status().state == "ready")
    assert begin(b, "2", 100).state == "running"
    assert b.infer(3).version == "2"


def test_one_that_takes_the_model_thread_along_is_not_there_after_the_reload(
    bench: Make, shelf: Shelf, stage: Stage
) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    begin(b, "2", 100)

    stage.on_predict = leave_as_canary
    with pytest.raises(InferenceFailed):
        b.infer(3)
    b.until(lambda: b.host.status().state == "failed")
    b.host.check(1_000)
    assert (view(b).state, view(b).reason) == ("ended", "canary_ended: model_thread_died: SystemExit")
    assert b.host.reload("manual")
    b.until(lambda: b.host.status().state == "ready")
    assert b.infer(3).version == "1"


# --- what is counted ---------------------------------------------------------------------------------------------


def test_both_sides_are_counted_from_what_really_ran(pair: Bench) -> None:
    for number in range(10):
        pair.infer(100 + number)
    begin(pair, "2", 0)
    for number in range(6):
        pair.infer(number + 1, named("1"))
    for number in range(4):
        pair.infer(number + 1, named("2"))
    with pytest.raises(InferenceFailed):
        pair.infer(13, named("2"))
    pair.infer(1, named("2"))
    found = view(pair).comparison
    assert found is not None
    assert found.serving.outcomes == {"ok": 6}, "what ran before it began is not counted"
    assert found.canary.outcomes == {"ok": 4, "error": 1, "cached": 1}
    assert (found.canary.judged, found.canary.failed) == (5, 1)
    assert found.canary.p50_seconds is not None
    versions = [
        (facts["version"], outcome) for facts, outcome in zip(pair.book.requests, pair.book.outcomes, strict=True)
    ]
    assert versions[10:] == [("1", "ok")] * 6 + [("2", "ok")] * 4 + [("2", "error"), ("2", "cached")]


def test_both_are_counted_though_they_do_not_share_a_name(bench: Make, shelf: Shelf) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2", more='    name = "other"')
    begin(b, "2", 0, force=True)
    for version in ("1", "2"):
        b.infer(1, named(version))
    found = view(b).comparison
    assert found is not None
    assert (found.serving.outcomes, found.canary.outcomes) == ({"ok": 1}, {"ok": 1})


def test_its_share_is_a_metric_while_it_runs(pair: Bench) -> None:
    def shares() -> list[tuple[dict[str, str], float]]:
        samples = ModelCollector(pair.host).collect()
        return [(dict(one.labels), one.value) for one in samples if one.name == "model_canary_share_ratio"]

    assert shares() == []
    begin(pair, "2", 25)
    assert shares() == [({"model": "times", "version": "2"}, 0.25)]
    pair.host.canary.end()
    assert shares() == []


# --- the next process --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orderly", "why"), [(True, "the server was stopped"), (False, "the process ended while it ran")]
)
def test_a_canary_does_not_outlive_its_process(bench: Make, shelf: Shelf, orderly: bool, why: str) -> None:
    b = bench(**shelf.settings()).ready()
    shelf.put("2")
    begin(b, "2", 50)
    if orderly:
        b.close()
    again = bench(**shelf.settings()).ready()
    assert again.host.canary.view() is None
    assert again.infer(3).version == "1", "the newest one may be why the process has ended"
    release = next(one for one in again.host.versions().versions if one.version == "2")
    assert (release.state, release.reason) == ("unknown", f"canary_ended: {why}")


def test_a_promoted_version_is_what_the_next_process_starts_with(pair: Bench, bench: Make, shelf: Shelf) -> None:
    shelf.put("3")
    begin(pair, "2", 0)
    pair.host.promote()
    assert pair.host.switched(PATIENCE) is not None
    pair.close()
    assert serving(bench(**shelf.settings()).ready())[0] == "2"


def test_terms_ask_for_no_version_by_themselves() -> None:
    assert (STANDARD.version, STANDARD.key) == (None, None)
