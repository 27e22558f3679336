"""The commands that move history: ``export`` and ``import``."""

from __future__ import annotations

import gzip
import math
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from command_base import USAGE, database, fail, moment, with_settings
from command_progress import Progress, is_shown
from config import Settings

if TYPE_CHECKING:
    from storage.importer import Summary

DAY_MS = 86_400_000


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--at", help="The time of samples without one: ISO 8601 or Unix seconds. Default: they are a mistake.")
@click.option("--progress/--no-progress", default=None, help="Default: a bar where stderr is a terminal.")
@with_settings
def import_command(settings: Settings, file: Path, at: str | None, progress: bool | None) -> None:
    """Take in OpenMetrics text with timestamps, as `promtool tsdb dump-openmetrics` writes it.

    A FILE that ends in .gz is unpacked; "-" is stdin. Works while the server runs. Samples that are there already are
    left out, so that an import that was interrupted is simply run again.
    """
    from storage.error import StorageError
    from storage.importer import Importer, only_import
    from storage.openmetrics import OpenMetricsError, OpenMetricsReader

    began = time.monotonic()
    default_ms = moment(at) if at else None
    keep_from_ms = time.time_ns() // 1_000_000 - int(settings.storage.retention_days * DAY_MS)
    with _open(file) as (packed, text, size), database(settings) as opened:
        reader, importer = OpenMetricsReader(text, default_ms), Importer(opened, keep_from_ms)
        try:
            with only_import(opened), Progress(f"import {file.name}", size, is_shown(progress)) as bar:
                for page in reader.pages():
                    importer.take(page)
                    bar.reach(packed.tell() if size else 0, f"{importer.summary.read:,} samples")
                importer.flush()
        except (OpenMetricsError, StorageError, EOFError, OSError, zlib.error) as error:
            done = importer.summary.samples
            fail(f"{file}: {error}" + (f"; {done:,} samples before it have been taken in" if done else ""))
    _report(importer.summary, time.monotonic() - began, settings.storage.retention_days)
    if not reader.complete:
        click.echo(f"wakeless: {file} does not end with # EOF: it may have been cut short", err=True)


def _report(summary: Summary, seconds: float, retention_days: float) -> None:
    rate = summary.samples / max(seconds, 1e-3)
    click.echo(
        f"{summary.samples:,} samples of {summary.series:,} series in {seconds:.1f} s ({rate:,.0f} samples/s),"
        f" {summary.skipped:,} skipped"
    )
    if summary.expired:
        click.echo(
            f"wakeless: {summary.expired:,} samples are older than storage.retention_days ({retention_days:g})"
            " and will be deleted by the server",
            err=True,
        )


@contextmanager
def _open(file: Path) -> Iterator[tuple[BinaryIO, BinaryIO, int | None]]:
    """The file as it lies on the disk, its text, and its size on the disk where that is known."""
    with ExitStack() as stack:
        if str(file) == "-":
            yield sys.stdin.buffer, sys.stdin.buffer, None
            return
        try:
            packed = stack.enter_context(file.open("rb"))
        except OSError as error:
            fail(f"{file} cannot be read: {error.strerror}")
        size = os.fstat(packed.fileno()).st_size or None  # a pipe has none
        text = stack.enter_context(gzip.open(packed)) if file.suffix == ".gz" else packed
        yield packed, cast("BinaryIO", text), size


class _Step(click.FloatRange):
    """Seconds; a range alone would let NaN through, which is not outside of any."""

    def __init__(self) -> None:
        super().__init__(min=0.001, max=1e9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


@click.command()
@click.option("--match", "match", multiple=True, help="A series selector; may be repeated. Default: every series.")
@click.option("--start", help="ISO 8601 or Unix seconds. Default: one hour before the end.")
@click.option("--end", help="ISO 8601 or Unix seconds. Default: now.")
@click.option("--step", type=_Step(), help="Seconds between rows. Default: every raw sample.")
@click.option(
    "--format", "layout", type=click.Choice(["wide", "long", "openmetrics"]), default="wide", show_default=True
)
@click.option("--progress/--no-progress", default=None, help="Default: a bar where stderr is a terminal.")
@with_settings
def export(
    settings: Settings,
    match: tuple[str, ...],
    start: str | None,
    end: str | None,
    step: float | None,
    layout: str,
    progress: bool | None,
) -> None:
    """Write metric history to stdout, as CSV or OpenMetrics text; works while the server runs.

    OpenMetrics is what `import` reads here and `promtool tsdb create-blocks-from openmetrics` makes a Prometheus' data
    of.
    """
    from dashboard.estimate import estimate
    from dashboard.selector import EVERY_SERIES, selector_matchers
    from promql import QueryError
    from storage.dump import openmetrics
    from storage.error import StorageError
    from storage.export import csv_long, csv_wide
    from storage.series import SeriesStore

    end_ms = moment(end) if end else time.time_ns() // 1_000_000
    start_ms = moment(start) if start else end_ms - 3_600_000
    step_ms = int(step * 1000) if step else None
    if layout == "openmetrics" and step_ms:
        fail("--step: OpenMetrics text has raw samples only")
    try:
        selectors = [selector_matchers(text) for text in match] or [EVERY_SERIES]
    except QueryError as error:
        fail(str(error))
    with database(settings) as opened:
        store = SeriesStore(opened)
        try:
            store.attach()
            label = ""
            if is_shown(progress):
                size = estimate(store, selectors, start_ms, end_ms, step_ms, wide=layout == "wide")
                label = f"export of {size.series:,} series, about {_bytes(size.bytes)}"
            with Progress(label, 1.0, is_shown(progress)) as bar:
                if layout == "openmetrics":
                    pieces = openmetrics(store, selectors, start_ms, end_ms, bar.reach)
                else:
                    write = csv_long if layout == "long" else csv_wide
                    pieces = write(store, selectors, start_ms, end_ms, step_ms, bar.reach)
                for piece in pieces:
                    sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except StorageError as error:
            fail(str(error))
        except BrokenPipeError:
            os._exit(0)  # `… | head` closed the pipe; there is nobody left to tell
        except OSError as error:
            click.echo(f"wakeless: the export cannot be written: {error.strerror}", err=True)
            os._exit(USAGE)  # at once: an orderly end would try to write the rest


def _bytes(count: int) -> str:
    """A size as people read it."""
    size, units = float(count), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
