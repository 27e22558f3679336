"""What the model was doing when the process died is still there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blackbox import CALLS, BlackBox, describe


def test_the_last_call_outlives_the_process_that_made_it() -> None:
    box = BlackBox(limit_seconds=60)
    child = os.fork()
    if child == 0:
        box.begin("batch", 2, ["first", "second"], box.shapes([np.zeros((3, 8, 8), np.float32)] * 2))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    flight = box.read()
    assert flight is not None
    assert (flight.what, flight.size, flight.request_ids) == ("batch", 2, ["first", "second"])
    assert flight.inputs == ["float32[3, 8, 8]"]
    assert flight.ended is None


def test_it_tells_how_long_the_call_ran_and_whether_it_came_back() -> None:
    moments = iter([100.0, 102.5])
    box = BlackBox(limit_seconds=2, clock=lambda: next(moments))
    assert box.read() is None
    box.begin("check", 1, [], [])
    flight = box.read()
    assert flight is not None
    assert flight.overdue(101.0) == -1
    assert flight.overdue(105.0) == 3
    assert flight.as_dict(104.0)["seconds"] == 4
    assert box.done == 0
    box.end()
    assert box.done == 1
    ended = box.read()
    assert ended is not None
    assert ended.overdue(1000.0) < 0
    assert ended.as_dict(104.0) == {
        "what": "check",
        "size": 1,
        "inputs": [],
        "request_ids": [],
        "finished": True,
        "seconds": 2.5,
        "seconds_before_end": 4.0,
    }


def test_a_large_batch_is_told_in_part_and_fits_the_page() -> None:
    box = BlackBox()
    box.begin("batch", 1024, ["r" * 64] * 1024, box.shapes(["x" * length for length in range(1024)]))
    flight = box.read()
    assert flight is not None
    assert flight.size == 1024
    assert flight.request_ids == ["r" * 64] * 16
    assert flight.inputs[:2] == ["str of 0", "str of 1"]


def test_what_is_half_written_is_not_read() -> None:
    box = BlackBox()
    box.begin("batch", 1, ["a"], ["int"])
    box._page[0] |= 1
    assert box.read() is None


def test_a_new_process_begins_with_an_empty_page() -> None:
    box = BlackBox()
    box.begin("batch", 1, ["a"], ["int"])
    box.note_gpu_bytes(5_000_000_000)
    assert box.gpu_bytes == 5_000_000_000
    box.clear()
    assert (box.read(), box.gpu_bytes) == (None, 0)


def test_calls_of_other_threads_are_seen_while_they_run_each_with_its_limit() -> None:
    now = 100.0
    box = BlackBox(limit_seconds=2, load_seconds=30, clock=lambda: now)
    first = box.enter("load", "")
    now = 101.0
    second = box.enter("decode", "r" * 200)
    load, decode = box.calls()
    assert (load.what, load.request_id, load.began, load.limit_seconds) == ("load", "", 100.0, 30)
    assert (decode.what, decode.request_id, decode.limit_seconds) == ("decode", "r" * 64, 2)
    assert decode.overdue(104.0) == 1
    assert decode.as_dict(104.0) == {"what": "decode", "request_id": "r" * 64, "seconds": 3.0}
    assert box.latest(104.0) == decode, "of two it is the one that has outrun its limit"
    assert box.latest(140.0) == decode
    box.leave(second)
    assert box.calls() == [load]
    box.leave(first)
    assert (box.calls(), box.latest(140.0), box.done) == ([], None, 0)


def test_what_runs_in_the_model_is_weighed_with_what_runs_beside_it() -> None:
    now = 100.0
    box = BlackBox(limit_seconds=2, clock=lambda: now)
    box.begin("batch", 3, [], [])
    now = 101.0
    box.enter("encode", "a")
    found = box.latest(104.0)
    assert found is not None
    assert (found.words, found.overdue(104.0)) == ("a batch of 3", 2)
    box.end()
    assert [call.words for call in box.calls()] == ["encode for request a"]


def test_more_calls_than_there_is_room_for_run_unnoted() -> None:
    box = BlackBox()
    places = [box.enter("decode", str(number)) for number in range(CALLS + 2)]
    assert places[-2:] == [-1, -1]
    for place in places:
        box.leave(place)
    assert box.calls() == []
    assert sorted(box.enter("decode", "") for _ in range(CALLS)) == list(range(CALLS))


def test_calls_outlive_the_process_that_made_them() -> None:
    box = BlackBox()
    child = os.fork()
    if child == 0:
        box.leave(box.enter("decode", "over"))
        box.enter("encode", "first")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert [(call.what, call.request_id) for call in box.calls()] == [("encode", "first")]
    box.clear()
    assert box.calls() == []


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (np.zeros((2, 3), np.uint8), "uint8[2, 3]"),
        (Image.new("RGB", (640, 480)), "Image (640, 480)"),
        ("a secret text", "str of 13"),
        ({"a": 1}, "dict of 1"),
        (7, "int"),
        (Path("/etc"), "PosixPath"),
    ],
)
def test_an_input_is_described_by_kind_and_size_never_by_its_content(item: object, shown: str) -> None:
    assert describe(item) == shown
