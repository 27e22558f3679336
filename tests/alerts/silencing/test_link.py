"""A link acknowledges once, before it expires, and cannot be guessed or read from the database."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine as Database
from sqlalchemy import select

from alerts.silencing.link import AckLink, AckLinks
from storage.tables import AckLinkRow

NOW = 1_700_000_000_000
HOUR = 3_600_000


@pytest.fixture
def links(database: Database) -> AckLinks:
    return AckLinks(database, "key", "https://gpu.example/", 12)


def token_of(links: AckLinks, *alerts: int) -> str:
    url = links.make(alerts or (1, 2), NOW)
    assert url is not None
    prefix, _, token = url.rpartition("/")
    assert prefix == "https://gpu.example/ack"
    return token


def test_it_is_used_once(links: AckLinks) -> None:
    token = token_of(links, 3, 1, 3)
    assert links.look(token, NOW) == AckLink((3, 1), NOW + 12 * HOUR, None, None)
    assert links.use(token, "ada", NOW + 1) == (3, 1)
    assert links.use(token, "eve", NOW + 2) is None
    found = links.look(token, NOW + 2)
    assert found == AckLink((3, 1), NOW + 12 * HOUR, NOW + 1, "ada")
    assert found.state(NOW + 2) == "used"


def test_looking_changes_nothing(links: AckLinks) -> None:
    token = token_of(links)
    for _ in range(3):
        found = links.look(token, NOW)
        assert found is not None
        assert found.state(NOW) == "open"
    assert links.use(token, "ada", NOW) == (1, 2)


def test_it_expires(links: AckLinks) -> None:
    token = token_of(links)
    found = links.look(token, NOW + 12 * HOUR)
    assert found is not None
    assert found.state(NOW + 12 * HOUR) == "expired"
    assert links.use(token, "ada", NOW + 12 * HOUR) is None


def test_of_many_at_once_one_gets_it(links: AckLinks) -> None:
    token, won, gate = token_of(links), [], threading.Barrier(5)

    def hurry(name: str) -> None:
        gate.wait()
        if links.use(token, name, NOW) is not None:
            won.append(name)

    threads = [threading.Thread(target=hurry, args=(f"person {number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    found = links.look(token, NOW)
    assert found is not None
    assert found.used_by == won[0]


def test_one_that_did_no_good_can_be_used_again(links: AckLinks) -> None:
    token = token_of(links)
    assert links.use(token, "ada", NOW) is not None
    links.give_back(token)
    assert links.use(token, "ada", NOW) is not None


def test_the_database_does_not_hold_the_token(links: AckLinks, database: Database) -> None:
    token = token_of(links)
    with database.connect() as connection:
        row = connection.execute(select(AckLinkRow.__table__)).one()
    assert token not in str(row)
    assert token.partition(".")[0] not in str(row)


def test_one_of_another_server_is_none(links: AckLinks, database: Database) -> None:
    token = token_of(links)
    stranger = AckLinks(database, "another key", "https://gpu.example", 12)
    assert stranger.look(token, NOW) is None
    assert stranger.use(token, "ada", NOW) is None
    assert links.use(token, "ada", NOW) == (1, 2)


def test_guesses_are_none(links: AckLinks) -> None:
    token = token_of(links)
    for guess in ("", ".", token[:-1], token + "x", token.swapcase(), "x" + token, token * 100, "\ud800.x", "ü.ü"):
        assert links.look(guess, NOW) is None
        assert links.use(guess, "eve", NOW) is None


@given(st.text(max_size=60))
def test_no_text_is_a_token(text: str) -> None:
    links = AckLinks(None, "key", "https://gpu.example", 1)  # type: ignore[arg-type]  # no database: it is never asked
    assert links.look(text, NOW) is None


def test_one_that_is_forgotten_has_expired(links: AckLinks) -> None:
    token = token_of(links)
    assert links.forget(NOW + 24 * HOUR) == 0
    assert links.forget(NOW + 9 * 24 * HOUR) == 1
    found = links.look(token, NOW + 9 * 24 * HOUR)
    assert found is not None
    assert found.state(NOW + 9 * 24 * HOUR) == "expired"


@pytest.mark.parametrize(("url", "hours", "alerts"), [(None, 12, [1]), ("https://x", 0, [1]), ("https://x", 12, [])])
def test_there_is_none_where_it_would_lead_nowhere(
    database: Database, url: str | None, hours: float, alerts: list[int]
) -> None:
    assert AckLinks(database, "key", url, hours).make(alerts, NOW) is None
