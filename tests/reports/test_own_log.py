from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reports.own_log as module
from reports.own_log import OwnLog, Place, at_least, backwards


def write(folder: Path, number: int, lines: list[str]) -> None:
    name = module.FILE_NAME if number == 0 else f"{module.FILE_NAME}.{number}"
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def texts(log: OwnLog, limit: int = 100, **more: object) -> list[str]:
    return [line.text for line in log.newest(limit, **more).lines]  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30), st.integers(1, 50))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_come_backwards_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], block: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = tmp_path / "log"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + b"half a li")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = [*backwards(descriptor, path.stat().st_size)]
        assert [line for _, line in found] == [line for line in reversed(lines) if line]
        whole = path.read_bytes()
        for offset, line in found:
            assert whole[offset : offset + len(line)] == line
            assert offset == 0 or whole[offset - 1 : offset] == b"\n"
            later = [line for at, line in found if at < offset]
            assert [line for _, line in backwards(descriptor, offset)] == later
    finally:
        os.close(descriptor)


def test_rotated_files_are_read_as_one(tmp_path: Path) -> None:
    write(tmp_path, 2, ["a", "b"])
    write(tmp_path, 1, ["c"])
    write(tmp_path, 0, ["d", "e"])
    log = OwnLog(tmp_path)
    assert texts(log) == ["a", "b", "c", "d", "e"]
    first = log.newest(2)
    assert ([line.text for line in first.lines], first.more) == (["d", "e"], True)
    assert texts(log, before=first.lines[0].place) == ["a", "b", "c"]
    assert texts(log, after=first.lines[0].place) == ["e"]


def test_a_cursor_survives_a_rotation(tmp_path: Path) -> None:
    write(tmp_path, 0, ["a", "b", "c"])
    log = OwnLog(tmp_path)
    middle = log.newest(2).lines[0].place
    (tmp_path / module.FILE_NAME).rename(tmp_path / f"{module.FILE_NAME}.1")
    write(tmp_path, 0, ["d"])
    assert texts(log, after=middle) == ["c", "d"]
    assert texts(log, before=middle) == ["a"]


def test_a_cursor_of_a_file_that_is_gone_finds_nothing_older(tmp_path: Path) -> None:
    write(tmp_path, 0, ["a"])
    assert texts(OwnLog(tmp_path), before=Place(1, 5)) == []
    assert texts(OwnLog(tmp_path), after=Place(1, 5)) == ["a"]


def test_what_a_line_says_is_taken_apart(tmp_path: Path) -> None:
    said = {
        "event": "request",
        "level": "info",
        "timestamp": "2026-11-21T09:22:45.798Z",
        "request_id": "r1",
        "status": 200,
    }
    write(tmp_path, 0, [json.dumps(said), "[1]", "plain text"])
    (line, number, plain) = OwnLog(tmp_path).newest(5).lines
    assert (line.event, line.level, line.time_ms, line.request_id) == ("request", "info", 1795252965798, "r1")
    assert line.fields == {"status": 200}
    assert (number.text, number.level, plain.text, plain.time_ms) == ("[1]", None, "plain text", None)


def test_a_search_whose_time_is_over_says_where_to_go_on(tmp_path: Path) -> None:
    write(tmp_path, 0, ["needle", "a", "b"])
    log = OwnLog(tmp_path)
    found = log.newest(5, holds="NEEDLE", seconds=-1.0)
    assert (found.lines, found.more) == ([], True)
    second = log.newest(5, holds="NEEDLE", before=found.next)
    assert ([line.text for line in second.lines], second.more) == (["needle"], False)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    write(tmp_path, 0, ["before", "x" * 3_000_000, "after"])
    assert [len(text) for text in texts(OwnLog(tmp_path))] == [6, module.MAX_LINE, 5]


def test_without_a_log_there_are_no_lines(tmp_path: Path) -> None:
    assert OwnLog(tmp_path).newest(5).lines == []


@pytest.mark.parametrize("text", ["", "1", "a-b", "1-", "-1-2", "1-2-3", "9" * 21 + "-1"])
def test_a_cursor_is_that_of_a_line(text: str) -> None:
    with pytest.raises(ValueError, match="must be the cursor of a line"):
        Place.parse(text)


def test_a_level_stands_for_those_above_it_too() -> None:
    assert at_least("warning") == {"warning", "error", "critical"}
