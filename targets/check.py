"""What is wrong with targets beyond the shape of their settings, told before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import re2

from config_target import TargetSettings
from targets.logfile.check import problems as log_problems
from targets.scrape.relabel import RelabelError, Relabelling
from targets.target import Target


def problems(targets: Sequence[TargetSettings]) -> list[str]:
    """A line for each thing that is wrong, naming the setting; none where all is well."""
    return [*(line for target in targets for line in _of_target(target)), *log_problems(targets)]


def _of_target(target: TargetSettings) -> Iterator[str]:
    where = f"targets.{target.name}"
    if target.http is not None and target.http.json_path is not None:
        from targets.probe.condition import judge  # its library is slow to import, and few have such a condition

        verdict, why = judge(target.http.json_path, b"{}")
        if verdict is None:
            yield f"{where}.http.json: {why}"
    if target.process is not None and target.process.command is not None:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(target.process.command, options)
        except re2.error as error:
            yield f"{where}.process.command: not an RE2 expression: {error}"
    for place, scrape in enumerate(target.scrape):
        try:
            Relabelling(scrape.relabel)
        except RelabelError as error:
            yield f"{where}.scrape.{place}.relabel: {error}"
    yield from _of_remedies(target, where)


def _of_remedies(target: TargetSettings, where: str) -> Iterator[str]:
    """A ladder that waits for what can never be."""
    for place, rung in enumerate(target.remedies):
        if rung.after_fails is not None and rung.pattern is None and not Target(target).probes:
            yield f"{where}.remedies.{place}.after_fails: it has no probe that could fail"
        if rung.pattern is not None and not target.log:
            yield f"{where}.remedies.{place}.pattern: it has no log in which a pattern could be found"
