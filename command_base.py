"""What the commands share: settings, the database, how a mistake ends the program, and how moments are written."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import click

from config import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: The latest moment that a sample can have, in UTC milliseconds: some time in the year 2248.
LAST_MS = 2**43 - 1

#: Exit status for a mistake in the settings, a file, or the call.
USAGE = 2


def fail(message: str) -> NoReturn:
    """One line on stderr, exit status 2."""
    click.echo(f"wakeless: {message}", err=True)
    sys.exit(USAGE)


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the settings as its first argument; a mistake in them ends the program with one line."""

    @wraps(function)
    @click.pass_context
    def wrapper(context: click.Context, *args: Any, **kwargs: Any) -> Any:
        try:
            settings = load_settings(context.find_root().obj)
        except SettingsError as error:
            fail(str(error))
        return function(settings, *args, **kwargs)

    return wrapper


@contextmanager
def errors_on_stderr() -> Iterator[None]:
    """Keep the log of the rooms out of a command's own words on stdout: a CSV, a token, a line that says what was done.

    Warnings are for the server's log: what a command has to say it says itself.
    """
    import structlog

    before = structlog.get_config()
    structlog.reset_defaults()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def database(settings: Settings) -> Iterator[Engine]:
    """The database of the data folder, while the server runs or not."""
    from storage.engine import open_database
    from storage.error import StorageError

    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = open_database(settings.data_dir / "wakeless.db")
    except (StorageError, OSError) as error:
        fail(str(error))
    try:
        with errors_on_stderr():
            yield opened
    finally:
        opened.dispose()


def moment(text: str) -> int:
    """UTC milliseconds from ISO 8601 (without a zone: local time) or Unix seconds."""
    with suppress(ValueError, OverflowError):
        return min(max(int(float(text) * 1000), 0), LAST_MS)
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is neither ISO 8601 nor Unix seconds") from None


def local_time(time_ms: int) -> str:
    """A moment as people read it, in the zone of this machine, to the minute."""
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
