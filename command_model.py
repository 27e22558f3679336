"""The command that looks a model over before it serves: ``model check``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from command_base import errors_on_stderr, fail, with_settings
from config import Settings

if TYPE_CHECKING:
    from model.loader import Instance
    from model.measure import Point


@click.group()
def model() -> None:
    """Look at models."""


@model.command("check")
@click.argument("path", required=False)
@click.option("--largest", type=click.IntRange(1, 1024), default=64, show_default=True, help="Largest batch to try.")
@with_settings
def check(settings: Settings, path: str | None, largest: int) -> None:
    """Load the model at PATH (default: the settings'), run its golden inputs, measure it, and suggest settings.

    PATH is all that model.path may be. Beside a server that runs, both share the device, and figures are worse.
    """
    from model.fault import LoadFailure, Poisoned, brief
    from model.loader import Loader

    # The warm-up tries the largest batch, so that what does not fit is known before it is measured.
    chosen = settings.model.model_copy(update={"batch_size": largest} | ({"path": path} if path else {}))
    with errors_on_stderr():
        try:
            instance = Loader(chosen, settings.health, time.perf_counter).load(
                lambda doing: click.echo(f"  {doing} …", err=True)
            )
        except LoadFailure as failure:
            fail(f"{failure.reason}\n{failure.suggestion}")
        except Poisoned as poisoned:
            fail(f"{poisoned.reason}\nOnly a new process can use the device again.")
        _introduce(instance)
        if not instance.golden:
            fail("there is no golden input to measure with: define golden(), or put a golden.json beside the weights")
        try:
            points = _measure(instance, min(largest, instance.batch_limit))
        except Exception as error:  # noqa: BLE001 - whatever a model raises, its user wants one line and a status
            fail(f"the model fails on its own golden input: {brief(error)}")
    _suggest(points, settings.model.queue_size, instance, largest)


def _introduce(instance: Instance) -> None:
    held = f", {instance.gpu_bytes / 1e9:.2f} GB of its memory" if instance.device.is_gpu else ""
    click.echo(f"{instance.name}, version {instance.version}: loaded in {instance.load_seconds:.2f} s")
    click.echo(f"on {instance.device.name} as {instance.dtype or 'unknown type'}{held}")
    click.echo(f"golden inputs: {len(instance.golden)} passed\n")


def _measure(instance: Instance, largest: int) -> list[Point]:
    from model.measure import measure

    click.echo(f"{'batch':>5}  {'median':>10}  {'slowest':>10}  {'inputs/s':>10}  {'GPU memory':>10}")
    points = []
    for point in measure(instance, instance.golden[0][0], time.perf_counter, largest):
        points.append(point)
        memory = "-" if point.gpu_bytes is None else f"{point.gpu_bytes / 1e9:.2f} GB"
        click.echo(
            f"{point.size:>5}  {point.median_seconds * 1e3:>7.2f} ms  {point.slowest_seconds * 1e3:>7.2f} ms"
            f"  {point.per_second:>10.1f}  {memory:>10}"
        )
    return points


def _suggest(points: list[Point], queue_size: int, instance: Instance, largest: int) -> None:
    from model.measure import advise

    if points[-1].size * 2 <= largest:
        click.echo(f"a batch of {points[-1].size * 2} does not fit into memory")
    advice = advise(points, queue_size)
    click.echo(f"\nSuggested, for requests as large as the first golden input and a queue of {queue_size}:\n\nmodel:")
    click.echo(f"  batch_size: {advice.batch_size}")
    click.echo(f"  batch_window_seconds: {advice.batch_window_seconds:g}")
    click.echo(f"  deadline_seconds: {advice.deadline_seconds:g}")
    click.echo(f"  watchdog_seconds: {advice.watchdog_seconds:g}")
