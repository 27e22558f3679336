"""The ledger outlives the server, and explains why it was away."""

from __future__ import annotations

import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import ledger
from ledger import Exit, ExitReason, LastWords, Ledger, explain_outage


def an_exit(ended_ms: int = 2000, reason: ExitReason = "segfault", **more: object) -> Exit:
    return Exit(reason=reason, summary="it broke", started_ms=1000, ended_ms=ended_ms, pid=7, **more)  # type: ignore[arg-type]


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    book = Ledger(tmp_path)
    assert book.exits() == []
    first, second = an_exit(1), an_exit(2, detail={"batch": [8, 3, 128, 128]}, signal="SIGSEGV")
    book.append(first)
    book.append(second)
    assert book.exits() == [first, second]
    assert stat.S_IMODE(book.path.stat().st_mode) == 0o600


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_torn_last_line_loses_only_itself(tmp_path_factory: object, cut: int) -> None:
    folder = tmp_path_factory.mktemp("ledger")  # type: ignore[attr-defined]
    book = Ledger(folder)
    book.append(an_exit(1))
    whole = book.path.stat().st_size
    book.append(an_exit(2))
    text = book.path.read_bytes()
    book.path.write_bytes(text[: max(whole, len(text) - cut)])
    assert book.exits()[0] == an_exit(1)
    book.append(an_exit(3))
    assert book.exits()[-1] == an_exit(3)


def test_trimming_keeps_the_newest_lines(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(ledger, "KEEP", 3)  # type: ignore[attr-defined]
    book = Ledger(tmp_path)
    for moment in range(6):
        book.append(an_exit(moment))
    book.trim()
    assert [exit.ended_ms for exit in book.exits()] == [3, 4, 5]


def test_last_words_are_heard_once(tmp_path: Path) -> None:
    words = LastWords(tmp_path)
    assert words.take() is None
    words.leave("restart", "asked for by anna", {"by": "anna"})
    assert words.take() == {"reason": "restart", "summary": "asked for by anna", "detail": {"by": "anna"}}
    assert words.take() is None


def test_last_words_that_make_no_sense_are_ignored(tmp_path: Path) -> None:
    words = LastWords(tmp_path)
    words.path.write_text('{"reason": "because"}')
    assert words.take() is None


def test_the_very_first_start_is_no_outage() -> None:
    assert explain_outage(None, [], machine_booted_ms=0) is None


def test_an_exit_after_the_last_tick_is_the_cause() -> None:
    outage = explain_outage(1900, [an_exit(500), an_exit(2000)], machine_booted_ms=0)
    assert outage is not None
    assert (outage.cause, outage.started_ms, outage.planned) == ("segfault", 2000, False)


def test_a_stop_that_was_asked_for_is_planned() -> None:
    outage = explain_outage(1900, [an_exit(2000, "stop")], machine_booted_ms=0)
    assert outage is not None
    assert outage.planned


def test_of_several_ends_in_a_row_the_first_unexpected_one_is_the_cause() -> None:
    ends = [an_exit(2000, "restart"), an_exit(3000, "oom_kill"), an_exit(4000, "segfault")]
    outage = explain_outage(1900, ends, machine_booted_ms=0)
    assert outage is not None
    assert (outage.cause, outage.started_ms, outage.detail["ends"]) == ("oom_kill", 3000, 3)


def test_without_a_word_in_the_ledger_a_later_boot_of_the_machine_means_power() -> None:
    outage = explain_outage(1900, [an_exit(500)], machine_booted_ms=5000)
    assert outage is not None
    assert (outage.cause, outage.started_ms) == ("power", 1900)


def test_without_a_word_and_without_a_boot_the_whole_program_was_killed() -> None:
    outage = explain_outage(1900, [], machine_booted_ms=100)
    assert outage is not None
    assert (outage.cause, outage.started_ms) == ("killed", 1900)
