"""Bytes become entries: lines, and the lines that belong to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from targets.logfile.entry import Entry
from targets.logfile.framing import AGE_MS, MOST_LINES, QUIET_MS, Framer
from targets.logfile.multiline import rule

TRACEBACK = b"""ERROR it went wrong
Traceback (most recent call last):
  File "a.py", line 1, in f
    g()
torch.cuda.OutOfMemoryError: CUDA out of memory

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in h
    i()
ValueError: no
INFO on it goes
"""


def framer(*, multiline: str | None = None, most_bytes: int = 65_536, interesting: bytes = b"") -> Framer:
    return Framer(0, b"", rule(multiline), lambda block: interesting in block, most_bytes)


def entries(one: Framer, *blocks: bytes) -> list[Entry]:
    for block in blocks:
        one.feed(block, 0)
    one.flush(QUIET_MS)
    return one.take()[0]


def texts(one: Framer, *blocks: bytes) -> list[str]:
    return [entry.text for entry in entries(one, *blocks)]


def test_each_line_is_an_entry() -> None:
    assert texts(framer(), b"a\nb\nc\n") == ["a", "b", "c"]


def test_a_line_that_comes_in_pieces_is_one() -> None:
    assert texts(framer(), b"ab", b"cd", b"\n") == ["abcd"]


def test_an_unfinished_line_waits() -> None:
    one = framer()
    assert texts(one, b"a\nb") == ["a"]
    assert (one.offset, one.read_to) == (2, 3)


def test_an_unfinished_line_is_one_when_nothing_follows() -> None:
    one = framer()
    one.feed(b"a\nb", 0)
    one.finish(0)
    assert [entry.text for entry in one.take()[0]] == ["a", "b"]
    assert one.offset == 3


def test_a_traceback_of_python_is_one_entry_with_the_line_before_it() -> None:
    first, second = texts(framer(), TRACEBACK)
    assert first.startswith("ERROR it went wrong\nTraceback")
    assert first.endswith("ValueError: no")
    assert second == "INFO on it goes"


def test_a_stack_trace_of_java_is_one_entry() -> None:
    trace = b"java.lang.Error: x\n\tat a.B.c(B.java:1)\nCaused by: java.io.IOException: y\n\t... 3 more\nINFO z\n"
    assert len(texts(framer(), trace)) == 2


def test_an_expression_tells_where_an_entry_begins() -> None:
    assert texts(framer(multiline=r"^\d{4}-"), b"2026- a\nb\nc\n2026- d\n") == ["2026- a\nb\nc", "2026- d"]


def test_an_entry_that_may_go_on_is_held_back_for_a_second() -> None:
    one = framer()
    one.feed(b"a\n", 0)
    one.flush(QUIET_MS - 1)
    assert one.take() == ([], 0)
    assert one.offset == 0
    one.flush(QUIET_MS)
    assert one.take()[1] == 1
    assert one.offset == 2


def test_an_entry_that_never_ends_is_given_out_after_a_while() -> None:
    one = framer()
    for moment in range(0, AGE_MS, 500):
        one.feed(b" more\n", moment)
        one.flush(moment)
    assert one.take() == ([], 0)
    one.flush(AGE_MS)
    assert one.take()[1] == AGE_MS // 500


def test_a_clock_that_was_put_back_holds_nothing_back() -> None:
    one = framer()
    one.feed(b"a\n", 10_000)
    one.flush(0)
    assert one.take()[1] == 1


def test_an_entry_has_a_bounded_number_of_lines() -> None:
    assert [entry.lines for entry in entries(framer(), b" x\n" * (MOST_LINES + 5))] == [MOST_LINES, 5]


def test_a_line_of_ten_megabytes_is_one_line_of_which_little_is_kept() -> None:
    one = framer(most_bytes=1000)
    blocks = [b"x" * 100_000] * 100
    found = entries(one, *blocks, b"end\nnext\n")
    assert [(len(entry.text), entry.lines, entry.truncated) for entry in found] == [(1000, 1, True), (4, 1, False)]
    assert found[0].bytes == 10_000_004
    assert one.offset == 10_000_009


def test_ends_of_lines_of_windows_are_no_part_of_the_text() -> None:
    assert texts(framer(), b"a\r\n b\r\nc\r\n") == ["a\n b", "c"]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert texts(framer(), b"caf\xe9 \x00\xff\n") == ["caf\ufffd \x00\ufffd"]


def test_the_hole_of_a_file_that_was_truncated_under_its_writer_is_no_part_of_the_line() -> None:
    found = entries(framer(most_bytes=300), b"\0" * 5000, b"\0\0a\n")
    assert [(entry.text, entry.bytes) for entry in found] == [("a", 5004)]


def test_lines_that_do_not_matter_are_counted_only() -> None:
    one = framer(interesting=b"ERROR")
    one.feed(b"a\n" * 1000, 0)
    one.feed(b"ERROR b\n", 0)
    one.flush(QUIET_MS)
    found, lines = one.take()
    assert [entry.text for entry in found][-1] == "ERROR b"
    assert lines == 1001
    assert len(found) <= 2


def test_lines_before_a_match_in_its_entry_are_kept_although_they_do_not_match() -> None:
    one = framer(interesting=b"needle")
    assert texts(one, b"x\n" * 100 + b"head\n", b" needle\n")[-1] == "head\n needle"


@given(st.lists(st.sampled_from([b"a", b" b", b"", b"Traceback (most recent call last):", b"E: x", b"\0c"])), st.data())
def test_every_byte_and_line_is_accounted_for_however_it_comes(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    one, plain = framer(interesting=b"E: x"), framer()
    at = 0
    while at < len(whole):
        size = data.draw(st.integers(1, len(whole) - at))
        one.feed(whole[at : at + size], 0)
        at += size
    plain.feed(whole, 0)
    for each in (one, plain):
        each.finish(0)
        found, count = each.take()
        assert count == len(lines)
        assert each.offset == len(whole)
        assert each.recent == whole[-256:]
    assert sum(entry.bytes for entry in found) == len(whole)
