"""Rules are read anew while the server runs: whole or not at all, and what was in force stays until then."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import insert

from alerts.rule import Group, RuleError
from alerts.ruling.rulebook import Rulebook
from alerts.ruling.source import RuleSource
from storage.error import StorageError
from storage.tables import RuleTextRow

NOW = 1_700_000_000_000


def a_file(*names: str, expr: str = "up == 0") -> str:
    rules = ", ".join(f"{{alert: {name}, expr: '{expr}'}}" for name in names)
    return f"groups: [{{name: g, rules: [{rules}]}}]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yml"
    path.write_text(a_file("A"))
    return path


@pytest.fixture
def source(database: Database, file: Path) -> RuleSource:
    found = RuleSource([file], Rulebook(database), stock=False)
    found.load(NOW)
    return found


def names(groups: Sequence[Group] | None) -> list[str] | None:
    return None if groups is None else [rule.name for group in groups for rule in group.rules]


def polled(source: RuleSource, calls: int = 2) -> list[str] | None:
    """What polling so often brings; a change counts at the second look."""
    for _ in range(calls):
        groups = source.poll(NOW)
        if groups is not None:
            return names(groups)
    return None


def problems(source: RuleSource, name: str = "mine.yml") -> tuple[str, ...]:
    return next(state.problems for state in source.states() if state.path.endswith(name))


def test_nothing_is_new_as_long_as_nothing_changes(source: RuleSource) -> None:
    assert polled(source, 4) is None


def test_a_changed_file_is_read_once_it_has_settled(source: RuleSource, file: Path) -> None:
    file.write_text(a_file("A", "B"))
    assert source.poll(NOW) is None  # it may be half of what somebody is writing
    assert names(source.poll(NOW)) == ["A", "B"]
    assert source.poll(NOW) is None


def test_a_file_that_goes_on_changing_is_left_alone(source: RuleSource, file: Path) -> None:
    for count in range(2, 6):
        file.write_text(a_file(*"ABCDEF"[:count]))
        assert source.poll(NOW) is None
    assert polled(source) == list("ABCDE")


def test_a_file_that_takes_another_s_place_is_noticed(source: RuleSource, file: Path, tmp_path: Path) -> None:
    before = file.stat()
    other = tmp_path / "new"
    other.write_text(a_file("B"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert polled(source) == ["B"]


def test_a_file_that_was_only_touched_changes_nothing(source: RuleSource, file: Path) -> None:
    os.utime(file, (1, 1))
    assert polled(source, 3) is None


@pytest.mark.parametrize("text", [b"groups: [{name: g, rules: [{alert: B}]}]", b"a: b: c", b"\xff"])
def test_a_bad_file_is_refused_whole_and_the_old_rules_stay(source: RuleSource, file: Path, text: bytes) -> None:
    file.write_bytes(text)
    assert polled(source, 3) is None
    assert problems(source)
    (state,) = [state for state in source.states() if state.path == str(file)]
    assert state.rules == 1
    file.write_text(a_file("C"))
    assert polled(source) == ["C"]
    assert problems(source) == ()


def test_a_bad_file_does_not_hold_up_another(database: Database, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yml"
    other.write_text(a_file("X"))
    source = RuleSource([file, other], Rulebook(database), stock=False)
    source.load(NOW)
    file.write_text("a: b: c")
    other.write_text(a_file("Y"))
    assert polled(source) == ["A", "Y"]


def test_a_file_that_goes_away_keeps_its_rules_and_is_named(source: RuleSource, file: Path) -> None:
    text = file.read_text()
    file.unlink()
    assert polled(source, 3) is None
    assert "cannot be read" in problems(source)[0]
    file.write_text(text)
    assert polled(source, 3) is None
    assert problems(source) == ()


def test_an_emptied_file_takes_its_rules_away(source: RuleSource, file: Path) -> None:
    file.write_text("")
    assert polled(source) == []


def test_a_bad_file_stops_the_start(database: Database, file: Path) -> None:
    file.write_text("a: b: c")
    with pytest.raises(RuleError, match=r"mine\.yml: is not valid YAML"):
        RuleSource([file], Rulebook(database)).load(NOW)


def test_reload_waits_for_nothing(source: RuleSource, file: Path) -> None:
    file.write_text(a_file("B"))
    assert names(source.reload(NOW)) == ["B"]
    assert source.reload(NOW) is None


def test_a_save_in_the_page_is_in_force_at_the_next_look(source: RuleSource) -> None:
    source.rulebook.save(a_file("P"), "ann", "", 0, NOW)
    groups = source.poll(NOW)
    assert names(groups) == ["A", "P"]
    assert groups is not None
    assert groups[-1].file == "page"
    assert source.text_of("page") == a_file("P")


def test_a_rule_of_the_page_or_of_a_file_replaces_the_stock_rule_of_its_name(database: Database, file: Path) -> None:
    file.write_text(a_file("ServerDown"))
    book = Rulebook(database)
    source = RuleSource([file], book)
    stock = source.load(NOW)
    book.save(a_file("NotReady"), "ann", "", 0, NOW)
    groups = source.poll(NOW)
    assert groups is not None
    for name, place in (("ServerDown", str(file)), ("NotReady", "page")):
        assert [group.file for group in groups for rule in group.rules if rule.name == name] == [place]
    assert sum(len(group.rules) for group in groups) == sum(len(group.rules) for group in stock)


def test_a_text_of_the_page_that_an_older_wakeless_took_is_left_out_and_named(
    database: Database, source: RuleSource
) -> None:
    with database.begin() as connection:
        connection.execute(insert(RuleTextRow).values(time_ms=1, author="ann", comment="", text="a: b: c"))
    assert source.poll(NOW) is None
    assert "not valid YAML" in problems(source, "page")[0]
    again = RuleSource([], Rulebook(database), stock=False)
    assert again.load(NOW) == []


def test_what_could_not_be_put_in_force_comes_again(source: RuleSource, file: Path) -> None:
    applied: list[list[str] | None] = []

    def refuse(groups: Sequence[Group], now_ms: int) -> None:
        raise StorageError("the database is locked", permanent=False)

    file.write_text(a_file("B"))
    with pytest.raises(StorageError):
        source.refresh(NOW, refuse, settle=False)
    assert source.refresh(NOW, lambda groups, now_ms: applied.append(names(groups)))
    assert not source.refresh(NOW, lambda groups, now_ms: applied.append(names(groups)))
    assert applied == [["B"]]
