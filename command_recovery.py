"""Commands for the time after something broke: why the server process ended, and a fresh start."""

from __future__ import annotations

import os
import signal
import time

import click

from command_base import fail, local_time, with_settings
from config import Settings
from ledger import EVIDENCE, Exit, LastWords, Ledger, circumstances
from supervisor import DataFolderTaken, holder, lock_data_folder

_LOOK_SECONDS = 0.1


@click.command()
@click.option("--count", "-n", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many ends.")
@click.option("--all", "everything", is_flag=True, help="Orderly stops and restarts as well.")
@click.option("--brief", is_flag=True, help="One line for each, without the last lines and the memory curve.")
@with_settings
def why(settings: Settings, count: int, everything: bool, brief: bool) -> None:
    """Say why the server process ended, the newest end last: cause, last batch, last lines, memory."""
    ends = [end for end in Ledger(settings.data_dir).exits() if everything or end.unexpected]
    if not ends:
        click.echo("no server process has ended unexpectedly")
    for end in ends[-count:]:
        for line in [_headline(end)] if brief else _report(end):
            click.echo(line)


@click.command()
@click.option("--reason", default="", help="Kept in the ledger.")
@click.option("--wait", "seconds", default=60.0, show_default=True, help="Seconds to wait until the old process ended.")
@with_settings
def restart(settings: Settings, reason: str, seconds: float) -> None:
    """Restart the server process in order; it leaves safe mode and tries the model again."""
    supervisor = _supervisor(settings)
    words = LastWords(settings.data_dir)
    words.leave("restart", "restart asked for on the command line", {"reason": reason})
    try:
        os.kill(supervisor, signal.SIGHUP)
    except (ProcessLookupError, PermissionError) as error:
        fail(f"the supervisor (process {supervisor}) cannot be asked: {error.strerror}")
    deadline = time.monotonic() + seconds
    while words.path.exists():  # the supervisor takes them when the old process has ended, or there was none
        if time.monotonic() > deadline:
            fail(f"the server process has not ended within {seconds:g} s; look at its log")
        time.sleep(_LOOK_SECONDS)
    click.echo("a new server process starts", err=True)


def _supervisor(settings: Settings) -> int:
    """The process that holds the data folder."""
    try:
        with lock_data_folder(settings.data_dir):
            fail(f"no server is running on data_dir {settings.data_dir}")
    except FileNotFoundError:
        fail(f"there is no data_dir {settings.data_dir}")
    except DataFolderTaken:
        found = holder(settings.data_dir)
    if found is None:
        fail("a server is running, but not which process it is; send SIGHUP to its supervisor")
    return found


def _headline(end: Exit) -> str:
    lived = (end.ended_ms - end.started_ms) / 1000
    return f"{local_time(end.ended_ms)}  {end.reason}: {end.summary} (process {end.pid}, lived {lived:,.0f} s)"


def _report(end: Exit) -> list[str]:
    lines = [_headline(end), *(f"    {text}" for text in circumstances(end.detail))]
    lines += [f"    {name}: {value}" for name, value in end.detail.items() if name not in EVIDENCE and value]
    for name, title in (("stderr", "stderr"), ("log", "log")):
        if end.detail.get(name):
            lines += [f"    {title}:", *(f"      {line}" for line in end.detail[name])]
    curve = end.detail.get("memory_mb")
    if curve:
        lines.append("    memory, seconds before the end → MB (GPU MB):")
        shown = [f"{ago:g} s → {held:g}" + (f" ({gpu:g})" if gpu else "") for ago, held, gpu in curve[-12:]]
        lines.append("      " + ", ".join(shown))
    return lines
