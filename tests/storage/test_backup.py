"""Backups: one file that holds everything, or nothing at all; and a restore that loses nothing that was there."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

import storage.backup
from collectors.sample import Sample, Tick, stale_mask
from storage.account import Accounts
from storage.backup import backup, place, set_aside, take_up_restored
from storage.engine import PAGE_BYTES, open_database
from storage.error import StorageError
from storage.record import AuditLog
from storage.series import SeriesStore

T0 = 1_795_000_000_000
NOW = T0 + 100_000
History = dict[str, list[tuple[int, float]]]


def quiet(_done: float, _what: str) -> None:
    """Progress that nobody looks at."""


def tick(second: int) -> Tick:
    return Tick("host", T0 + second * 1000, (Sample("a", (), second), Sample("b", (), -second)))


def history(path: Path) -> History:
    """What a server that starts with this database knows, ends left out: seconds since T0 and values."""
    database = open_database(path)
    store = SeriesStore(database)
    store.load()
    found = {}
    for series in store.select([], 0, T0 * 2):
        alive = ~stale_mask(series.values)
        seconds = ((series.times[alive] - T0) // 1000).tolist()
        found[dict(series.labels)["__name__"]] = list(zip(seconds, series.values[alive].tolist(), strict=True))
    database.dispose()
    return found


def expected(seconds: int) -> History:
    return {"a": [(second, float(second)) for second in range(seconds)], "b": [(s, float(-s)) for s in range(seconds)]}


def files(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder, the database's shared memory aside, which every reader writes."""
    found = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in found}


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        (line,) = connection.execute("PRAGMA integrity_check").fetchone()
    return str(line)


@pytest.fixture
def used(engine: Engine, store: SeriesStore) -> SeriesStore:
    """A server at work: twenty seconds in a block, twenty in the journal, and an account."""
    Accounts(engine).create_user("anna", "correct horse", "admin")
    for second in range(40):
        store.append([tick(second)])
        if second == 19:
            store.seal(everything=True)
    return store


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "monday.db"


def test_a_backup_of_a_database_in_use_holds_blocks_and_journal_in_one_file(
    path: Path, used: SeriesStore, target: Path
) -> None:
    assert backup(path, target, quiet) == target.stat().st_size
    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    assert integrity(target) == "ok"
    used.append([tick(40)])  # nobody has been disturbed
    assert history(target) == expected(40)
    database = open_database(target)
    assert [user.name for user in Accounts(database).users()] == ["anna"]
    database.dispose()


