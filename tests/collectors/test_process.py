"""What the server process costs, and what others hand in."""

from __future__ import annotations

import os
import time

from collectors.process import ProcessCollector
from collectors.sample import Sample, make_labels


def read(collector: ProcessCollector) -> dict[str, float]:
    return {name: value for name, labels, value in collector.collect() if not labels}


def test_this_process_is_read() -> None:
    found = read(ProcessCollector())
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["process_threads"] >= 1
    assert 0 < found["process_start_time_seconds"] <= time.time()
    assert found["process_cpu_seconds_total"] > 0


def test_open_files_are_counted() -> None:
    collector = ProcessCollector()
    before = read(collector)["process_open_fds"]
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        assert read(collector)["process_open_fds"] == before + 1
    finally:
        os.close(descriptor)


def test_gauges_are_asked_every_time_and_one_without_a_value_is_left_out() -> None:
    viewers = [0]
    stages = {make_labels(source="store"): 0.25, make_labels(source="collect"): 0.5}
    collector = ProcessCollector(
        gauges={
            "wakeless_viewers": lambda: viewers[0],
            "wakeless_database_bytes": lambda: None,
            "wakeless_tick_duration_seconds": lambda: stages,
        }
    )
    assert read(collector)["wakeless_viewers"] == 0
    viewers[0] = 3
    samples = list(collector.collect())
    assert Sample("wakeless_viewers", (), 3.0) in samples
    assert not any(sample.name == "wakeless_database_bytes" for sample in samples)
    assert [sample for sample in samples if sample.name == "wakeless_tick_duration_seconds"] == [
        Sample("wakeless_tick_duration_seconds", make_labels(source="collect"), 0.5),
        Sample("wakeless_tick_duration_seconds", make_labels(source="store"), 0.25),
    ]


def test_restarts_and_the_crash_loop_come_from_their_keepers() -> None:
    collector = ProcessCollector(restarts=lambda: {"oom": 2, "crash": 0}, crash_loop=lambda: True)
    samples = list(collector.collect())
    assert samples[-3:] == [
        Sample("process_restarts_total", make_labels(reason="crash"), 0.0),
        Sample("process_restarts_total", make_labels(reason="oom"), 2.0),
        Sample("crash_loop_tripped", (), 1.0),
    ]


def test_without_keepers_nothing_is_made_up() -> None:
    names = {sample.name for sample in ProcessCollector().collect()}
    assert not names & {"process_restarts_total", "crash_loop_tripped", "wakeless_viewers"}
