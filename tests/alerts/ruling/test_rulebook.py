"""The rules that are written in the page: versions, checked whole, and never lost to somebody else's save."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine as Database

from alerts.rule import RuleError
from alerts.ruling.rulebook import PAGE, NewerRules, Rulebook
from storage.engine import open_database

GOOD = "groups: [{name: mine, rules: [{alert: Hot, expr: gpu_temperature_celsius > 70}]}]"
OTHER = "groups: [{name: mine, rules: [{alert: Hot, expr: gpu_temperature_celsius > 75}]}]"


@pytest.fixture
def book(database: Database) -> Rulebook:
    return Rulebook(database)


def test_before_the_first_save_there_is_an_empty_text(book: Rulebook) -> None:
    assert (book.current().version, book.current().text, book.current().groups()) == (0, "", [])
    assert book.newest_version() == 0
    assert book.versions() == []


def test_a_save_is_a_version_with_its_author_and_comment(book: Rulebook) -> None:
    saved = book.save(GOOD, "ann", "too hot in summer", 0, 1000)
    assert saved == book.current() == book.version(saved.version)
    assert (saved.version, saved.time_ms, saved.author, saved.comment) == (1, 1000, "ann", "too hot in summer")
    (group,) = saved.groups()
    assert (group.name, group.file) == ("mine", PAGE)


def test_a_bad_text_is_refused_whole(book: Rulebook) -> None:
    book.save(GOOD, "ann", "", 0, 1000)
    bad = GOOD + "\n" + OTHER
    with pytest.raises(RuleError):
        book.save(bad, "bob", "", 1, 2000)
    assert book.current().text == GOOD


def test_a_save_over_a_newer_version_is_refused_and_says_whose_it_is(book: Rulebook) -> None:
    book.save(GOOD, "ann", "", 0, 1000)
    with pytest.raises(NewerRules, match="version 1 was saved by ann") as refused:
        book.save(OTHER, "bob", "", 0, 2000)
    assert refused.value.newest.author == "ann"
    assert len(book.versions()) == 1


def test_saving_the_same_again_makes_no_version(book: Rulebook) -> None:
    book.save(GOOD, "ann", "", 0, 1000)
    assert book.save(GOOD, "bob", "", 1, 2000).version == 1
    assert len(book.versions()) == 1


def test_an_earlier_version_comes_back_as_a_new_one(book: Rulebook) -> None:
    book.save(GOOD, "ann", "", 0, 1000)
    book.save(OTHER, "bob", "", 1, 2000)
    restored = book.restore(1, "ann", "75 was wrong", 2, 3000)
    assert (restored.version, restored.text) == (3, GOOD)
    assert [one.version for one in book.versions()] == [3, 2, 1]
    assert [one.version for one in book.versions(limit=1)] == [3]
    with pytest.raises(LookupError, match="no version 9"):
        book.restore(9, "ann", "", 3, 4000)


@pytest.mark.parametrize("version", [0, -1, 1 << 63, 1 << 70])
def test_there_is_no_version_beyond_the_numbers_of_the_database(book: Rulebook, version: int) -> None:
    assert book.version(version) is None


def test_versions_outlive_the_process(database: Database) -> None:
    Rulebook(database).save(GOOD, "ann", "", 0, 1000)
    path = database.url.database
    assert path is not None
    database.dispose()
    again = open_database(Path(path))
    assert Rulebook(again).current().text == GOOD
    again.dispose()
