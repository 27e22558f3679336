"""The commands that look back: ``report`` reads any log of JSON lines, ``bundle`` packs what helpers need."""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from command_base import database, fail, with_settings
from config import Settings


@click.command("report")
@click.option(
    "--log",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    help='A file of JSON lines, one object each; .gz is unpacked, "-" is stdin.',
)
@click.option("--day", metavar="[DATE]", is_flag=False, flag_value="", help="A day of this server. Default: yesterday.")
@click.option("--week", metavar="[DATE]", is_flag=False, flag_value="", help="… the week of a date, or the last one.")
@click.option("--month", metavar="[DATE]", is_flag=False, flag_value="", help="… the month of a date, or the last one.")
@click.option("--format", "form", type=click.Choice(["text", "json", "html"]), default="text", help="… as what.")
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
    file: Path | None,
    day: str | None,
    week: str | None,
    month: str | None,
    form: str,
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
    """Say what a day, a week or a month of this server was like, or what a log tells of any service.

    Of a log: totals, success rate, latency, classes, errors, busiest hours. --day, --week and --month work while the
    server runs.
    """
    from reports.log_table import table
    from reports.logreport import read_lines, report_log

    try:
        zone = ZoneInfo(tz) if tz else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{tz!r} is no zone such as Asia/Shanghai", param_hint="--tz") from None
    asked = [(kind, text) for kind, text in (("day", day), ("week", week), ("month", month)) if text is not None]
    if len(asked) + (file is not None) != 1:
        raise click.UsageError("one of --day, --week, --month and --log")
    if file is None:
        _of_period(*asked[0], "json" if as_json else form, language, zone)
        return
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


@with_settings
def _of_period(settings: Settings, kind: str, text: str, form: str, language: str, zone: ZoneInfo | None) -> None:
    """Print the report of this server."""
    from reports.shell import printed
    from storage.error import StorageError

    with database(settings) as opened:
        try:
            click.echo(printed(settings, opened, kind, text, form, language, zone), nl=False)
        except ValueError as problem:
            fail(f"{text or 'the last one'}: the date must be {problem}")
        except StorageError as problem:
            fail(str(problem))


@click.command("bundle")
@click.argument("file", type=click.Path(path_type=Path), metavar="OUT.zip")
@click.option("--check", is_flag=True, help="Look through the database for damage as well, which takes a while.")
@with_settings
def bundle(settings: Settings, file: Path, check: bool) -> None:
    """Pack what somebody who helps needs to know, masked, into one zip. Works while the server runs or not."""
    from alerts.delivery.vault import FILE_NAME, Vault, VaultError
    from reports.bundle import Sources, write_bundle
    from storage.error import StorageError
    from storage.series import SeriesStore
    from targets.roster import Roster

    with database(settings) as opened:
        store = SeriesStore(opened)
        vault = Vault(settings.data_dir / FILE_NAME)
        roster = Roster(opened, settings.targets, encrypt=vault.seal, decrypt=vault.unseal, unreadable=VaultError)
        try:
            store.attach()
            sources = Sources(
                settings,
                opened,
                store,
                time.time_ns() // 1_000_000,
                more_settings=lambda: [one.settings for one in roster.targets() if one.origin == "page"],
                check=check,
            )
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w+b") as out:
                write_bundle(out, sources)
                size = out.tell()
        except (StorageError, OSError) as problem:
            fail(f"{file}: {getattr(problem, 'strerror', None) or problem}")
        finally:
            store.close()
    click.echo(f"{file}: {size:,} bytes; look it through before you send it on")


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
