"""The supervisor's judgement: why a process ended."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from supervisor.verdict import LATELY_SECONDS, OomKills, classify, read_oom_kills

EXITED = {code: code << 8 for code in (0, 1, 3, 4, 70)}


@pytest.mark.parametrize(
    ("status", "circumstances", "reason"),
    [
        (EXITED[1], {}, "crash"),
        (EXITED[3], {}, "crash"),
        (EXITED[4], {}, "crash"),
        (EXITED[0], {}, "crash"),
        (EXITED[0], {"asked": "stop", "in_order": True}, "stop"),
        (EXITED[0], {"asked": "restart", "in_order": True}, "restart"),
        (EXITED[0], {"in_order": True}, "stop"),
        (signal.SIGKILL, {}, "killed"),
        (signal.SIGKILL, {"asked": "stop"}, "stop"),
        (signal.SIGKILL, {"oom_killed": True}, "oom_kill"),
        (signal.SIGKILL, {"oom_killed": True, "asked": "stop"}, "oom_kill"),
        (signal.SIGSEGV, {}, "segfault"),
        (signal.SIGBUS, {}, "segfault"),
        (signal.SIGSEGV, {"asked": "stop"}, "segfault"),
        (signal.SIGHUP, {}, "signal"),
        (signal.SIGABRT, {"hung": "no sign of life for 120 s"}, "hang"),
        (EXITED[70], {"words": {"reason": "hang", "summary": "a batch ran for 61 s"}}, "hang"),
        (EXITED[0], {"words": {"reason": "restart", "summary": "asked for by anna"}}, "restart"),
    ],
)
def test_it_names_the_reason_of_an_end(status: int, circumstances: dict[str, object], reason: str) -> None:
    found, summary = classify(status, **circumstances)  # type: ignore[arg-type]
    assert found == reason
    assert summary


def test_it_reads_out_of_memory_kills_of_the_machine_and_of_its_own_group(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/wakeless.service\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 2\n")
    group = tmp_path / "cgroup/wakeless.service"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 1\noom_group_kill 0\n")
    assert read_oom_kills(tmp_path, tmp_path / "cgroup") == 3


def test_a_machine_without_these_files_counts_none(tmp_path: Path) -> None:
    assert read_oom_kills(tmp_path, tmp_path) == 0


def test_only_a_kill_of_the_last_seconds_may_be_the_cause() -> None:
    """The counter is the machine's: another program's death of yesterday says nothing."""
    count = 0
    kills = OomKills(lambda: count)
    assert not kills.lately()
    for second in range(100):
        kills.look(float(second))
    count = 1
    assert kills.lately()
    kills.look(100.0)
    assert kills.lately(), "the process may take a while to end"
    for second in range(101, 102 + int(LATELY_SECONDS)):
        kills.look(float(second))
    assert not kills.lately()
