"""The ledger outlives the server, and explains why it was away."""

from __future__ import annotations

import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import ledger
from ledger import Exit, ExitReason, LastWords, Ledger, circumstances, explain_outage


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


@settings(deadline=None)  # each line is synced to the disk
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
    monkeypatch.setattr(ledger, "KEEP_EVIDENCE", 2)  # type: ignore[attr-defined]
    book = Ledger(tmp_path)
    for moment in range(6):
        book.append(an_exit(moment))
    book.trim()
    assert [exit.ended_ms for exit in book.exits()] == [3, 4, 5]


def test_what_was_found_out_is_kept_for_the_newest_ends_and_the_file_stays_small(
    tmp_path: Path, monkeypatch: object
) -> None:
    monkeypatch.setattr(ledger, "KEEP_EVIDENCE", 2)  # type: ignore[attr-defined]
    monkeypatch.setattr(ledger, "MAX_BYTES", 3000)  # type: ignore[attr-defined]
    book = Ledger(tmp_path)
    for moment in range(20):
        book.append(an_exit(moment, detail={"stderr": ["x" * 500], "actor": "anna"}))
    ends = book.exits()
    assert [end.ended_ms for end in ends] == list(range(20))
    assert ends[0].detail == {"actor": "anna"}
    assert ends[-1].detail["stderr"] == ["x" * 500]
    assert book.path.stat().st_size < 6000


def test_what_was_found_out_is_told_in_a_few_sentences() -> None:
    batch = {"what": "batch", "size": 8, "inputs": ["float32[3, 64, 64]"], "request_ids": ["a", "b"]}
    detail = {
        "batch": {**batch, "finished": False, "seconds": 0.25, "seconds_before_end": 0.25},
        "calls": [
            {"what": "decode", "request_id": "c", "seconds": 2.5},
            {"what": "load", "request_id": "", "seconds": 7.0},
        ],
        "peak_memory_mb": 3456.7,
        "stderr": ["one", "CUDA error: device-side assert triggered"],
    }
    assert circumstances(detail) == [
        "last batch of 8 (float32[3, 64, 64]), requests a, b: running for 0.25 s at the end",
        "decode for request c: running for 2.5 s at the end",
        "load: running for 7 s at the end",
        "memory at most 3,457 MB",
        "last words: CUDA error: device-side assert triggered",
    ]
    assert circumstances({"pid": 7}) == []


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
