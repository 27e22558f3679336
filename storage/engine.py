"""The database: one SQLite file in WAL mode, its connections, and the rule by which threads write to it.

Reading:  ``with database.connect() as connection: ...`` sees one consistent snapshot and waits for nobody.
Writing:  ``with database.begin() as connection: ...`` is the only writer meanwhile, and commits at the end.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from storage.error import StorageError, explain, storage_errors
from storage.problem import Problems
from storage.tables import Base

#: The newest migration. A test holds it against the files in ``storage/migrations``.
HEAD_REVISION = "0004"

#: The WAL is synced at every commit. With NORMAL a power cut would take all that was written since the last checkpoint,
#: which at our rate is minutes of history instead of one tick.
SYNCHRONOUS = "FULL"
BUSY_SECONDS = 5.0
#: A write transaction waits this long for those of other threads; far beyond any that is meant.
WRITER_WAIT_SECONDS = 30.0
#: Connections kept open, and how many more may be opened in a rush. Each costs two file descriptors and up to
#: CACHE_KIB. Hundreds of request threads share them: each holds one for the length of a query, the others wait.
POOL_SIZE = 8
POOL_OVERFLOW = 56
POOL_WAIT_SECONDS = 30.0
CACHE_KIB = 1024

PAGE_BYTES = 1024
#: Pages in the write-ahead log before they are copied into the file: about 4 MB.
CHECKPOINT_PAGES = 4000

_BEGIN_MODE = "wakeless_begin_mode"
_BUSY_SECONDS = "wakeless_busy_seconds"
_SYNCED = "wakeless_synced"


class Database(Engine):
    """An engine whose ``begin()`` is a write transaction: one at a time in this process, and never upgraded midway.

    SQLite allows one writer. A transaction that starts with a read and writes later fails at once, whatever the
    time-out, when another has written in between; ``BEGIN IMMEDIATE`` takes the lock first. The lock of this process
    comes before SQLite's own because that one is polled: a tick would sleep up to 100 ms for a transaction of 1 ms.
    An ORM session that writes is bound to a connection of ``begin()``: ``Session(connection)``.

    Whatever SQLite refuses to a connection is raised as :class:`StorageError`, with SQLite's own error as its cause.
    Only who asks the driver itself (a raw cursor) has to translate with ``storage_errors``.
    """

    path: Path
    problems: Problems  #: told of every trouble that SQLite reports, and of every write that worked
    _writer: threading.Lock

    @classmethod
    def open(cls, path: Path, problems: Problems | None = None) -> Database:
        """Make the pool for ``path`` without touching the file. A file that is not there is not made either."""
        plain = create_engine(
            URL.create("sqlite", database=str(path)),
            creator=lambda: connect_plainly(path, check_same_thread=False),
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_WAIT_SECONDS,
            pool_use_lifo=True,  # few viewers then mean few warm page caches
        )
        database = cls(plain.pool, plain.dialect, plain.url)
        database.path = path
        database.problems = problems or Problems()
        database._writer = threading.Lock()
        event.listen(database, "connect", _configure)
        event.listen(database, "begin", _begin)
        event.listen(database, "handle_error", database._explain)
        return database

    def connect(self) -> Connection:
        """A connection of the pool. Raises :class:`StorageError` when none is free for 30 s."""
        try:
            return super().connect()
        except PoolTimeout as error:
            raise explain(error, self.path) from error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a write transaction. Raises :class:`StorageError` when other threads do not let it in for 30 s."""
        with self.writing(), self.connect() as connection:
            connection.execution_options(**{_BEGIN_MODE: "IMMEDIATE"})
            with connection.begin():
                yield connection
        self.problems.worked("database")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer of this process: for statements that cannot run inside a transaction."""
        seconds = WRITER_WAIT_SECONDS if _patience.seconds is None else _patience.seconds
        if not self._writer.acquire(timeout=seconds):
            raise StorageError(f"the database {self.path} is busy: no turn to write in {seconds:g} s", permanent=False)
        try:
            yield
        finally:
            self._writer.release()

    def _explain(self, context: ExceptionContext) -> StorageError | None:
        """What SQLAlchemy raises instead of an error of SQLite."""
        error = context.original_exception
        if not isinstance(error, sqlite3.Error):
            return None
        explained = explain(error, self.path)
        self.problems.blame(explained, "database")
        return explained

    def dispose(self, close: bool = True) -> None:
        """Close all connections, after letting SQLite refresh the statistics that its planner uses."""
        if close:
            try:
                with closing(connect_plainly(self.path)) as connection:
                    connection.execute("PRAGMA busy_timeout = 100")  # not worth a wait
                    connection.execute("PRAGMA analysis_limit = 400")
                    connection.execute("PRAGMA optimize")
            except sqlite3.Error:
                pass  # a courtesy to the next start; the file may be gone or locked by now
        super().dispose(close)


class _Patience(threading.local):
    seconds: float | None = None
    synced = True


_patience = _Patience()


@contextmanager
def hurried(seconds: float) -> Iterator[None]:
    """On this thread, wait at most so long for the locks of a database: for who has something better to do."""
    before, _patience.seconds = _patience.seconds, seconds
    try:
        yield
    finally:
        _patience.seconds = before


@contextmanager
def unsynced() -> Iterator[None]:
    """On this thread, commit without waiting for the disk: a power cut may take it, and what was not synced before it.

    For what counts only once a later transaction says so, whose own commit brings all of the log to the disk. The
    others then wait for a millisecond at most, however slow the disk is.
    """
    before, _patience.synced = _patience.synced, False
    try:
        yield
    finally:
        _patience.synced = before


def connect_plainly(path: Path, *, read_only: bool = False, check_same_thread: bool = True) -> sqlite3.Connection:
    """A connection of the driver's own to a file that is there: SQLite would make an empty one."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=check_same_thread,
    )


