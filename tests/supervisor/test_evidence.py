"""What is kept of a process that died: its last lines without secrets, its last batch, its memory."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from blackbox import BlackBox
from config import Settings
from supervisor.evidence import LINE_CHARACTERS, Evidence, telling
from supervisor.mask import Mask
from supervisor.memory import MemoryCurve, resident_bytes
from supervisor.stderr import StderrTap


def dying_child(tap: StderrTap, text: bytes) -> None:
    """A process that writes to its stderr and is killed."""
    child = os.fork()
    if child == 0:
        tap.enter()
        os.write(2, text)
        os.kill(os.getpid(), signal.SIGKILL)
    tap.leave()
    os.waitpid(child, 0)


@pytest.fixture
def outlet(tmp_path: Path) -> int:
    return os.open(tmp_path / "terminal", os.O_WRONLY | os.O_CREAT)


def test_what_a_process_wrote_to_stderr_is_passed_on_and_kept(tmp_path: Path, outlet: int) -> None:
    tap = StderrTap(outlet)
    tap.open()
    dying_child(tap, b"terminate called after throwing an instance of 'c10::Error'\n  what(): no kernel image\n")
    tap.pump()
    assert tap.lines()[-1] == "  what(): no kernel image"
    assert b"c10::Error" in (tmp_path / "terminal").read_bytes()
    tap.open()
    assert tap.lines() == []
    tap.close()


def test_of_much_output_the_end_is_kept_and_everything_passed_on(tmp_path: Path, outlet: int) -> None:
    tap = StderrTap(outlet)
    tap.open()
    text = b"".join(b"line %d\n" % number for number in range(60_000))
    child = os.fork()
    if child == 0:
        tap.enter()
        rest = text
        while rest:
            rest = rest[os.write(2, rest) :]
        os._exit(0)
    tap.leave()
    while tap.fileno() >= 0:
        tap.pump()
    os.waitpid(child, 0)
    assert tap.lines()[-1] == "line 59999"
    assert (tmp_path / "terminal").read_bytes() == text


def test_of_a_dump_of_all_threads_the_one_that_crashed_is_told() -> None:
    others = [line for number in range(80) for line in (f"Thread 0x{number} (most recent call first):", "  File x", "")]
    dump = ["about to call the kernel", "Fatal Python error: Segmentation fault", "", *others]
    dump += [
        "Current thread 0x99 (most recent call first):",
        '  File "model.py", line 7 in predict',
        "",
        "Extension: x",
    ]
    assert telling(dump, 25) == [
        *dump[:2],
        "Current thread 0x99 (most recent call first):",
        '  File "model.py", line 7 in predict',
    ]


def test_of_anything_else_the_last_lines_are_told() -> None:
    assert telling([f"line {number}" for number in range(100)], 3) == ["line 97", "line 98", "line 99"]


def test_evidence_is_bounded_masked_and_of_this_process_only(tmp_path: Path, outlet: int) -> None:
    log = tmp_path / "wakeless.log"
    log.write_text(json.dumps({"event": "of the process before", "level": "error"}) + "\n")
    box, tap = BlackBox(), StderrTap(outlet)
    evidence = Evidence(box, tap, Mask(["hunter2hunter2"]), log)
    evidence.begin()
    with log.open("a") as file:
        for number in range(3000):
            file.write(json.dumps({"event": "request", "level": "info", "status": 200, "n": number}) + "\n")
        line = {
            "timestamp": "2026-03-01T03:12:20Z",
            "level": "error",
            "event": "predict_raised",
            "exception": "a\nOSError: 5",
        }
        file.write(json.dumps(line) + "\n{ torn")
    box.begin("batch", 1, ["abc"], ["text"])
    evidence.memory.add(98.0, 2_000_000_000, 0)
    evidence.memory.add(99.0, 3_000_000_000, 1_000_000_000)
    dying_child(tap, b"the key is hunter2hunter2\n" + b"x" * 5000 + b"\n")
    found = evidence.gather(100.0, peak_bytes=3_500_000_000)
    assert found["stderr"] == ["the key is (hidden)", "x" * LINE_CHARACTERS]
    assert found["log"] == ["03:12:20 error predict_raised OSError: 5"]
    assert found["batch"]["request_ids"] == ["abc"]
    assert found["memory_mb"] == [[2.0, 2000.0, 0.0], [1.0, 3000.0, 1000.0]]
    assert found["peak_memory_mb"] == 3500.0
    assert len(json.dumps(found)) < 20_000
    tap.close()


def test_where_nothing_is_known_nothing_is_told(tmp_path: Path, outlet: int) -> None:
    evidence = Evidence(BlackBox(), StderrTap(outlet), Mask(), tmp_path / "none.log")
    evidence.begin()
    assert evidence.gather(1.0, peak_bytes=0) == {}
    evidence.tap.close()


def test_the_memory_curve_is_fine_at_the_end_and_coarse_before() -> None:
    curve = MemoryCurve()
    for second in range(1000):
        curve.add(float(second), second * 1_000_000, 0)
    told = curve.told(1000.0)
    assert len(told) == 45
    assert [round(point[0]) for point in told[-3:]] == [3, 2, 1]
    assert told[0][0] > 250
    assert [point[1] for point in told] == sorted(point[1] for point in told)


def test_it_knows_what_a_process_holds() -> None:
    assert (resident_bytes(os.getpid()) or 0) > 5_000_000
    assert resident_bytes(2**22 + 5) is None


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Authorization: Bearer abcdef1234567890", "Authorization: Bearer (hidden)"),
        ('{"password": "swordfish", "a": 1}', '{"password": "(hidden)", "a": 1}'),
        ("HF_TOKEN=hf_abcdefghijkl", "HF_TOKEN=(hidden)"),
        ("postgres://me:secretword@db/x", "postgres://(hidden)@db/x"),
        ("open http://localhost/login/link/abc-DEF_123", "open http://localhost/login/link/(hidden)"),
        ("unexpected token in line 7", "unexpected token in line 7"),
        ("RuntimeError: CUDA error: an illegal memory access", "RuntimeError: CUDA error: an illegal memory access"),
    ],
)
def test_what_looks_like_a_secret_is_masked(line: str, shown: str) -> None:
    assert Mask()(line) == shown


def test_secrets_of_the_settings_and_the_environment_are_masked_wherever_they_stand() -> None:
    settings = Settings.model_validate(
        {
            "admin_password": "swordfish99",
            "alerts": {"channels": ["json://hooks.example.com/s3cr3t"]},
            "supervisor": {"heartbeat_url": "https://hc-ping.com/0000-1111"},
        }
    )
    mask = Mask.of(settings, {"HF_API_KEY": "hf_zyxwvut", "HOME": "/home/anna"})
    line = "swordfish99 json://hooks.example.com/s3cr3t https://hc-ping.com/0000-1111 hf_zyxwvut /home/anna"
    assert mask(line) == "(hidden) (hidden) (hidden) (hidden) /home/anna"


def test_the_person_at_the_terminal_is_told_past_the_pipe(tmp_path: Path, outlet: int) -> None:
    tap = StderrTap(outlet)
    tap.open()
    child = os.fork()
    if child == 0:
        tap.enter()
        tap.terminal.write("the password is xyz\n")
        tap.terminal.flush()
        sys.stderr.write("to be kept\n")
        sys.stderr.flush()
        os.write(2, b"to be kept as well\n")
        os._exit(0)
    tap.leave()
    os.waitpid(child, 0)
    tap.pump()
    assert "to be kept as well" in tap.lines()
    assert not any("password" in line for line in tap.lines())
    assert b"the password is xyz" in (tmp_path / "terminal").read_bytes()
    tap.close()
