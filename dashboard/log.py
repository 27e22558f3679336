"""Log lines: JSON, one event each, to stdout and to ``wakeless.log`` in the data folder (mode 0600, rotated).

Lines of libraries (gunicorn, SQLAlchemy, APScheduler) go the same way. Bodies, tokens and query strings are never
logged.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from typing import Any, cast

import orjson
import structlog

from config import Settings

FILE_NAME = "wakeless.log"
MODE = 0o600

#: Where a record keeps its line.
_LINE = "wakeless_line"

#: Libraries that bring their own handlers: theirs are removed, so that each line is written once.
_TALKATIVE = ("gunicorn.error", "gunicorn.access", "werkzeug", "alembic", "sqlalchemy", "apscheduler", "apprise")
#: Libraries whose information is noise in a service's log.
_QUIET = {"alembic": logging.WARNING, "apscheduler": logging.WARNING, "PIL": logging.INFO, "urllib3": logging.WARNING}


class PrivateFileHandler(RotatingFileHandler):
    """A rotating file that only its owner can read, from its first byte on."""

    _bytes = 0

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802  # the standard library's name
        """Whether the line would make the file too large; without asking the file system of every line."""
        return 0 < self.maxBytes <= self._bytes + len(self.format(record)) + 1

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, in a new file if it is time for one."""
        super().emit(record)
        self._bytes += len(self.format(record)) + 1  # most are ASCII; a few bytes more do no harm

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, MODE)
        os.fchmod(descriptor, MODE)  # a file that was there before may have been made with another mode
        self._bytes = os.fstat(descriptor).st_size
        return cast(TextIOWrapper, os.fdopen(descriptor, self.mode, encoding=self.encoding, errors="backslashreplace"))


class OneLineFormatter(structlog.stdlib.ProcessorFormatter):
    """Makes a record's line once, for all handlers."""

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = record.__dict__.get(_LINE)
        if line is None:
            line = record.__dict__[_LINE] = super().format(record)
        return line


def write_line(logger: logging.Logger, level: int, event: str, facts: dict[str, Any]) -> None:
    """Log what needs none of structlog's processors, at a sixth of the cost: for what is written of every request.

    ``facts`` are names and values that JSON can carry; the line is that of any other event.
    """
    if not logger.isEnabledFor(level):
        return
    moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    name = logging.getLevelName(level).lower()
    line = _dump({**facts, "event": event, "logger": logger.name, "level": name, "timestamp": moment})
    record = logging.LogRecord(logger.name, level, __file__, 0, line, None, None)
    record.__dict__[_LINE] = line
    logger.handle(record)


def configure_logging(settings: Settings) -> None:
    """Send every log line of this process to stdout and the log file. May be called again: it replaces, not adds."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers are not cached: binding costs 2 µs a line, and a test can listen in whatever ran before it.
        cache_logger_on_first_use=False,
    )
    formatter = OneLineFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
    )
    _route(_handlers(settings, formatter), settings.log.level)


def _handlers(settings: Settings, formatter: logging.Formatter) -> list[logging.Handler]:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if settings.log.file:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handlers.append(
            PrivateFileHandler(
                settings.data_dir / FILE_NAME,
                maxBytes=settings.log.max_bytes,
                backupCount=settings.log.backups,
                encoding="utf-8",
            )
        )
    for handler in handlers:
        handler.setFormatter(formatter)
    return handlers


def _route(handlers: list[logging.Handler], level: str) -> None:
    """Make ``handlers`` the only ones, whatever a library has set up for itself."""
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=True)


def _dump(event: dict[str, Any], **_: object) -> str:
    """JSON of one line; what JSON cannot carry is written as text rather than losing the line."""
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:  # half a surrogate pair, or an integer beyond 64 bits
        return json.dumps(event, default=repr)