def open_database(path: Path, problems: Problems | None = None) -> Database:
    """Open the database at ``path``, creating it (mode 0600, its folder 0700) and bringing its schema up to date.

    Raises :class:`StorageError` with one clear line when that is impossible.
    """
    with storage_errors(path):
        create_file(path)
        _prepare(path)
        database = Database.open(path, problems)
        try:
            _migrate(database)
        except BaseException:
            database.dispose(close=False)
            raise
    return database


def create_file(path: Path) -> None:
    """Create the file before SQLite does, which would leave its mode to the umask; WAL and shm files inherit it."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _prepare(path: Path) -> None:
    """Set what is kept in the file itself. Page size and ``auto_vacuum`` can be set only before the first table exists.

    A file that has all of it is only read: another program may hold its lock, and the server starts all the same.

    Chunks are a few hundred bytes to some kilobytes: in small pages they waste a tenth less of the file, and a commit
    that changes a row or two writes less.
    """
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")


def _configure(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    """Set what every connection has to be told anew."""
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    connection.execute(
        "PRAGMA secure_delete = FAST"
    )  # Debian's default overwrites what retention deletes: twice the I/O
    connection.execute("PRAGMA journal_size_limit = 8388608")  # a long reader lets the WAL grow; give the room back


def _begin(connection: Connection) -> None:
    """Begin for real: Python's own driver would begin only at the first write (it is told to stay out of this)."""
    _set_patience(connection)
    _set_synced(connection)
    options: dict[str, Any] = dict(connection.get_execution_options())
    connection.exec_driver_sql(f"BEGIN {options.get(_BEGIN_MODE, 'DEFERRED')}")


def _set_patience(connection: Connection) -> None:
    """Let SQLite wait for locks as long as this thread wants to; a connection remembers what it was told last."""
    seconds = BUSY_SECONDS if _patience.seconds is None else _patience.seconds
    told: float = connection.info.get(_BUSY_SECONDS, BUSY_SECONDS)
    if seconds != told:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
        connection.info[_BUSY_SECONDS] = seconds


def _set_synced(connection: Connection) -> None:
    """Let a commit wait for the disk, or not, as this thread wants; a connection remembers what it was told last."""
    if _patience.synced != connection.info.get(_SYNCED, True):
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        unsynced = "NORMAL" if SYNCHRONOUS == "FULL" else SYNCHRONOUS
        driver.execute(f"PRAGMA synchronous = {SYNCHRONOUS if _patience.synced else unsynced}")
        connection.info[_SYNCED] = _patience.synced


def _migrate(database: Database) -> None:
    """Bring the schema to :data:`HEAD_REVISION`.

    Alembic is imported only when a migration is due: it costs 10 MB and 0.1 s, and nearly every start needs none.
    A new file gets its tables from the metadata, which a test holds equal to what the migrations make.
    """
    revision = _revision(database)
    if revision == HEAD_REVISION:
        return
    if revision is None:
        with database.begin() as connection:
            if _read_revision(connection) is None:  # another process may have been faster
                Base.metadata.create_all(connection)
                connection.exec_driver_sql(_VERSION_TABLE)
                connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD_REVISION,))
        return
    from storage.migrations.upgrade import upgrade  # see above

    upgrade(database, revision)


_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


def _revision(database: Database) -> str | None:
    with database.connect() as connection:
        return _read_revision(connection)


def _read_revision(connection: Connection) -> str | None:
    """The revision that the file says it has; None for a file without tables."""
    names = set(connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'").scalars())
    if "alembic_version" in names:
        revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return revision
    if names - {"sqlite_stat1", "sqlite_stat4", "sqlite_sequence"}:
        path = connection.engine.url.database
        raise StorageError(f"the database {path} holds tables that are not Wakeless'", permanent=True)
    return None
