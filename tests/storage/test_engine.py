from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text

from storage.engine import HEAD_REVISION, SYNCHRONOUS, Database, open_database
from storage.error import StorageError, explain
from storage.migrations.upgrade import configuration, upgrade
from storage.tables import Base


def schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
    return [tuple("".join(str(part).split()) for part in row) for row in rows if "stat" not in row[1]]


def migrated_from_nothing(path: Path) -> None:
    path.touch()
    database = Database.open(path)
    upgrade(database)
    database.dispose()


def test_it_creates_the_file_for_its_owner_only(path: Path) -> None:
    database = open_database(path)
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (name, labels) VALUES ('up', '[]')")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.with_name("wakeless.db-wal").stat().st_mode & 0o777 == 0o600
    database.dispose()


def test_it_sets_every_connection_up_for_durable_commits(path: Path) -> None:
    assert SYNCHRONOUS == "FULL"
    database = open_database(path)
    with database.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert read == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_a_new_file_has_the_schema_that_the_migrations_make(tmp_path: Path) -> None:
    open_database(tmp_path / "new.db").dispose()
    migrated_from_nothing(tmp_path / "migrated.db")
    assert schema(tmp_path / "new.db") == schema(tmp_path / "migrated.db")


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    migrated_from_nothing(tmp_path / "migrated.db")
    plain = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with plain.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    plain.dispose()


def test_the_head_revision_named_in_the_code_is_that_of_the_files() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == HEAD_REVISION


def test_opening_a_current_file_does_not_import_alembic(path: Path) -> None:
    open_database(path).dispose()
    program = (
        "import sys; from pathlib import Path; from storage.engine import open_database;"
        f"open_database(Path({str(path)!r})).dispose(); print('alembic' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_it_refuses_a_file_of_a_newer_version(path: Path) -> None:
    database = open_database(path)
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.dispose()
    with pytest.raises(StorageError, match="newer Wakeless") as caught:
        open_database(path)
    assert caught.value.permanent


def test_it_refuses_a_database_of_another_program(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StorageError, match="tables that are not Wakeless'"):
        open_database(path)


def test_it_refuses_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but long enough to be taken for one " * 100)
    with pytest.raises(StorageError, match="not a SQLite database") as caught:
        open_database(path)
    assert caught.value.permanent
    assert "\n" not in str(caught.value)


def test_it_refuses_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened: Is a directory") as caught:
        open_database(tmp_path)
    assert caught.value.permanent


def test_it_refuses_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match="cannot be opened: Not a directory"):
        open_database(tmp_path / "data" / "wakeless.db")


def test_a_database_locked_by_another_program_is_a_passing_trouble(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.BUSY_SECONDS", 0.01)
    open_database(path).dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked by another program") as caught:
            open_database(path)
    assert not caught.value.permanent
    open_database(path).dispose()


def test_a_read_only_database_is_a_lasting_trouble(path: Path) -> None:
    open_database(path).dispose()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    with closing(connection), pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM series")
    error = explain(caught.value, path)
    assert error.permanent
    assert "read-only" in str(error)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_lasting_trouble(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="Permission denied") as caught:
        open_database(tmp_path / "data" / "wakeless.db")
    assert caught.value.permanent


def test_a_begin_takes_the_write_lock_before_it_reads(path: Path) -> None:
    database = open_database(path)
    seen: list[str] = []
    event.listen(database, "before_cursor_execute", lambda *args: seen.append(args[2]))
    with database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
    with database.connect() as connection:
        connection.exec_driver_sql("SELECT 2")
    database.dispose()
    assert seen == ["BEGIN IMMEDIATE", "SELECT 1", "BEGIN DEFERRED", "SELECT 2"]


def test_many_threads_that_read_and_then_write_never_find_the_database_locked(path: Path) -> None:
    database = open_database(path)
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (id, name, labels) VALUES (1, '0', '[]')")
    troubles: list[BaseException] = []

    def count_up() -> None:
        try:
            for _ in range(10):
                with database.begin() as connection:
                    number = int(connection.execute(text("SELECT name FROM series")).scalar_one())
                    connection.execute(text("UPDATE series SET name = :name"), {"name": str(number + 1)})
        except BaseException as error:  # noqa: BLE001 - reported below
            troubles.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as connection:
        assert connection.execute(text("SELECT name FROM series")).scalar_one() == "200"
    database.dispose()
    assert troubles == []


def test_more_readers_than_connections_wait_for_their_turn(path: Path) -> None:
    database = open_database(path)
    answers: list[int] = []

    def read() -> None:
        with database.connect() as connection:
            answers.append(connection.exec_driver_sql("SELECT count(*) FROM series").scalar_one())

    threads = [threading.Thread(target=read) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.dispose()
    assert answers == [0] * 200


def test_a_failed_write_is_rolled_back_and_the_next_one_goes_on(path: Path) -> None:
    database = open_database(path)

    def fail_midway() -> None:
        with database.begin() as connection:
            connection.exec_driver_sql("INSERT INTO series (name, labels) VALUES ('lost', '[]')")
            raise KeyError("midway")

    with pytest.raises(KeyError, match="midway"):
        fail_midway()
    with database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM series").scalar() == 0
    database.dispose()


def test_a_writer_that_gets_no_turn_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.WRITER_WAIT_SECONDS", 0.01)
    database = open_database(path)
    with database.begin(), pytest.raises(StorageError, match="no turn to write") as caught, database.begin():
        pass
    database.dispose()
    assert not caught.value.permanent


def test_whatever_sqlite_refuses_is_explained_with_its_own_error_as_the_cause(path: Path) -> None:
    database = open_database(path)
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (id, name, labels) VALUES (1, 'a', '[]')")
    with pytest.raises(StorageError, match="UNIQUE") as caught, database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (id, name, labels) VALUES (1, 'b', '[]')")
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)
    with pytest.raises(StorageError, match="no such table") as caught, database.connect() as connection:
        connection.execute(text("SELECT * FROM elsewhere"))
    assert not caught.value.permanent
    database.dispose()


def test_a_lock_of_another_program_is_told_to_a_writer_as_a_passing_trouble(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.engine.BUSY_SECONDS", 0.01)
    database = open_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked by another program") as caught, database.begin():
            pass
    assert not caught.value.permanent
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO series (id, name, labels) VALUES (1, 'a', '[]')")
    database.dispose()


def test_when_no_connection_is_free_a_reader_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.POOL_SIZE", 1)
    monkeypatch.setattr("storage.engine.POOL_OVERFLOW", 0)
    monkeypatch.setattr("storage.engine.POOL_WAIT_SECONDS", 0.01)
    database = open_database(path)
    with database.connect(), pytest.raises(StorageError, match="too many queries at once"), database.connect():
        pass
    database.dispose()
