"""Collectors side by side: none delays another, and each says how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from structlog.testing import capture_logs

from collectors.collection import SOURCE, Collection
from collectors.sample import Collector, Sample, Tick
from config import AliasSettings

DEADLINE = 0.5


class Source:
    """A collector whose next runs a test decides."""

    def __init__(self, name: str, interval_seconds: float = 1.0) -> None:
        self.name = name
        self.interval_seconds = interval_seconds
        self.runs = 0
        self.samples: list[Sample] = [Sample(f"{name}_value", (), 1.0)]
        self.error: Exception | None = None
        self.gate: threading.Event | None = None
        self.absent_reason: str | None = None
        self.threads: set[int] = set()
        self.began = threading.Event()
        self.ended = threading.Event()

    def collect(self) -> Iterable[Sample]:
        self.runs += 1
        self.threads.add(threading.get_ident())
        self.began.set()
        if self.gate is not None:
            assert self.gate.wait(30)
            self.ended.set()
        if self.error is not None:
            raise self.error
        yield from self.samples


class Slow(Source):
    """A collector whose every run lasts until the test says so, and gives the number of the run."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.is_slow = True
        self._go = threading.Semaphore(0)
        self._gone = threading.Semaphore(0)

    def collect(self) -> Iterable[Sample]:
        self.runs += 1
        run = float(self.runs)
        if self.is_slow:
            assert self._go.acquire(timeout=30)
        yield Sample("run", (), run)
        self._gone.release()

    def finish(self) -> None:
        """Let the run that is going on end, and wait until it has."""
        self._go.release()
        assert self._gone.acquire(timeout=30)


@pytest.fixture
def opened() -> Iterator[list[Collection]]:
    made: list[Collection] = []
    yield made
    for collection in made:
        collection.close()


def collection_of(opened: list[Collection], *collectors: Collector, deadline: float = DEADLINE) -> Collection:
    opened.append(Collection(collectors, deadline))
    return opened[-1]


def next_with(collection: Collection, name: str, from_ms: int) -> list[Tick]:
    """The first ticks from then on, a millisecond apart, in which a source that is about to deliver does so."""
    for now_ms in range(from_ms, from_ms + 1000):
        ticks = collection.collect(now_ms)
        if name in sources(ticks):
            return ticks
    raise AssertionError(f"{name} did not deliver")


def sources(ticks: list[Tick]) -> dict[str, int]:
    """How many samples each source wrote, in order."""
    return {tick.source: len(tick.samples) for tick in ticks}


def ups(ticks: list[Tick]) -> dict[str, float]:
    return {dict(labels)["collector"]: value for name, labels, value in ticks[-1].samples if name == "collector_up"}


def test_ticks_come_in_the_order_of_the_collectors_with_the_report_last(opened: list[Collection]) -> None:
    collection = collection_of(opened, Source("b"), Source("a"), Source("c"), deadline=20)
    ticks = collection.collect(7000)
    assert list(sources(ticks)) == ["b", "a", "c", SOURCE]
    assert {tick.time_ms for tick in ticks} == {7000}
    assert ups(ticks) == {"b": 1, "a": 1, "c": 1}
    durations = [sample for sample in ticks[-1].samples if sample.name == "collector_duration_seconds"]
    assert len(durations) == 3
    assert all(0 <= sample.value < 20 for sample in durations)


def test_each_collector_keeps_its_own_thread(opened: list[Collection]) -> None:
    a, b = Source("a"), Source("b")
    collection = collection_of(opened, a, b, deadline=20)
    for second in range(5):
        collection.collect(second * 1000)
    assert len(a.threads) == len(b.threads) == 1
    assert a.threads != b.threads


def test_one_that_raises_is_left_out_and_says_why_once(opened: list[Collection]) -> None:
    good, bad = Source("good"), Source("bad")
    bad.error = OSError("no such device")
    collection = collection_of(opened, good, bad, deadline=20)
    with capture_logs() as logs:
        for second in range(3):
            ticks = collection.collect(second * 1000)
            assert sources(ticks) == {"good": 1, SOURCE: 4}
            assert ups(ticks) == {"good": 1, "bad": 0}
    state = collection.states()["bad"]
    assert (state.up, state.error, state.hung) == (False, "OSError: no such device", False)
    [entry] = logs
    assert (entry["event"], entry["collector"], entry["exc_info"]) == ("collector_failed", "bad", bad.error)


