"""The journal, and what waits in memory while its disk takes nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.backlog import Backlog
from storage.error import StorageError
from storage.journal import Journal, Row, Segment, State, replay, segment_path, segments
from storage.layout import Layout
from storage.problem import Problems

IDENTITY = "a1b2c3"
LAYOUT = Layout(1, "host", (1, 2))


def row(time_ms: int, value: float = 1.0, layout: Layout = LAYOUT) -> Row:
    return Row(time_ms, layout, np.full(len(layout.series), value))


def times(folder: Path) -> list[int]:
    """The moments of all ticks that the disk has, segment by segment."""
    return [
        row.time_ms
        for segment in segments(folder)
        for record in replay(segment, IDENTITY)
        if not isinstance(record, State)
        for row in record
    ]


@contextmanager
def no_room(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> Iterator[None]:
    """A disk that takes half of what is written, then nothing: as a full one does."""
    whole = os.pwrite

    def refuse(descriptor: int, data: bytes, offset: int) -> int:
        if len(data) < 16:
            raise OSError(number, os.strerror(number))
        return whole(descriptor, data[: len(data) // 2], offset)

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", refuse)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wakeless.journal"


@pytest.fixture
def problems() -> Problems:
    moment = iter(range(10_000_000))
    return Problems(clock=lambda: 1_000, elapsed=lambda: 10.0 * next(moment))  # every look is ten seconds later


@pytest.fixture
def backlog(folder: Path, problems: Problems) -> Iterator[Backlog]:
    made = Backlog(folder, problems)
    made.begin(1, IDENTITY, [])
    yield made
    made.close()


def test_what_was_appended_is_read_back(folder: Path) -> None:
    journal = Journal(folder)
    journal.begin(3, IDENTITY, [State("host", 5, LAYOUT), State("gone", 7, None)])
    other = Layout(2, "gpu", (3,))
    journal.append([row(10, 0.5), row(11, float("inf"), other)])
    journal.append([row(12, -0.0)])
    journal.sync()
    journal.close()
    (segment,) = segments(folder)
    assert segment == Segment(3, segment_path(folder, 3))
    records = list(replay(segment, IDENTITY))
    states = [(one.source, one.last_ms) for one in records if isinstance(one, State)]
    assert states == [("host", 5), ("gone", 7), ("gpu", -1)]
    rows = [one for record in records if not isinstance(record, State) for one in record]
    assert [(one.time_ms, one.layout.source, one.layout.series) for one in rows] == [
        (10, "host", (1, 2)),
        (11, "gpu", (3,)),
        (12, "host", (1, 2)),
    ]
    assert rows[0].values.tolist() == [0.5, 0.5]
    assert np.signbit(rows[2].values).all()
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_segment_of_another_database_is_refused(folder: Path) -> None:
    journal = Journal(folder)
    journal.begin(1, "somebody else's", [])
    journal.close()
    with pytest.raises(StorageError, match="belongs to another database"):
        list(replay(segments(folder)[0], IDENTITY))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=3))
def test_whatever_happens_to_the_bytes_only_frames_that_are_hit_are_missing(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    journal.begin(1, IDENTITY, [State("host", 0, LAYOUT)])
    ends = []
    begin = segment_path(folder, 1).stat().st_size
    for number in range(8):
        journal.append([row(number)])
        ends.append(segment_path(folder, 1).stat().st_size)
    journal.close()
    (segment,) = segments(folder)
    data = bytearray(segment.path.read_bytes())
    del data[max(len(data) - cut, ends[0]) :]
    hit = {place % len(data): bits for place, bits in flips}
    for place, bits in hit.items():
        data[place] ^= bits
    segment.path.write_bytes(bytes(data))
    begins = [begin, *ends[:-1]]
    whole = [
        number
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
        if end <= len(data) and not any(begin <= place < end for place in hit)
    ]
    opening_hit = any(place < begins[0] for place in hit)
    try:
        found = times(folder)
    except StorageError:
        assert opening_hit  # the name of the database itself was hit
        return
    assert found == whole or (opening_hit and found == [])


def test_ticks_wait_while_the_disk_is_full_and_are_written_in_order_when_there_is_room(
    backlog: Backlog, folder: Path, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog.append([row(1)])
    with no_room(monkeypatch):
        for moment in range(2, 50):
            backlog.append([row(moment)])
        assert times(folder) == [1]
        assert backlog.waiting == 48
        assert [problem.kind for problem in problems.current()] == ["disk_full"]
    backlog.append([row(50)])
    assert times(folder) == list(range(1, 51))
    assert backlog.waiting == 0
    assert problems.current() == []


def test_ticks_that_belong_to_a_segment_that_could_not_be_begun_are_written_into_it(
    backlog: Backlog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_room(monkeypatch):
        backlog.append([row(1)])
        backlog.begin(2, IDENTITY, [State("host", 1, LAYOUT)])
        backlog.append([row(2)])
        backlog.begin(3, IDENTITY, [State("host", 2, LAYOUT)])
        backlog.append([row(3)])
        assert backlog.number == 3
        assert backlog.waiting == 3
    assert backlog.settle()
    assert [segment.number for segment in segments(folder)] == [1, 2, 3]
    assert times(folder) == [1, 2, 3]
    assert [one.last_ms for one in replay(segments(folder)[2], IDENTITY) if isinstance(one, State)] == [2]
    assert backlog.waiting == 0


def test_what_was_sealed_meanwhile_is_not_written_any_more(
    backlog: Backlog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_room(monkeypatch):
        backlog.append([row(1)])
        backlog.begin(2, IDENTITY, [])
        backlog.append([row(2)])
        backlog.drop(1)
    assert backlog.settle()
    backlog.drop(1)
    assert [segment.number for segment in segments(folder)] == [2]
    assert times(folder) == [2]


def test_a_long_backlog_is_written_over_several_ticks(
    backlog: Backlog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with no_room(monkeypatch):
        for moment in range(1, 10_001):
            backlog.append([row(moment)])
    left = []
    moment = 10_000
    while backlog.waiting:
        moment += 1
        backlog.append([row(moment)])
        left.append(backlog.waiting)
    assert len(left) > 3
    assert left == sorted(left, reverse=True)
    assert times(folder) == list(range(1, moment + 1))


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EROFS, "read_only"), (errno.EIO, "disk_error")],
)
def test_each_refusal_of_the_disk_has_its_name(
    backlog: Backlog, problems: Problems, monkeypatch: pytest.MonkeyPatch, number: int, kind: str
) -> None:
    with no_room(monkeypatch, number):
        backlog.append([row(1)])
    assert [problem.kind for problem in problems.current()] == [kind]


@pytest.mark.parametrize("how", [os.unlink, lambda path: os.rename(path, path.with_suffix(".gone")), "folder"])
def test_a_segment_that_somebody_deleted_is_noticed(
    backlog: Backlog, folder: Path, how: Callable[[Path], None] | str
) -> None:
    backlog.append([row(1)])
    assert not backlog.lost()
    if callable(how):
        how(segment_path(folder, 1))
    else:
        shutil.rmtree(folder)
    assert backlog.lost()
    backlog.begin(2, IDENTITY, [])
    backlog.append([row(2)])
    assert not backlog.lost()
    assert times(folder) == [2]
