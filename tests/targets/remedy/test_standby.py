"""Callers go to the standby while a target is down, and back when it is up; and no path leads elsewhere."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from targets.remedy.ladder import LadderError
from targets.remedy.log import RemedyLog
from targets.remedy.route import address
from tests.targets.remedy.scene import Scene, restart, target

STANDBY = {"standby": "http://standby.example:8189/other", "after_fails": 3, "cool_down": 60}


def test_callers_go_to_the_target_until_it_is_down_and_back_when_it_is_up(database: Engine) -> None:
    scene = Scene(database, target(STANDBY))
    assert scene.ladder.route("comfyui") == "http://127.0.0.1:9/"
    assert scene.gauge("target_standby_active") == 0
    scene.fail(3)
    assert scene.ladder.route("comfyui") == "http://standby.example:8189/other"
    assert scene.gauge("target_standby_active") == 1
    scene.recover()
    scene.tick(5)
    assert scene.ladder.route("comfyui") == "http://127.0.0.1:9/"
    (row,) = scene.rows
    assert (row.state, row.outcome) == ("done", "back to it: it is up again")


def test_an_answer_or_two_before_it_counts_as_up_do_not_switch_back(database: Engine) -> None:
    scene = Scene(database, target(STANDBY))
    scene.fail(3)
    scene.failures = 0  # it answers again, but not often enough yet
    scene.tick(5)
    assert scene.ladder.is_switched("comfyui")


def test_the_next_rung_goes_on_while_the_standby_serves(database: Engine) -> None:
    scene = Scene(database, target(STANDBY, restart(after_fails=3)))
    scene.fail(14)
    assert scene.ran == []
    scene.fail(1)
    scene.finish()
    assert scene.ran == [("restart",)]


def test_neither_ticks_nor_callers_wait_for_a_switch_that_the_database_is_slow_to_take(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(database, target(STANDBY))
    scene.tick()
    waits, goes_on, begin = threading.Event(), threading.Event(), RemedyLog.begin

    def slow(*args: Any, **kwargs: Any) -> int:
        waits.set()
        assert goes_on.wait(30)
        return begin(*args, **kwargs)

    monkeypatch.setattr(RemedyLog, "begin", slow)
    person = threading.Thread(target=lambda: scene.ladder.switch(scene.settings, True, "ada", scene.now_ms))
    seen: list[object] = []

    def look() -> None:
        seen.append(scene.gauge("target_standby_active"))
        scene.tick(5)
        seen.append(scene.ladder.is_switched("comfyui"))

    tick = threading.Thread(target=look)
    try:
        person.start()
        assert waits.wait(30)
        tick.start()
        tick.join(10)
        assert seen == [0, False]
    finally:
        goes_on.set()
        person.join(30)
        tick.join(30)
    assert scene.gauge("target_standby_active") == 1


def test_what_a_person_has_switched_stays_until_a_person_switches_back(database: Engine) -> None:
    scene = Scene(database, target(STANDBY))
    scene.ladder.switch(scene.settings, True, "ada", scene.now_ms)
    scene.tick(600)
    assert scene.ladder.is_switched("comfyui")
    assert scene.rows[0].why == "by ada"
    scene.die()
    scene.tick(600)
    assert scene.ladder.is_switched("comfyui")
    scene.ladder.switch(scene.settings, False, "grace", scene.now_ms)
    assert not scene.ladder.is_switched("comfyui")
    assert scene.rows[0].outcome == "switched back by grace"


def test_a_person_may_switch_back_while_it_is_down(database: Engine) -> None:
    scene = Scene(database, target(STANDBY))
    scene.fail(3)
    scene.ladder.switch(scene.settings, False, "ada", scene.now_ms)
    scene.fail(20)
    assert not scene.ladder.is_switched("comfyui")


def test_what_cannot_be_switched_is_refused_in_words(database: Engine) -> None:
    plain = Scene(database, target(restart(), name="plain"))
    with pytest.raises(LadderError, match="plain has no standby"):
        plain.ladder.switch(plain.settings, True, "ada", plain.now_ms)
    scene = Scene(database, target(STANDBY))
    with pytest.raises(LadderError, match="go to the target itself already"):
        scene.ladder.switch(scene.settings, False, "ada", scene.now_ms)
    with pytest.raises(LadderError, match="has no remedies"):
        scene.ladder.try_again("nobody")


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("", "", "http://a.example:1/base/"),
        ("prompt", "x=1&y=%2F", "http://a.example:1/base/prompt?x=1&y=%2F"),
        ("a/b/", "", "http://a.example:1/base/a/b/"),
        ("a/../../../etc/passwd", "", "http://a.example:1/base/etc/passwd"),
        ("100%25.png", "", "http://a.example:1/base/100%2525.png"),
        ("//evil.example/x", "", "http://a.example:1/base/evil.example/x"),
        ("\\\\evil.example", "", "http://a.example:1/base/evil.example"),
        ("@evil.example", "", "http://a.example:1/base/@evil.example"),
        ("x\r\nSet-Cookie: a=1", "q=\r\nX: y", "http://a.example:1/base/x%0D%0ASet-Cookie:%20a=1?q=%0D%0AX:%20y"),
        ("图", "", "http://a.example:1/base/%E5%9B%BE"),
    ],
)
def test_a_path_stays_below_the_url(path: str, query: str, expected: str) -> None:
    assert address("http://a.example:1/base/", path, query) == expected


@given(st.text(), st.text())
@settings(deadline=None)
def test_no_text_leads_to_another_host_or_out_of_the_base(path: str, query: str) -> None:
    found = address("https://a.example:1/base", path, query)
    parts = urlsplit(found)
    assert (parts.scheme, parts.netloc) == ("https", "a.example:1")
    assert parts.path.startswith("/base/")
    assert ".." not in parts.path.split("/")
    assert found.isascii()
    assert found.isprintable()