def test_a_source_that_fails_ends_its_series_once_and_comes_back(opened: list[Collection]) -> None:
    source = Source("a")
    collection = collection_of(opened, source, deadline=20)
    collection.collect(0)
    assert collection.latest()[0].name == "a_value"
    source.error = OSError("gone")
    ticks = collection.collect(1000)
    assert ticks[0] == Tick("a", 1000, ())
    assert "a_value" not in [sample.name for sample in collection.latest()]
    assert sources(collection.collect(2000)) == {SOURCE: 2}
    source.error = None
    assert sources(collection.collect(3000)) == {"a": 1, SOURCE: 2}
    assert collection.states()["a"].up


def test_half_a_run_is_no_run(opened: list[Collection]) -> None:
    class Torn(Source):
        def collect(self) -> Iterable[Sample]:
            yield Sample("half", (), 1.0)
            raise OSError("torn")

    collection = collection_of(opened, Torn("torn"), deadline=20)
    assert sources(collection.collect(0)) == {SOURCE: 2}


def test_an_absent_source_is_up_without_series_and_tells_its_reason(opened: list[Collection]) -> None:
    source = Source("nvml")
    source.samples, source.absent_reason = [], "no driver"
    collection = collection_of(opened, source, deadline=20)
    for second in range(2):
        ticks = collection.collect(second * 1000)
        assert sources(ticks) == {SOURCE: 2}
        assert ups(ticks) == {"nvml": 1}
    assert collection.states()["nvml"].absent == "no driver"


def test_a_source_that_becomes_absent_ends_its_series_once(opened: list[Collection]) -> None:
    source = Source("nvml")
    collection = collection_of(opened, source, deadline=20)
    collection.collect(0)
    source.samples = []
    assert collection.collect(1000)[0] == Tick("nvml", 1000, ())
    assert sources(collection.collect(2000)) == {SOURCE: 2}


def test_one_that_hangs_costs_one_deadline_and_no_later_tick_waits_for_it(opened: list[Collection]) -> None:
    quick, stuck = Source("quick"), Source("stuck")
    stuck.gate = threading.Event()
    collection = collection_of(opened, quick, stuck)
    try:
        ticks = collection.collect(0)
        assert sources(ticks) == {"quick": 1, SOURCE: 3}
        assert ups(ticks) == {"quick": 1, "stuck": 0}
        assert collection.states()["stuck"].hung
        start = time.monotonic()
        for second in range(1, 21):
            ticks = collection.collect(second * 1000)
            assert sources(ticks) == {"quick": 1, SOURCE: 3}
            assert ups(ticks) == {"quick": 1, "stuck": 0}
        assert time.monotonic() - start < 20 * DEADLINE
        assert stuck.runs == 1
    finally:
        stuck.gate.set()


def test_a_source_that_is_merely_slow_delivers_with_the_next_tick(opened: list[Collection]) -> None:
    slow = Slow("slow")
    collection = collection_of(opened, Source("quick"), slow, deadline=0.1)
    assert ups(collection.collect(0)) == {"quick": 1, "slow": 0}, "the tick that it missed"
    for second in range(1, 4):
        slow.finish()
        ticks = next_with(collection, "slow", second * 1000)
        assert ticks[1].samples == (Sample("run", (), float(second)),)
        assert ticks[1].time_ms == ticks[0].time_ms >= second * 1000
        assert ups(ticks) == {"quick": 1, "slow": 1}
    slow.finish()


def test_no_tick_waits_for_a_run_that_will_most_likely_be_late_again(opened: list[Collection]) -> None:
    slow = Slow("slow")
    collection = collection_of(opened, slow)
    collection.collect(0)
    slow.finish()
    start = time.monotonic()
    next_with(collection, "slow", 1000)
    assert time.monotonic() - start < DEADLINE
    slow.finish()


