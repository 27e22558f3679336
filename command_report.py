"""The command that looks back: ``report`` reads any log of JSON lines."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from command_base import fail


@click.command("report")
@click.option(
    "--log",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    required=True,
    help='A file of JSON lines, one object each; .gz is unpacked, "-" is stdin.',
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.option("--time", "time_", metavar="FIELD", help="The field with the time. Default: found by its name.")
@click.option("--duration", metavar="FIELD", help="… with the duration; a.b is b inside of a.")
@click.option("--unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Its unit. Default: as its name ends, or s.")
@click.option("--outcome", metavar="FIELD", help="… with the outcome: a word, true or false, an HTTP status, a level.")
@click.option("--class", "klass", metavar="FIELD", help="… with the result's class.")
@click.option("--error", metavar="FIELD", help="… with what went wrong.")
@click.option("--event", metavar="EVENT", help="Only lines of this event.")
@click.option("--event-field", metavar="FIELD", help="… with the event.")
@click.option("--tz", metavar="ZONE", help="Whose hours, e.g. Asia/Shanghai. Default: this machine's.")
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True)
def report(
    file: Path,
    as_json: bool,
    time_: str | None,
    duration: str | None,
    unit: str | None,
    outcome: str | None,
    klass: str | None,
    error: str | None,
    event: str | None,
    event_field: str | None,
    tz: str | None,
    language: str,
) -> None:
    """Say what a log tells of a service: totals, success rate, latency, classes, errors, busiest hours."""
    from reports.log_table import table
    from reports.logreport import read_lines, report_log

    try:
        zone = ZoneInfo(tz) if tz else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{tz!r} is no zone such as Asia/Shanghai", param_hint="--tz") from None
    given = {
        "time": time_,
        "duration": duration,
        "outcome": outcome,
        "klass": klass,
        "error": error,
        "event": event_field,
    }
    try:
        with _open(file) as lines:
            found = report_log(read_lines(lines), given, unit=unit, event=event, zone=zone)
    except (OSError, EOFError, zlib.error) as problem:
        fail(f"{file}: {getattr(problem, 'strerror', None) or problem}")
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        click.echo(table(found, language, zone), nl=False)


@contextmanager
def _open(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with file.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raw.seek(0)
            with gzip.open(raw) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            raw.seek(0)
            yield raw
