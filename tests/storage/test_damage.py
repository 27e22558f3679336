"""Files that are torn, flipped, emptied or gone: what the server opens instead, and what is saved."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collectors.sample import METRIC_NAME, Hints, Matcher, Sample, Tick
from storage.account import Accounts
from storage.aside import journal_folder
from storage.damage import acknowledge, describe, fresh_name, open_or_replace, suspect, suspect_marker
from storage.engine import PAGE_BYTES, Database, open_database
from storage.fact import read_fact
from storage.incident import IncidentLog
from storage.problem import Problems
from storage.record import AuditLog, RequestEntry, RequestLog
from storage.rescue import Rescue
from storage.salvage import Salvage
from storage.series import SeriesStore

T0 = 1_795_000_000_000
NOW = T0 + 100_000
TIME = "20261118T110820Z"  # NOW, as names have it
SECONDS = 60
NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.SYNCHRONOUS", "OFF")


def build(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in use: a minute of history, half of it in the journal, an admin, a token, and what people did."""
    database = open_database(path)
    accounts = Accounts(database, clock=lambda: T0)
    accounts.create_user("admin", "correct horse", "admin")
    accounts.create_token("ci", "operator")
    IncidentLog(database).add("process", "segfault", "it crashed", T0, T0 + 1)
    AuditLog(database).add(T0, "admin", "login")
    requests = RequestLog(database)
    for number in range(300):
        requests.add(RequestEntry(f"id-{number}", T0 + number, 200, "ok", "card", "1", 0.1))
    requests.flush()
    store = SeriesStore(database)
    store.load()
    with monkeypatch.context() as small:
        small.setattr("storage.series.BLOCK_SAMPLES", 10)
        for second in range(SECONDS):
            store.append([tick(T0 + second * 1000, second)])
            if second < SECONDS // 2:
                store.seal()
    database.dispose()


def tick(time_ms: int, value: float) -> Tick:
    return Tick("host", time_ms, tuple(Sample(name, (), value + index) for index, name in enumerate(NAMES)))


@pytest.fixture
def whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    build(path, monkeypatch)
    return path


@pytest.fixture
def opened() -> Iterator[list[Database]]:
    """Databases to be closed at the end."""
    made: list[Database] = []
    yield made
    for database in made:
        database.dispose()


def open_again(path: Path, opened: list[Database], now_ms: int = NOW) -> Database:
    database = open_or_replace(path, Problems(clock=lambda: now_ms), now_ms)
    opened.append(database)
    return database