def test_only_the_owner_can_read_a_backup(path: Path, used: SeriesStore, target: Path) -> None:
    before = os.umask(0)
    try:
        backup(path, target, quiet)
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("moment", ["_copy", "_seal_journal"])
def test_ticks_that_are_sealed_while_a_backup_is_made_are_in_it_once(
    path: Path, used: SeriesStore, target: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Between the copy of the journal and that of the file, and after it; the server writes on, and deletes."""
    plain: Callable[..., None] = getattr(storage.backup, moment)

    def after_the_server(*args: object) -> None:
        used.seal(everything=True)
        used.append([tick(40)])
        used.expire(T0 - 1)
        plain(*args)

    monkeypatch.setattr(storage.backup, moment, after_the_server)
    backup(path, target, quiet)
    assert history(target) == expected(40)
    database = open_database(target)
    with database.connect() as connection:
        held = connection.exec_driver_sql("SELECT sum(count) FROM chunks WHERE id & 0xFFFFFFFF").scalar_one()
    database.dispose()
    assert held == 2 * 40


def test_a_backup_is_of_the_moment_at_which_it_began(
    path: Path, engine: Engine, used: SeriesStore, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is written meanwhile: no write makes the copy begin again, and none waits for it."""
    monkeypatch.setattr("storage.backup._PAGES", 1)
    told: list[float] = []

    def progress(done: float, _what: str) -> None:
        told.append(done)
        AuditLog(engine).add(NOW, "anna", "login")

    backup(path, target, progress)
    assert told == sorted(told)
    assert len(told) > 20
    assert told[-1] == 1
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(path: Path, used: SeriesStore, target: Path) -> None:
    target.write_bytes(b"last week's")
    with pytest.raises(StorageError, match="exists already"):
        backup(path, target, quiet)
    assert target.read_bytes() == b"last week's"
    backup(path, target, quiet, force=True)
    assert history(target) == expected(40)


def test_a_backup_never_takes_the_place_of_the_database_itself(path: Path, used: SeriesStore, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(path)
    for itself in (path, tmp_path / "link.db"):
        with pytest.raises(StorageError, match="exists already"):
            backup(path, itself, quiet, force=True)
    assert len(used.select([], T0, NOW)) == 2


@pytest.mark.parametrize("name", ["nowhere/monday.db", "."])
def test_a_place_where_no_file_can_be_is_refused(path: Path, used: SeriesStore, target: Path, name: str) -> None:
    with pytest.raises(StorageError, match="folder"):
        backup(path, target.parent / name, quiet)
    assert list(target.parent.iterdir()) == []


def test_there_is_nothing_to_back_up_before_the_first_start(path: Path, target: Path) -> None:
    with pytest.raises(StorageError, match="there is no database"):
        backup(path, target, quiet)
    assert not path.parent.exists()


def test_a_damaged_database_gives_no_backup(path: Path, used: SeriesStore, target: Path) -> None:
    target.write_bytes(b"last week's")
    used.close()
    used._engine.dispose()
    spoil(path)
    with pytest.raises(StorageError, match="damaged"):
        backup(path, target, quiet, force=True)
    assert files(target.parent) == {"monday.db": b"last week's"}


def test_an_index_that_does_not_fit_its_table_is_damage_as_well(
    path: Path, used: SeriesStore, target: Path, tmp_path: Path
) -> None:
    backup(path, target, quiet)
    with closing(sqlite3.connect(target)) as connection:
        (index,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'users'"
        ).fetchone()
    data = bytearray(target.read_bytes())
    place_of = data.index(b"anna", (index - 1) * PAGE_BYTES, index * PAGE_BYTES)
    data[place_of] ^= 1
    target.write_bytes(bytes(data))
    with pytest.raises(StorageError, match="damaged"):
        place(target, tmp_path / "other" / "wakeless.db", quiet)


@pytest.mark.parametrize("stage", ["_copy_journal", "_copy", "_seal_journal", "_check_pages", "_sync_file"])
def test_a_kill_leaves_no_half_backup_under_the_name_and_the_next_one_clears_up(
    path: Path, used: SeriesStore, target: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    target.write_bytes(b"last week's")
    killed_at(stage, monkeypatch, lambda: backup(path, target, quiet, force=True))
    assert target.read_bytes() == b"last week's"
    backup(path, target, quiet, force=True)
    assert [file.name for file in target.parent.iterdir()] == ["monday.db"]
    assert history(target) == expected(40)


@pytest.mark.parametrize("stage", ["_check_pages", "_copy", "_sync_file"])
def test_a_restore_that_is_killed_has_changed_nothing(
    path: Path, used: SeriesStore, target: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    backup(path, target, quiet)
    used.append([tick(40)])
    killed_at(stage, monkeypatch, lambda: place(target, path, quiet))
    used._engine.dispose()
    assert take_up_restored(path, NOW) is None
    assert history(path) == expected(41)
    place(target, path, quiet)
    assert not path.with_name("wakeless.db.restore.part").exists()


@pytest.mark.parametrize("renames", range(6))
def test_a_restore_that_is_killed_while_files_change_places_is_finished_by_the_next_start(
    path: Path, used: SeriesStore, target: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """The server before had been killed, so that a write-ahead log is there, too: it stays with its file."""
    backup(path, target, quiet)
    used.append([tick(40)])
    place(target, path, quiet)
    used._engine.pool = used._engine.pool.recreate()  # whoever held it open is dead
    killed_at("os.rename", monkeypatch, lambda: take_up_restored(path, NOW), after=renames)
    before = take_up_restored(path, NOW + 5000)
    assert before is not None
    assert before.name.endswith("T110825Z" if renames == 0 else "T110820Z")
    assert history(path) == expected(40)
    assert take_up_restored(path, NOW) is None
    place(before, path, quiet)
    take_up_restored(path, NOW)
    assert history(path) == expected(41)


def test_what_was_there_is_kept_with_its_journal_and_can_be_restored_in_turn(
    path: Path, used: SeriesStore, target: Path
) -> None:
    """Also when the server had been killed, so that its last ticks are in the journal only."""
    backup(path, target, quiet)
    for second in range(40, 50):
        used.append([tick(second)])
    used._engine.dispose()
    place(target, path, quiet)
    before = take_up_restored(path, NOW)
    assert before is not None
    assert before.name == "wakeless.db.replaced-20261118T110820Z"
    assert history(path) == expected(40)
    place(before, path, quiet)
    assert take_up_restored(path, NOW) == before.with_name(before.name + "-2")
    assert history(path) == expected(50)
    assert len(set_aside(path)) == 2


def test_what_was_set_aside_is_neither_counted_nor_deleted(path: Path, used: SeriesStore) -> None:
    """It is a person's to delete: history never goes to make room for it, nor it for history."""
    before = used.size()
    kept = [path.with_name(f"wakeless.db.{why}-20261118T110820Z") for why in ("replaced", "damaged", "deleted")]
    for one in kept:
        one.write_bytes(bytes(100_000))
    assert used.size() == before
    assert used.limit(before + 50_000) == 0
    used.expire(NOW)
    assert all(one.exists() for one in kept)


def test_a_backup_of_an_older_version_is_taken_and_brought_up_to_date(path: Path, tmp_path: Path) -> None:
    from tests.storage.test_migration import old_file, read

    old = tmp_path / "old" / "backup.db"
    old_file(old, {1: ("host", [1], True)}, [(T0 + second * 1000, 1, [float(second)]) for second in range(5)], 1)
    path.parent.mkdir()
    place(old, path, quiet)
    take_up_restored(path, NOW)
    assert [value for _, value in read(path)["metric_1"]][:5] == [0, 1, 2, 3, 4]


def refused_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that are no backups, and what is said of each."""
    folder.mkdir()
    yield folder / "nowhere.db", "there is no file"
    yield folder, "there is no file"
    (folder / "empty.db").touch()
    yield folder / "empty.db", "not a backup of Wakeless"
    (folder / "noise.db").write_bytes(b"not a database at all, but long enough to be taken for one " * 100)
    yield folder / "noise.db", "not a SQLite database"
    with closing(sqlite3.connect(folder / "other.db")) as connection:
        connection.execute("CREATE TABLE recipes (id INTEGER)")
    yield folder / "other.db", "not a backup of Wakeless"


def test_what_is_no_backup_is_refused_and_changes_nothing(path: Path, used: SeriesStore, tmp_path: Path) -> None:
    before = files(path.parent)
    for file, words in refused_files(tmp_path / "files"):
        with pytest.raises(StorageError, match=words) as caught:
            place(file, path, quiet)
        assert "\n" not in str(caught.value)
    assert files(path.parent) == before


def test_a_backup_of_a_newer_version_is_refused(path: Path, used: SeriesStore, target: Path) -> None:
    backup(path, target, quiet)
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = files(path.parent)
    with pytest.raises(StorageError, match="newer Wakeless"):
        place(target, path, quiet)
    assert files(path.parent) == before


@pytest.mark.parametrize("how", ["spoiled", "cut"])
def test_a_damaged_backup_is_refused_and_changes_nothing(path: Path, used: SeriesStore, target: Path, how: str) -> None:
    backup(path, target, quiet)
    if how == "cut":
        os.truncate(target, target.stat().st_size // 2)
    else:
        spoil(target)
    before = files(path.parent)
    with pytest.raises(StorageError, match="damaged"):
        place(target, path, quiet)
    assert files(path.parent) == before


def spoil(path: Path) -> None:
    """Write noise over a page in the middle of the file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)


def killed_at(stage: str, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object], after: int = 0) -> None:
    """Do the work in a process of its own, which is killed when it comes to this function for the n-th time."""
    holder, name = (os, "rename") if stage == "os.rename" else (storage.backup, stage)
    plain, left = getattr(holder, name), [after]

    def die(*args: object, **options: object) -> object:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return plain(*args, **options)

    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(holder, name, die)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"it never came to {stage}"
