"""The hub: one evaluation and one serialisation for all, and nobody waits for a slow viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from alerts.state import Alert
from dashboard.board import Board
from dashboard.hub import GOING_AWAY, TRY_AGAIN_LATER, Hub, most_viewers
from dashboard.panels import Panel
from dashboard.situation import Figures, Situation, pill
from model.status import Check, Health, ModelStatus

T0 = 1_800_000_000_000
GOOD = Check("ready", True, None, None, T0, 0.01)
BAD = Check("ready", False, "insufficient_gpu_memory: 1 GB free", "Free memory on the GPU.", T0, 0.01)


def status(state: Any = "ready", **changes: Any) -> ModelStatus:
    fields = {
        "state": state, "reason": None, "suggestion": None, "model": "m", "version": "1", "device": "cpu",
        "dtype": "float32", "since_ms": T0 - 273_600_000, "load_seconds": None, "last_load_seconds": 4.1,
        "progress": None, "queue_depth": 0, "queue_size": 64, "in_flight": 0, "progress_age_seconds": None,
    }  # fmt: skip
    return ModelStatus(**(fields | changes))


def health(ready: Check = GOOD) -> Health:
    return Health(GOOD, GOOD, ready, {"api": True, "model": True, "gpu": "absent"}, None)


def alert(state: Any = "firing", severity: str = "warning", **changes: Any) -> Alert:
    fields = {
        "id": 1, "fingerprint": "f", "rule": "R", "group": "g", "state": state, "severity": severity, "level": 2,
        "labels": {}, "annotations": {"summary": "The disk is full.", "summary_zh": "磁盘已满。"}, "value": 1.0,
        "active_ms": T0, "firing_ms": T0, "resolved_ms": None, "seen_ms": T0,
    }  # fmt: skip
    return Alert(**(fields | changes))


class Counting(Board):
    """A board that counts how often it is asked."""

    def __init__(self) -> None:
        panel = Panel.model_validate({"id": "p", "page": "overview", "title": "T", "lines": [{"expr": "up"}]})
        super().__init__(None, [panel])  # type: ignore[arg-type]  # never reaches the engine
        self.asked: list[tuple[str, int]] = []

    def now(self, page: str, now_ms: int, window_ms: int) -> dict[str, Any]:
        self.asked.append((page, window_ms))
        return {"p": {"value": float(len(self.asked))}}


def situation(alerts: Sequence[Alert] = (), **changes: Any) -> Situation:
    parts: dict[str, Any] = {
        "name": "shop", "start_id": "a", "started_ms": T0, "safe_mode": False,
        "model": status, "health": health, "alerts": lambda: list(alerts),
    }  # fmt: skip
    return Situation(**(parts | changes))


@pytest.fixture
def board() -> Counting:
    return Counting()


@pytest.fixture
def hub(board: Counting) -> Hub:
    return Hub(board, situation(), clock=lambda: T0)


def test_nothing_is_evaluated_while_nobody_watches(hub: Hub, board: Counting) -> None:
    hub.publish(T0)
    assert board.asked == []


def test_all_viewers_of_a_topic_get_the_same_bytes_from_one_evaluation(hub: Hub, board: Counting) -> None:
    viewers = [hub.join("overview", step) for step in (1000, 2000, 10_000)]  # one window for all of these steps
    for viewer in viewers:
        viewer.take(0)
    hub.publish(T0)
    frames = [viewer.take(0) for viewer in viewers]
    assert board.asked == [("overview", 30_000)]
    assert len(frames[0]) == 1
    assert all(frame[0] is frames[0][0] for frame in frames)
    said = orjson.loads(frames[0][0])
    assert said["type"] == "tick"
    assert said["panels"] == {"p": {"value": 1.0}}
    assert said["state"]["pill"] == "ready"


def test_a_long_range_gets_rates_over_its_own_step(hub: Hub, board: Counting) -> None:
    hub.join("overview", 3_600_000)
    hub.publish(T0)
    assert board.asked == [("overview", 3_600_000)]


def test_more_viewers_than_may_be_are_told_to_come_back(board: Counting) -> None:
    hub = Hub(board, situation(), clock=lambda: T0, most_viewers=2)
    first, second, third = (hub.join("overview", 1000) for _ in range(3))
    assert (first.closing, second.closing) == (None, None)
    assert third.closing is not None
    assert third.closing.code == TRY_AGAIN_LATER
    assert hub.viewers == 2
    hub.leave(third)
    hub.leave(first)
    assert hub.join("overview", 1000).closing is None


@pytest.mark.parametrize(("threads", "most"), [(8, 4), (100, 50), (128, 64), (512, 448)])
def test_open_pages_leave_threads_for_requests(threads: int, most: int) -> None:
    assert most_viewers(threads) == most


def test_a_slow_viewer_skips_frames_and_finds_the_newest(hub: Hub) -> None:
    slow, quick = hub.join("overview", 1000), hub.join("overview", 1000)
    slow.take(0)
    for tick in range(5):
        quick.take(0)
        hub.publish(T0 + tick)
    [frame] = slow.take(0)
    assert orjson.loads(frame)["time_ms"] == T0 + 4
    assert slow.skipped == 4
    assert slow.take(0) == []


def test_a_new_viewer_learns_the_state_at_once(hub: Hub) -> None:
    [frame] = hub.join("model", 1000).take(0)
    assert orjson.loads(frame)["type"] == "state"


def test_a_change_of_state_reaches_all_viewers_without_a_tick_and_is_serialised_once(hub: Hub) -> None:
    viewers = [hub.join("alerts", 1000) for _ in range(3)]
    for viewer in viewers:
        viewer.take(0)
    hub.notify()
    frames = [viewer.take(0)[0] for viewer in viewers]
    assert all(frame is frames[0] for frame in frames)


def test_who_left_is_not_served_any_more(hub: Hub) -> None:
    viewer = hub.join("overview", 1000)
    viewer.take(0)
    hub.leave(viewer)
    hub.publish(T0)
    assert hub.viewers == 0
    assert viewer.take(0) == []


def test_closing_wakes_everybody_with_a_code_and_a_reason(hub: Hub) -> None:
    early = hub.join("overview", 1000)
    early.take(0)
    hub.close("the server is stopping", GOING_AWAY)
    late = hub.join("overview", 1000)
    assert early.take(5) == []
    assert early.closing == late.closing == (1001, "the server is stopping")


@pytest.mark.parametrize(
    ("now", "ready", "alerts", "safe_mode", "shown"),
    [
        (status(), GOOD, [], False, "ready"),
        (status(), BAD, [], False, "degraded"),
        (status(), GOOD, [alert(severity="critical")], False, "degraded"),
        (status(), GOOD, [alert("acknowledged", "critical")], False, "ready"),
        (status("loading"), BAD, [], False, "loading"),
        (status("reloading"), GOOD, [], False, "loading"),
        (status("failed"), BAD, [], False, "down"),
        (status("disabled"), BAD, [], False, "watching"),
        (status("disabled"), BAD, [], True, "safe_mode"),
    ],
)
def test_the_pill_says_the_state_in_a_word(
    now: ModelStatus, ready: Check, alerts: list[Alert], safe_mode: bool, shown: str
) -> None:
    assert pill(now, health(ready), alerts, safe_mode=safe_mode) == shown


def test_the_sentence_is_there_in_both_languages() -> None:
    said = situation([alert()]).now(T0, Figures(12.4, 0.084, 0.002))["headline"]
    assert said["en"]["title"] == "Ready, but: The disk is full."
    assert said["zh"]["title"] == "服务就绪，但：磁盘已满。"
    assert [fact.replace("\u202f", " ") for fact in said["en"]["facts"]] == [
        "for 3 d 4 h", "12.4 requests/s", "p95 84 ms", "0.2 % failed",
    ]  # fmt: skip


def test_the_sentence_does_not_call_failures_well() -> None:
    said = situation().now(T0, Figures(10, 0.1, 0.14))["headline"]["en"]["title"]
    assert said.replace("\u202f", " ") == "Ready, but 14 % of requests fail."


def test_a_reason_is_said_in_words_of_the_language() -> None:
    failed = status("failed", reason="golden_failed: pair 4 of 5")
    said = situation(model=lambda: failed).now(T0, Figures())["headline"]
    assert said["en"]["title"] == "The model is not serving: golden failed: pair 4 of 5."
    assert said["zh"]["title"] == "模型当前不提供服务：基准输入未通过：第 4 对，共 5 对。"


def test_a_load_says_how_far_it_is() -> None:
    loading = status("loading", since_ms=T0 - 3000, progress="importing torch")
    said = situation(model=lambda: loading).now(T0, Figures())["headline"]["zh"]
    assert said["title"] == "正在加载模型。"
    assert "导入 torch" in said["facts"]


def test_what_is_worst_and_not_taken_on_comes_first() -> None:
    alerts = [
        alert("acknowledged", "critical", id=1),
        alert(id=2),
        alert(severity="critical", id=3),
        alert("pending", id=4),
    ]
    state = situation(alerts).now(T0, Figures())
    assert [one["id"] for one in state["alerts"]] == [3, 2, 1]
    assert state["pending"] == 1
    assert state["level"] == "critical"


def test_an_alert_whose_notices_are_kept_back_is_shown_but_colours_nothing() -> None:
    one = alert(severity="critical", level=3)
    shown = situation([one], quiet=lambda alert, now_ms: {"silenced_by": ["a-silence"]}).now(T0, Figures())
    assert (shown["pill"], shown["level"]) == ("ready", "ok")
    assert shown["headline"]["en"]["title"] == "Ready. All is well."
    assert [one["silenced_by"] for one in shown["alerts"]] == [["a-silence"]]
    loud = situation([one], quiet=lambda alert, now_ms: {"silenced_by": []}).now(T0, Figures())
    assert (loud["pill"], loud["level"]) == ("degraded", "critical")
