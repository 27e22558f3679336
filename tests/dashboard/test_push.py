"""Cron jobs give signs of life at an address of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.push import MAX_BODY_BYTES, PER_TARGET
from dashboard.throttle import PER_ADDRESS
from targets.probe.push import find_target, push_token
from targets.probe.state import ProbeState
from tests.dashboard.house import House, open_house

KEY = b"k" * 32
_NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=20)


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[House]:
    """A house in which two targets expect signs of life."""
    targets = [{"name": name, "push": {"every": "1h"}} for name in ("backup", "cleanup")]
    with ExitStack() as stack:
        house = stack.enter_context(open_house(tmp_path / "data", targets=targets))
        house.services.targets.prober.replace(house.services.targets.roster.targets())
        yield house


def _path(house: House, name: str = "backup") -> str:
    key = house.app.secret_key
    assert isinstance(key, bytes)
    return f"/push/{push_token(key, name)}"


def _state(house: House, name: str = "backup") -> ProbeState:
    (found,) = [state for state in house.services.targets.prober.states() if state.target == name]
    return found


@given(st.sets(_NAMES, max_size=8), _NAMES)
def test_a_token_is_for_one_name_and_one_key(names: set[str], name: str) -> None:
    token = push_token(KEY, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", token)
    assert find_target(KEY, token, names | {name}) == name
    assert find_target(KEY, token, names - {name}) is None
    assert find_target(b"other", token, names | {name}) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_whoever_has_the_address_gives_a_sign_of_life(backup: House, method: str) -> None:
    answer = backup.visitor().open(_path(backup), method=method)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert answer.text == ("" if method == "HEAD" else "ok\n")
    assert answer.headers["Cache-Control"] == "no-store"
    assert _state(backup).state == "up"
    assert _state(backup, "cleanup").state == "unknown"


@pytest.mark.parametrize(
    "tail", ["/fail?msg=disk+full", "?status=down&msg=disk+full&ping=12", "?status=DOWN&msg=disk+full"]
)
def test_a_sign_of_failure_brings_it_down_and_the_next_of_life_up(backup: House, tail: str) -> None:
    visitor = backup.visitor()
    assert visitor.get(_path(backup) + tail).status_code == 200
    assert (_state(backup).state, _state(backup).reason) == ("down", "it reports a failure: disk full")
    assert visitor.get(_path(backup) + "?status=up&msg=OK").status_code == 200
    assert (_state(backup).state, dict(_state(backup).detail)) == ("up", {"message": "OK"})


def test_a_body_is_a_message_and_a_long_one_is_cut_or_left_alone(backup: House) -> None:
    visitor, path = backup.visitor(), _path(backup) + "/fail"
    visitor.post(path, data="rsync: connection lost")
    assert _state(backup).reason == "it reports a failure: rsync: connection lost"
    assert visitor.post(_path(backup), data=b"\xff" * 100_000).status_code == 200
    assert len(_state(backup).detail["message"]) == 200
    assert visitor.post(_path(backup), data=b"a" * (MAX_BODY_BYTES + 1)).status_code == 200
    assert dict(_state(backup).detail) == {}


def test_an_address_that_is_none_is_not_found_and_guessing_is_slow(backup: House) -> None:
    visitor = backup.visitor()
    path = _path(backup)
    assert visitor.get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    assert visitor.get("/push/%ff").status_code == 404
    statuses = {visitor.get("/push/guess").status_code for _ in range(PER_ADDRESS)}
    assert statuses == {404, 429}
    assert visitor.get(path).status_code == 200  # who has the address is not locked out


def test_a_caller_that_cannot_stop_is_told_to_wait_and_others_are_not(backup: House) -> None:
    visitor = backup.visitor()
    for _ in range(PER_TARGET):
        assert visitor.get(_path(backup)).status_code == 200
    answer = visitor.get(_path(backup))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert visitor.get(_path(backup, "cleanup")).status_code == 200


def test_the_caller_of_a_target_that_is_paused_is_no_stranger(backup: House) -> None:
    backup.visitor().get(_path(backup))
    backup.services.targets.prober.replace([])
    answer = backup.visitor().get(_path(backup))
    assert (answer.status_code, answer.text) == (202, "ok, but this target is not watched now\n")
