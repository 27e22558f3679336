"""Targets of the page: kept encrypted, checked in words, secrets hidden and kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from config_target import TargetSettings
from storage.engine import open_database
from storage.tables import TargetRow
from targets.definition import HIDDEN, DefinitionError, check, hide, keep_secrets
from targets.roster import Roster, RosterError

NOW = 1_800_000_000_000
HTTP = {"url": "https://a.example/health", "password": "hunter2", "headers": {"X-Key": "k3y"}, "interval": "10s"}


class Locked(Exception):
    """What the vault of these tests raises."""


class Lock:
    """Turns texts around, as long as there is a key."""

    def __init__(self) -> None:
        self.key = True

    def seal(self, text: str) -> bytes:
        if not self.key:
            raise Locked("the key file is not there")
        return text[::-1].encode()

    def unseal(self, sealed: bytes) -> str:
        if not self.key:
            raise Locked("the key file is not there")
        return sealed.decode()[::-1]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    found = open_database(tmp_path / "wakeless.db")
    yield found
    found.dispose()


def make(database: Engine, lock: Lock | None = None, *names: str) -> Roster:
    lock = lock or Lock()
    fixed = [TargetSettings.model_validate({"name": name, "ping": {"host": "localhost"}}) for name in names]
    return Roster(database, fixed, encrypt=lock.seal, decrypt=lock.unseal, unreadable=Locked)


def test_what_was_added_is_there_after_a_restart_and_unreadable_in_the_file(database: Engine) -> None:
    make(database).add({"name": "api", "http": HTTP}, "ada", NOW)
    (target,) = make(database).targets()
    assert (target.name, target.origin, target.probes) == ("api", "page", ("http",))
    assert target.settings.http is not None
    assert target.settings.http.password is not None
    assert target.settings.http.password.get_secret_value() == "hunter2"
    with database.connect() as connection:
        assert b"hunter2" not in connection.execute(select(TargetRow.secret)).scalar_one()


def test_those_of_the_settings_come_first_and_keep_their_names(database: Engine) -> None:
    roster = make(database, None, "model")
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    assert [one.name for one in roster.targets()] == ["model", "api"]
    with pytest.raises(RosterError, match="the settings have a target model already"):
        roster.add({"name": "model", "http": HTTP}, "ada", NOW)
    with pytest.raises(RosterError, match="there is a target api already"):
        roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    with pytest.raises(RosterError, match="model is in the settings file, and is changed there"):
        roster.change("model", {"http": HTTP}, None, NOW)
    with pytest.raises(RosterError, match="model is in the settings file"):
        roster.delete("model")


def test_every_change_is_told(database: Engine) -> None:
    told: list[int] = []
    roster = make(database, None, "model")
    roster.on_change = lambda: told.append(len(roster.targets()))
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    roster.pause("api", True, "ada", NOW)
    roster.delete("api")
    assert told == [2, 2, 1]
    with pytest.raises(RosterError):
        roster.add({"name": "api"}, "ada", NOW)
    assert len(told) == 3


def test_a_target_of_the_settings_can_be_paused_as_well(database: Engine) -> None:
    roster = make(database, None, "model")
    roster.pause("model", True, "ada", NOW)
    again = make(database, None, "model")
    assert again.is_paused("model")
    assert [one.origin for one in again.targets()] == ["settings"]
    again.pause("model", False, "ada", NOW)
    assert not again.is_paused("model")
    with pytest.raises(RosterError, match="there is no target nobody"):
        again.pause("nobody", True, "ada", NOW)


def test_a_name_that_was_only_paused_in_the_settings_is_free_when_it_has_gone_from_them(database: Engine) -> None:
    make(database, None, "model").pause("model", True, "ada", NOW)
    roster = make(database)
    roster.add({"name": "model", "http": HTTP}, "ada", NOW)
    assert not roster.is_paused("model")


def test_two_who_change_the_same_do_not_undo_each_other(database: Engine) -> None:
    roster = make(database)
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    definition, version = roster.definition("api")
    roster.change("api", definition | {"note": "mine"}, version, NOW)
    with pytest.raises(RosterError, match="changed by somebody else") as refused:
        roster.change("api", definition | {"note": "theirs"}, version, NOW)
    assert refused.value.kind == "conflict"
    assert roster.definition("api")[0]["note"] == "mine"


def test_secrets_are_hidden_and_stay_when_they_come_back_so(database: Engine) -> None:
    roster = make(database)
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    shown, version = roster.definition("api")
    assert shown["http"]["password"] == HIDDEN
    assert shown["http"]["headers"] == {"X-Key": HIDDEN}
    assert "hunter2" not in str(shown)
    shown["http"]["url"] = "https://a.example/other"
    changed = roster.change("api", shown, version, NOW + 1).settings.http
    assert changed is not None
    assert changed.password is not None
    assert (changed.url, changed.password.get_secret_value()) == ("https://a.example/other", "hunter2")
    assert changed.headers == {"X-Key": "k3y"}


@pytest.mark.parametrize("url", ["https://evil.example/health", "http://a.example/health", "https://a.example:444/"])
def test_a_hidden_secret_does_not_go_to_another_place(database: Engine, url: str) -> None:
    roster = make(database)
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    for definition in ({"http": {"url": url}}, {"name": "api", "http": {"url": url, "password": HIDDEN}}):
        with pytest.raises(RosterError, match="the URL leads elsewhere now, so give it again"):
            roster.change("api", definition, None, NOW)
    with pytest.raises(RosterError, match="leads elsewhere"):
        roster.draft({"name": "api", "http": {"url": url, "password": None}})  # its header is a secret too
    assert roster.draft({"name": "api", "http": {"url": url, "password": None, "headers": {}}}).http is not None


def test_a_secret_is_taken_away_by_null(database: Engine) -> None:
    roster = make(database)
    roster.add({"name": "api", "http": HTTP}, "ada", NOW)
    plain = roster.change("api", {"http": {"url": HTTP["url"], "password": None, "headers": {}}}, None, NOW).settings
    assert plain.http is not None
    assert (plain.http.password, plain.http.headers) == (None, {})


def test_scrapes_keep_their_secrets_one_by_one() -> None:
    before = {"scrape": [{"url": "http://a/", "bearer_token": "t0"}, {"url": "http://b/", "bearer_token": "t1"}]}
    after = keep_secrets({"scrape": [{"url": "http://a/x"}, {"url": "http://b/", "bearer_token": None}]}, before)
    assert after["scrape"][0]["bearer_token"] == "t0"
    assert after["scrape"][1]["bearer_token"] is None
    alone = {"scrape": {"url": "http://a/", "bearer_token": "t0"}}
    assert hide(alone)["scrape"]["bearer_token"] == HIDDEN


@pytest.mark.parametrize(
    ("definition", "field", "words"),
    [
        ({}, "name", "name: is missing"),
        ({"name": "x y", "push": {"every": 60}}, "name", "name: must be"),
        ({"name": "x"}, None, "a target needs something to look at"),
        ({"name": "x", "http": {"url": "ftp://x"}}, "http.url", "http.url: must be an http:// or https:// URL"),
        ({"name": "x", "http": {"url": "http://x", "timeout": 60}}, "http", "http: must be timeout no longer"),
        ({"name": "x", "http": {"url": "http://x", "colour": 1}}, "http.colour", "there is no such setting"),
        ({"name": "x", "http": {"url": "http://u:p@x/"}}, "http.url", "a user and a password go into username"),
        ({"name": "x", "http": {"url": "http://[x"}}, "http.url", "must be a URL"),
        ({"name": "x", "log": {"path": "/etc/shadow"}}, "log", "log: only the settings file may have this"),
        ({"name": "x", "remedies": []}, "remedies", "remedies: only the settings file may have this"),
        ({"name": "x", "process": {"name": "a"}}, "process", "process: only the settings file may have this"),
        ({"name": "x", "frobnicate": 1}, "frobnicate", "must be one of name, note, http"),
        ({"name": "x", "scrape": 7}, "scrape.0", "scrape.0: must be"),
        ({"name": "x", "http": {"url": "http://x", "password": HIDDEN}}, "http.password", "there is none that could"),
    ],
)
def test_a_mistake_is_named_with_its_field(
    database: Engine, definition: dict[str, Any], field: str | None, words: str
) -> None:
    with pytest.raises(RosterError) as refused:
        make(database).add(definition, "ada", NOW)
    assert (refused.value.kind, refused.value.field) == ("invalid", field)
    assert words in str(refused.value)


def test_without_the_key_a_target_is_told_as_unreadable_and_the_others_are_watched(database: Engine) -> None:
    lock = Lock()
    make(database, lock, "model").add({"name": "api", "http": HTTP}, "ada", NOW)
    lock.key = False
    roster = make(database, lock, "model")
    assert [one.name for one in roster.targets()] == ["model"]
    assert roster.problems() == {"api": "its definition cannot be decrypted: the key file is not there"}
    with pytest.raises(RosterError, match="cannot be encrypted: the key file is not there"):
        roster.add({"name": "new", "http": HTTP}, "ada", NOW)
    roster.delete("api")
    assert roster.problems() == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)
SECRET = "s3cr3t-that-nobody-may-see"
PART = st.fixed_dictionaries(
    {},
    optional={
        "url": st.just("https://a.example/x") | JSON,
        "password": st.just(SECRET) | JSON,
        "headers": st.just({"Authorization": SECRET}) | JSON,
        "interval": JSON,
        "status": JSON,
    },
)
DEFINITION = st.fixed_dictionaries(
    {},
    optional={"name": st.just("x") | JSON, "http": PART | JSON, "scrape": PART | st.lists(PART, max_size=2) | JSON},
)


@given(DEFINITION, DEFINITION)
def test_whatever_is_sent_no_secret_is_repeated(definition: dict[str, Any], before: dict[str, Any]) -> None:
    said = ""
    try:
        whole = keep_secrets(definition, before)
        settings = check(whole)
        said = str(hide(whole))
        assert check(keep_secrets(hide(whole), whole)) == settings
    except DefinitionError as error:
        said = str(error)
    assert SECRET not in said