def test_a_source_that_is_quick_again_is_waited_for_again(opened: list[Collection]) -> None:
    slow = Slow("slow")
    collection = collection_of(opened, slow, deadline=0.05)
    collection.collect(0)
    slow.finish()
    slow.is_slow = False
    assert next_with(collection, "slow", 1000)[0].samples[0].value == 1
    slow.finish()
    assert collection.collect(2000)[0].samples[0].value == 3, "not the run of the last tick, but that of this one"


def test_what_a_source_brings_after_it_hung_is_too_old_to_be_told(opened: list[Collection]) -> None:
    stuck = Slow("stuck")
    collection = collection_of(opened, stuck, deadline=0.05)
    collection.collect(0)
    assert collection.states()["stuck"].hung
    stuck.finish()
    stuck.is_slow = False
    ticks = next_with(collection, "stuck", 3_600_000)
    assert ticks[0].samples == (Sample("run", (), 2.0),)
    assert ups(ticks) == {"stuck": 1}
    assert not collection.states()["stuck"].hung


def test_a_source_that_misses_a_tick_keeps_its_series_and_one_that_hangs_ends_them(opened: list[Collection]) -> None:
    source, every_ten = Source("a"), Source("b", 10)
    collection = collection_of(opened, source, every_ten)
    collection.collect(0)
    gate = source.gate = every_ten.gate = threading.Event()
    try:
        ticks = {second: sources(collection.collect(second * 1000)) for second in range(1, 25)}
    finally:
        gate.set()
    ended = {name: [second for second in ticks if ticks[second].get(name) == 0] for name in ("a", "b")}
    assert ended == {"a": [7], "b": [21]}, "more than 5 s, or its interval, after the run began"


def test_a_slow_source_runs_when_its_interval_is_over_though_ticks_are_not_exact(opened: list[Collection]) -> None:
    fast, slow = Source("fast", 1), Source("slow", 10)
    collection = collection_of(opened, fast, slow, deadline=20)
    ran = []
    for second in range(31):
        late_ms = 3 if second % 10 == 0 and second < 10 else 0
        ticks = collection.collect(second * 1000 + late_ms)
        if "slow" in sources(ticks):
            ran.append(second)
    assert ran == [0, 10, 20, 30]
    assert fast.runs == 31


def test_between_its_runs_a_slow_source_keeps_its_newest_samples_and_its_report(opened: list[Collection]) -> None:
    fast, slow = Source("fast", 1), Source("slow", 10)
    collection = collection_of(opened, fast, slow, deadline=20)
    collection.collect(0)
    ticks = collection.collect(1000)
    assert sources(ticks) == {"fast": 1, SOURCE: 4}
    assert ups(ticks) == {"fast": 1, "slow": 1}
    assert {"fast_value", "slow_value", "collector_up"} <= {sample.name for sample in collection.latest()}


def test_a_clock_that_is_set_back_does_not_stop_slow_sources(opened: list[Collection]) -> None:
    slow = Source("slow", 10)
    collection = collection_of(opened, Source("fast", 1), slow, deadline=20)
    collection.collect(3_600_000)
    assert "slow" in sources(collection.collect(1000))
    assert "slow" not in sources(collection.collect(2000))


def test_aliases_are_in_the_ticks_and_in_the_newest_samples_alike(opened: list[Collection]) -> None:
    aliases = {"also": AliasSettings(of="a_value")}
    opened.append(Collection([Source("a")], 20, aliases=aliases))
    [tick, _] = opened[-1].collect(0)
    assert [sample.name for sample in tick.samples] == ["a_value", "also"]
    assert Sample("also", (), 1.0) in opened[-1].latest()


def test_before_the_first_tick_there_is_nothing(opened: list[Collection]) -> None:
    collection = collection_of(opened, Source("a"))
    assert collection.latest() == []
    assert collection.states() == {}


@pytest.mark.parametrize("names", [("a", "a"), (SOURCE,)])
def test_it_refuses_names_that_would_collide(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="unique"):
        Collection([Source(name) for name in names], 1)


def test_close_ends_the_threads() -> None:
    collection = Collection([Source("a"), Source("b")], 20)
    collection.collect(0)
    mine = [thread for thread in threading.enumerate() if thread.name in ("collector-a", "collector-b")]
    assert len(mine) >= 2
    assert all(thread.daemon for thread in mine)
    collection.close()
    for thread in mine:
        thread.join(20)
        assert not thread.is_alive()
