"""What people read when the server is down and when it is back."""

from __future__ import annotations

from datetime import UTC

from supervisor.vigil import Downtime, Word
from supervisor.wording import compose

SINCE = 1_772_305_940_000  # 2026-02-28 19:12:20 UTC
LINES = ["CUDA error: an illegal memory access was encountered"]
DOWN = Downtime(SINCE, "segfault", "the program crashed with SIGSEGV", ends=3, lines=LINES, told=True)
MINUTES_125 = 125 * 60_000


def test_down_tells_since_when_why_and_the_last_lines() -> None:
    title, body = compose(Word("down", SINCE + 63_000, DOWN), "photo-service", "en", UTC)
    assert title == "[DOWN] photo-service does not answer"
    assert body.splitlines() == [
        "No answer for 1 min 3 s, since 2026-02-28 19:12:20 +0000. The supervisor keeps trying.",
        "Cause: crash in native code (the program crashed with SIGSEGV)",
        "Server processes that ended meanwhile: 3",
        "Service: photo-service",
        "Last lines:",
        *LINES,
    ]


def test_up_tells_how_long_it_was_in_words_and_why() -> None:
    title, body = compose(Word("up", SINCE + MINUTES_125, DOWN), "photo-service", "en", UTC)
    assert title == "[UP] photo-service is back: it was down for 2 h 5 min"
    assert "It was down from 2026-02-28 19:12:20 +0000 to 2026-02-28 21:17:20 +0000." in body
    assert "Cause: crash in native code" in body


def test_both_are_told_in_chinese() -> None:
    assert compose(Word("down", SINCE + 63_000, DOWN), "photo", "zh", UTC)[0] == "[宕机] photo 没有响应"
    title, body = compose(Word("up", SINCE + MINUTES_125, DOWN), "photo", "zh", UTC)
    assert title == "[恢复] photo 已恢复：中断了 2 小时 5 分钟"
    assert "原因：本地代码崩溃 (the program crashed with SIGSEGV)" in body