def history(database: Database) -> dict[str, list[tuple[int, float]]]:
    """What a server that starts with this database knows: seconds since T0 and values, ends left out."""
    store = SeriesStore(database)
    store.load()
    found = {}
    for series in store.select([], T0, T0 + 10**6):
        alive = [pair for pair in zip(series.times.tolist(), series.values.tolist(), strict=True) if pair[1] == pair[1]]
        found[dict(series.labels)[METRIC_NAME]] = [((time - T0) // 1000, value) for time, value in alive]
    return found


FULL = {name: [(second, float(second + index)) for second in range(SECONDS)] for index, name in enumerate(NAMES)}


def kinds(database: Database) -> list[str]:
    return [problem.kind for problem in database.problems.current()]


def pages_of(path: Path, table: str) -> list[int]:
    """The pages of a table, its root first."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (table,)).fetchall()
    return [page for (page,) in found]


def spoil(path: Path, page: int) -> None:
    """Write noise over a page."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(random.Random(page).randbytes(PAGE_BYTES))


def has_dbstat() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        return bool(connection.execute("SELECT sqlite_compileoption_used('ENABLE_DBSTAT_VTAB')").fetchone()[0])


needs_dbstat = pytest.mark.skipif(not has_dbstat(), reason="this SQLite does not tell which pages a table has")


def test_a_sound_database_is_opened_as_it_is(whole: Path, opened: list[Database]) -> None:
    before = sorted(one.name for one in whole.parent.iterdir())
    database = open_again(whole, opened)
    assert kinds(database) == []
    assert history(database) == FULL
    assert {name for name in before if "damaged" in name} == set()


@needs_dbstat
def test_with_a_torn_list_of_people_the_history_and_the_rest_are_saved(whole: Path, opened: list[Database]) -> None:
    spoil(whole, pages_of(whole, "users")[0])
    database = open_again(whole, opened)
    assert (whole.parent / f"wakeless.db.damaged-{TIME}").exists()
    assert not list(whole.parent.glob("*.fresh*"))
    assert Accounts(database).users() == []  # the server makes an admin and prints a link, as at the first start
    assert [token.name for token in Accounts(database).tokens()] == ["ci"]
    assert [incident.cause for incident in IncidentLog(database).recent(5)] == ["segfault"]
    (problem,) = database.problems.current()
    assert problem.kind == "database_moved_aside"
    assert "users" in problem.detail.partition("not read to the end: ")[2]
    assert "tokens 1" in problem.detail
    salvage = Salvage(database)
    while salvage.step():
        pass
    assert history(database) == FULL
    assert len(RequestLog(database).recent(1000)) == 300
    with database.connect() as connection:
        assert read_fact(connection, "salvage") is None
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@needs_dbstat
def test_what_people_wrote_about_an_incident_is_saved(whole: Path, opened: list[Database]) -> None:
    with closing(sqlite3.connect(whole)) as plain, plain:
        plain.execute(
            "INSERT INTO incident_entries (incident, time_ms, kind, actor, text, detail)"
            " VALUES (1, ?, 'note', 'li', 'the card was replaced', '{}')",
            (T0,),
        )
    spoil(whole, pages_of(whole, "users")[0])
    database = open_again(whole, opened)
    with database.connect() as connection:
        (text,) = connection.exec_driver_sql("SELECT text FROM incident_entries").one()
    assert text == "the card was replaced"


@needs_dbstat
def test_a_table_that_an_older_file_does_not_have_is_not_lost(whole: Path, opened: list[Database]) -> None:
    with closing(sqlite3.connect(whole)) as plain, plain:
        plain.execute("DROP TABLE incident_entries")
    spoil(whole, pages_of(whole, "users")[0])
    (problem,) = open_again(whole, opened).problems.current()
    assert problem.detail.partition("not read to the end: ")[2].split(".")[0].split(", ") == ["users"]


@needs_dbstat
def test_with_a_torn_list_of_series_people_are_saved_and_history_begins_anew(
    whole: Path, opened: list[Database]
) -> None:
    spoil(whole, pages_of(whole, "series")[0])
    database = open_again(whole, opened)
    assert [user.name for user in Accounts(database).users()] == ["admin"]
    assert history(database) == {}
    assert list(whole.parent.glob("wakeless.db.strange-*.journal/*.wal"))  # what it meant is not known: kept, not read
    store = SeriesStore(database)
    store.load()
    store.append([tick(NOW, 7)])
    assert len(store.select([], NOW, NOW)) == 3


def test_of_a_file_with_a_torn_header_nothing_can_be_saved_and_nothing_is_deleted(
    whole: Path, opened: list[Database]
) -> None:
    noise = random.Random(1).randbytes(whole.stat().st_size)
    whole.write_bytes(noise)
    database = open_again(whole, opened)
    assert Accounts(database).users() == []
    assert history(database) == {}
    assert (whole.parent / f"wakeless.db.damaged-{TIME}").read_bytes() == noise
    assert kinds(database) == ["database_moved_aside"]


def test_a_file_cut_short_loses_what_was_cut_off(whole: Path, opened: list[Database]) -> None:
    os.truncate(whole, whole.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)
    database = open_again(whole, opened)
    assert kinds(database) == ["database_moved_aside"]
    store = SeriesStore(database)
    store.load()
    store.append([tick(NOW, 7)])
    store.close()
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_an_emptied_file_is_damage_while_its_journal_is_there(whole: Path, opened: list[Database]) -> None:
    os.truncate(whole, 0)
    assert kinds(open_again(whole, opened)) == ["database_moved_aside"]


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_flipped_the_server_gets_a_database_that_works(
    whole: Path, opened: list[Database], seed: int
) -> None:
    dice = random.Random(seed)
    data = bytearray(whole.read_bytes())
    for _ in range(dice.choice((1, 4, 40))):
        place = dice.randrange(0, len(data), 512) if seed % 2 else dice.randrange(len(data))
        data[place : place + dice.choice((1, 16, 512))] = dice.randbytes(dice.choice((1, 16, 512)))
    whole.write_bytes(bytes(data[: len(data) // PAGE_BYTES * PAGE_BYTES]))
    suspect(whole)
    database = open_again(whole, opened)
    accounts = Accounts(database)
    if not accounts.users():
        accounts.create_user("admin", "correct horse", "admin")
    store = SeriesStore(database)
    store.load()
    salvage = Salvage(database)
    while salvage.step():
        pass
    store.select([], T0, T0 + 10**6)
    store.append([tick(NOW, 1)])
    store.close()
    assert not suspect_marker(whole).exists()
    with database.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@needs_dbstat
def test_a_torn_page_of_history_leaves_a_hole_and_the_next_start_looks_at_every_page(
    whole: Path, opened: list[Database]
) -> None:
    pages = pages_of(whole, "chunks")
    spoil(whole, pages[len(pages) // 2])
    database = open_again(whole, opened)
    assert kinds(database) == []  # months of history are not read at a start
    store = SeriesStore(database, problems=database.problems)
    store.load()
    hints = Hints(T0 - 1, T0 + 10**6, 0, 10**6, "")
    found = {dict(series.labels)[METRIC_NAME]: len(series.times) for series in store.stream([], hints)}
    assert min(found.values()) < SECONDS + 1 <= max(found.values()) + SECONDS
    assert store.unreadable > 0
    assert "database_damaged" in kinds(database)
    newest = store.select([Matcher(METRIC_NAME, "=", "a")], T0 + (SECONDS - 1) * 1000, T0 + (SECONDS - 1) * 1000)
    assert newest[0].values.tolist() == [SECONDS - 1]
    suspect(whole)
    database.dispose()
    again = open_again(whole, opened)
    assert kinds(again) == ["database_moved_aside"]
    salvage = Salvage(again)
    while salvage.step():
        pass
    after = {name: len(values) for name, values in history(again).items()}
    assert all(after[name] >= found[name] - 1 for name in found)
    assert [user.name for user in Accounts(again).users()] == ["admin"]


def test_a_sound_file_under_suspicion_is_opened_as_it_is(whole: Path, opened: list[Database]) -> None:
    suspect(whole)
    assert kinds(open_again(whole, opened)) == []
    assert not suspect_marker(whole).exists()


def test_what_belongs_to_a_database_that_is_gone_is_kept_apart(whole: Path, opened: list[Database]) -> None:
    database = open_database(whole)
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (name, labels) VALUES ('late', '[]')")
    shutil.copy(whole.with_name("wakeless.db-wal"), whole.with_name("kept"))
    database.dispose()
    whole.with_name("kept").rename(whole.with_name("wakeless.db-wal"))
    whole.unlink()
    fresh = open_again(whole, opened)
    assert history(fresh) == {}
    assert (whole.parent / f"wakeless.db.deleted-{TIME}-wal").exists()
    assert list(whole.parent.glob("wakeless.db.strange-*.journal"))


def test_a_start_that_died_between_the_two_renames_is_finished_by_the_next(whole: Path, opened: list[Database]) -> None:
    whole.rename(whole.with_name("wakeless.db.damaged-x"))
    build_fresh = open_database(fresh_name(whole))
    Accounts(build_fresh).create_user("saved", "correct horse", "admin")
    build_fresh.dispose()
    assert [user.name for user in Accounts(open_again(whole, opened)).users()] == ["saved"]


def test_a_start_that_died_before_begins_again(whole: Path, opened: list[Database]) -> None:
    fresh_name(whole).write_bytes(b"half a file")
    whole.write_bytes(b"x" * 10_000)
    database = open_again(whole, opened)
    assert kinds(database) == ["database_moved_aside"]
    assert Accounts(database).users() == []


def test_people_are_told_for_a_day_across_restarts_or_until_they_have_taken_note(
    whole: Path, opened: list[Database]
) -> None:
    whole.write_bytes(b"x" * 10_000)
    open_again(whole, opened).dispose()
    later = open_again(whole, opened, NOW + 80_000_000)
    (problem,) = later.problems.current()
    assert problem.since_ms == NOW
    assert f"wakeless.db.damaged-{TIME}" in problem.detail
    assert kinds(open_again(whole, opened, NOW + 90_000_000)) == []
    acknowledge(later, later.problems)
    assert kinds(later) == []
    assert kinds(open_again(whole, opened, NOW + 80_000_000)) == []


def test_salvage_goes_on_where_a_process_died(
    whole: Path, opened: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_dbstat():
        pytest.skip("this SQLite does not tell which pages a table has")
    spoil(whole, pages_of(whole, "users")[0])
    database = open_again(whole, opened)
    monkeypatch.setattr("storage.salvage.STEP_SECONDS", 0.0)
    steps = 0
    while Salvage(database).step():  # each is a new process that does one thing
        steps += 1
    assert steps > 3
    assert history(database) == FULL
    assert len(RequestLog(database).recent(1000)) == 300


def test_a_journal_of_another_database_is_put_away(whole: Path, tmp_path: Path, opened: list[Database]) -> None:
    other = open_database(tmp_path / "other" / "wakeless.db")
    SeriesStore(other).load()
    other.dispose()
    shutil.rmtree(journal_folder(whole))
    shutil.copytree(journal_folder(tmp_path / "other" / "wakeless.db"), journal_folder(whole))
    database = open_again(whole, opened)
    assert set(history(database)) == set(NAMES)
    assert list(whole.parent.glob("wakeless.db.strange-*.journal"))


def test_it_is_said_in_a_line_what_was_saved() -> None:
    line = describe("wakeless.db.damaged-x", Rescue({"users": 2, "tokens": 0}, ("audit",), True))
    assert line == "moved to wakeless.db.damaged-x; saved: users 2, tokens 0; not read to the end: audit"
