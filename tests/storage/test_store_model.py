"""Whatever sources do, the store answers as a few lines of plain Python do, before and after a restart."""

from __future__ import annotations

import struct
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine

from collectors.sample import METRIC_NAME, STALE_BITS, Labels, Sample, Tick
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


class Model:
    """What should be there: series → time → bits of the value."""

    def __init__(self) -> None:
        self.series: defaultdict[Labels, dict[int, int]] = defaultdict(dict)
        self.open: dict[str, set[Labels]] = {}
        self.last: dict[str, int] = {}
        self.rows: set[int] = set()  # times
        self.forgotten: set[str] = set()  # sources of which nothing is left in the file

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
        self.rows.add(tick.time_ms)
        self.forgotten.discard(tick.source)

    def restart(self) -> None:
        if not self.rows:
            self.forgotten = set(self.last)
            self.open = {}
        for source in self.forgotten:
            del self.last[source]
        self.forgotten = set()
        end = max(self.rows, default=0) + 1
        for source, series in self.open.items():
            for labels in series:
                self.series[labels][end] = STALE_BITS
            if series:
                self.last[source] = end
                self.rows.add(end)
        self.open = {}

    def expire(self, before_ms: int) -> None:
        for times in self.series.values():
            for time in [time for time in times if time < before_ms]:
                del times[time]
        self.rows = {time for time in self.rows if time >= before_ms}
        self.forgotten.update(
            source for source, last in self.last.items() if last < before_ms and not self.open.get(source)
        )

    def select(self, start_ms: int, end_ms: int) -> dict[Labels, list[tuple[int, int]]]:
        cut = {
            labels: [(time, value) for time, value in sorted(times.items()) if start_ms <= time <= end_ms]
            for labels, times in self.series.items()
        }
        return {labels: times for labels, times in cut.items() if times}


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches: list[Any] = [
            patch("storage.history.PAGE_ROWS", 3),  # so that windows take several pages
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

    @rule(pause=st.integers(1, 2000))
    def the_process_restarts(self, pause: int) -> None:
        self.engine.dispose()
        self.model.restart()
        self.now += pause
        self.open()

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

    def append(self, ticks: list[Tick]) -> None:
        self.store.append(ticks)
        for tick in ticks:
            self.model.tick(tick)

    def compare(self, start_ms: int, end_ms: int) -> None:
        answer = self.store.select([], start_ms, end_ms)
        read = {
            series.labels: list(zip(series.times.tolist(), series.values.view("u8").tolist(), strict=True))
            for series in answer
        }
        assert len(read) == len(answer)
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
