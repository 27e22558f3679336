"""Whatever sources do, the store answers as a few lines of plain Python do, before and after a restart."""

from __future__ import annotations

import struct
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, STALE_BITS, Hints, Labels, Sample, Series, Tick
from storage.engine import open_database
from storage.series import SeriesStore

NAMES = [(f"metric_{number % 3}", (("at", str(number)),)) for number in range(6)]
HEAD_MS = 600

samples = st.lists(
    st.tuples(st.sampled_from(NAMES), st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=8
)


def bits(value: float) -> int:
    found: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return found


def full(name: str, labels: Labels) -> Labels:
    return tuple(sorted(((METRIC_NAME, name), *labels)))


def as_bits(answer: Iterable[Series]) -> dict[Labels, list[tuple[int, int]]]:
    """Each series' times and values; none may come twice."""
    read: dict[Labels, list[tuple[int, int]]] = {}
    for series in answer:
        assert series.labels not in read
        read[series.labels] = list(zip(series.times.tolist(), series.values.view("u8").tolist(), strict=True))
    return read


class Model:
    """What should be there: series → time → bits of the value."""

    def __init__(self) -> None:
        self.series: defaultdict[Labels, dict[int, int]] = defaultdict(dict)
        self.open: dict[str, set[Labels]] = {}
        self.last: dict[str, int] = {}
        self.last_tick = 0
        self.horizon = 0

    def tick(self, tick: Tick) -> None:
        present = {full(name, labels): bits(value) for name, labels, value in tick.samples}
        was_open = self.open.get(tick.source, set())
        if tick.time_ms <= self.last.get(tick.source, -1) or not (present or was_open):
            return
        for labels in was_open - set(present):
            self.series[labels][tick.time_ms] = STALE_BITS
        for labels, value in present.items():
            self.series[labels][tick.time_ms] = value
        self.open[tick.source] = set(present)
        self.last[tick.source] = tick.time_ms
        if any(value != STALE_BITS for value in present.values()):
            self.last_tick = max(self.last_tick, tick.time_ms)

    def restart(self) -> None:
        for source, series in self.open.items():
            end = max(self.last_tick, self.last[source]) + 1
            for labels in series:
                self.series[labels][end] = STALE_BITS
            if series:
                self.last[source] = end
        self.open = {}

    def expire(self, before_ms: int) -> None:
        self.horizon = max(self.horizon, before_ms)

    def select(self, start_ms: int, end_ms: int) -> dict[Labels, list[tuple[int, int]]]:
        start_ms = max(start_ms, self.horizon)
        cut = {
            labels: [(time, value) for time, value in sorted(times.items()) if start_ms <= time <= end_ms]
            for labels, times in self.series.items()
        }
        return {labels: times for labels, times in cut.items() if times}

    def windows(self, hints: Hints) -> dict[Labels, list[tuple[int, int]]]:
        """What lies in any of a query's windows."""
        ends = range(hints.start_ms, hints.end_ms + 1, hints.step_ms or 1)
        found = self.select(hints.start_ms - hints.range_ms + 1, hints.end_ms)
        inside = {
            labels: [(time, value) for time, value in samples if any(0 <= end - time < hints.range_ms for end in ends)]
            for labels, samples in found.items()
        }
        return {labels: samples for labels, samples in inside.items() if samples}


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches: list[Any] = [
            patch("storage.series.BLOCK_SAMPLES", 20),  # so that blocks are made often
            patch("storage.seal._LARGEST", 40),
            patch("storage.history.GROUP_SAMPLES", 50),  # so that windows are read in several groups
            patch("storage.history._CACHED_SAMPLES", 200),
            patch("storage.retention._PAUSE_SECONDS", 0.0),
            patch("storage.block._PAUSE_SECONDS", 0.0),
            patch("storage.engine.SYNCHRONOUS", "OFF"),  # no plug is pulled here, and the disk is slow
        ]
        for one in self.patches:
            one.start()
        self.model = Model()
        self.now = 1_000_000
        self.open()

    def open(self) -> None:
        self.engine: Engine = open_database(Path(self.folder.name) / "wakeless.db")
        self.store = SeriesStore(self.engine, head_minutes=HEAD_MS / 60_000)
        self.store.load()

    @rule(advance=st.integers(1, 400), first=samples, second=samples | st.none())
    def two_sources_write(self, advance: int, first: list[Any], second: list[Any] | None) -> None:
        self.now += advance
        own = [((name + "_b", labels), value) for (name, labels), value in second or []]
        ticks = [Tick("a", self.now, self.made(first)), Tick("b", self.now, self.made(own))]
        self.append(ticks if second is not None else ticks[:1])

    @rule(advance=st.integers(1, 900), count=st.integers(2, 40), value=st.floats())
    def a_source_writes_steadily(self, advance: int, count: int, value: float) -> None:
        for _ in range(count):
            self.now += advance // 10 + 1
            self.append([Tick("a", self.now, self.made([(name, value) for name in NAMES]))])

    @rule(source=st.sampled_from("ab"), advance=st.integers(0, 50))
    def a_source_ends(self, source: str, advance: int) -> None:
        self.now += advance
        self.append([Tick(source, self.now, ())])

    @rule(source=st.sampled_from("ab"), back=st.integers(0, 3000), some=samples)
    def the_clock_steps_back(self, source: str, back: int, some: list[Any]) -> None:
        if source == "b":
            some = [((name + "_b", labels), value) for (name, labels), value in some]
        self.append([Tick(source, self.now - back, self.made(some))])

    @rule(pause=st.integers(1, 2000), killed=st.booleans())
    def the_process_restarts(self, pause: int, killed: bool) -> None:
        if not killed:
            self.store.close()
        self.engine.dispose()
        self.model.restart()
        self.now += pause
        self.open()

    @rule(everything=st.booleans())
    def what_is_in_memory_is_sealed(self, everything: bool) -> None:
        self.store.seal(everything=everything)

    @rule(age=st.integers(0, 3000))
    def old_history_expires(self, age: int) -> None:
        self.store.expire(self.now - age)
        self.model.expire(self.now - age)

    @invariant()
    def everything_is_there(self) -> None:
        self.compare(0, self.now + 10_000)

    @rule(start=st.integers(-200, 3000), length=st.integers(0, 2000))
    def any_window_is_answered(self, start: int, length: int) -> None:
        self.compare(self.now - start, self.now - start + length)

    @rule(start=st.integers(0, 3000), steps=st.integers(0, 5), step=st.integers(1, 900), span=st.integers(1, 1500))
    def a_query_finds_all_that_it_looks_at(self, start: int, steps: int, step: int, span: int) -> None:
        first = self.now - start
        hints = Hints(first, first + steps * step, step if steps else 0, span)
        found = as_bits(self.store.stream([], hints))
        there = self.model.select(0, self.now + 10_000)
        assert all(set(there[labels]).issuperset(samples) for labels, samples in found.items())
        for labels, samples in self.model.windows(hints).items():
            assert set(found[labels]).issuperset(samples)

    @rule()
    def another_process_sees_the_same(self) -> None:
        reader = SeriesStore(self.engine)
        reader.attach()
        assert as_bits(reader.select([], 0, self.now + 10_000)) == self.model.select(0, self.now + 10_000)

    def append(self, ticks: list[Tick]) -> None:
        self.store.append(ticks)
        for tick in ticks:
            self.model.tick(tick)

    def compare(self, start_ms: int, end_ms: int) -> None:
        read = as_bits(self.store.select([], start_ms, end_ms))
        assert read == self.model.select(start_ms, end_ms)
        named = set(self.store.labels([], start_ms, end_ms))
        assert named.issuperset(read)

    @staticmethod
    def made(some: list[Any]) -> tuple[Sample, ...]:
        return tuple(Sample(name, labels, value) for (name, labels), value in some)

    def teardown(self) -> None:
        self.engine.dispose()
        for one in self.patches:
            one.stop()
        self.folder.cleanup()


def test_the_store_answers_as_the_model_does() -> None:
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=20, stateful_step_count=15, deadline=None))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_store_answers_as_the_model_does_for_long() -> None:
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=1000, stateful_step_count=30, deadline=None))
