"""The commands that look at rule files: ``check-rules`` and ``test-rules``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from command_base import USAGE, errors_on_stderr


@click.command("check-rules")
@click.argument("file", type=click.Path(path_type=Path))
def check_rules(file: Path) -> None:
    """Check a Prometheus rule file: mistakes (exit status 2) and warnings (exit status 0)."""
    from alerts import check
    from alerts.rule import load_stock
    from collectors.catalogue import METRICS

    recorded = {rule.name for group in load_stock() for rule in group.rules}
    problems = check.check_rules(file, {*METRICS, *recorded})
    for problem in problems:
        click.echo(str(problem))
    if any(problem.level == "error" for problem in problems):
        sys.exit(USAGE)
    click.echo(f"{file}: no mistakes, {len(problems)} warnings")


@click.command("test-rules")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE…")
def test_rules(files: tuple[Path, ...]) -> None:
    """Run tests of rules, as `promtool test rules` does: exit status 1 if one fails, 2 if a file cannot be used."""
    from alerts.ruling.ruletest import run_tests
    from alerts.ruling.testfile import BadTests

    status = 0
    for file in files:
        click.echo(f"{file}")
        try:
            with errors_on_stderr():
                report = run_tests(file)
        except BadTests as error:
            click.echo(f"  {error}")
            status = USAGE
            continue
        for warning in report.warnings:
            click.echo(f"  warning: {warning}")
        for failure in report.failures:
            click.echo(f"  {failure}")
        click.echo(f"  {len(report.failures)} failed" if report.failures else "  passed")
        if report.failures:
            status = max(status, 1)
    sys.exit(status)
