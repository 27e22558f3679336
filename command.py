"""The command line. Each command imports what it needs when it runs, so that the supervisor stays light."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from command_backup import backup, restore
from command_base import database, fail, local_time, with_settings
from command_history import export, import_command
from command_model import model
from command_recovery import restart, why
from command_report import bundle, report
from command_rules import check_rules, test_rules
from config import Settings, SettingsError, is_loopback
from supervisor import DataFolderTaken, Server, run


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="The settings file; default: wakeless.yaml, if there.")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Wakeless serves your GPU model, watches it, heals it and shows it.

    Without a command it serves.
    """
    context.obj = config
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@with_settings
def serve(settings: Settings) -> None:
    """Serve the model and the dashboard (the default)."""
    _prepare(settings)
    try:
        run(settings, _ServerProcess(settings))
    except DataFolderTaken as error:
        fail(str(error))


class _ServerProcess(Server):
    """What the supervisor calls inside the server process, after the fork."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def load(self) -> Any:
        from alerts.routing.error import RoutingError
        from alerts.rule import RuleError
        from dashboard.express import Express
        from dashboard.panels import PanelError
        from server import Application
        from storage.error import StorageError

        try:
            self.application = Application(
                self.settings, safe_mode=self.safe_mode, supervised=True, blackbox=self.blackbox
            )
        except (SettingsError, RuleError, RoutingError, PanelError, StorageError) as error:
            fail(str(error))
        self.lane = Express(self.application.flask)
        return self.application.flask

    def ready(self, addresses: list[Any], age: int, terminal: TextIO) -> None:
        self.application.start()
        self.application.greet(addresses[0], first_process=age == 1, terminal=terminal)

    def drain(self) -> None:
        self.application.drain()

    def close(self) -> None:
        self.application.close()


def _prepare(settings: Settings) -> None:
    """Make the data folder and refuse what would be unsafe, before anything starts."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(settings.data_dir, os.W_OK | os.X_OK):
            raise PermissionError(0, "it is not writable")
    except OSError as error:
        fail(f"data_dir {settings.data_dir} cannot be used: {error.strerror}")
    _refuse_taken_port(settings.server.host, settings.server.port)
    first_start = not (settings.data_dir / "wakeless.db").exists()
    if not is_loopback(settings.server.host) and first_start and settings.admin_password is None:
        fail(
            f"server.host is {settings.server.host}, which others can reach, but no admin password is set: "
            "set WAKELESS_ADMIN_PASSWORD for the first start, or bind to 127.0.0.1"
        )


def _refuse_taken_port(host: str, port: int) -> None:
    """Say so at once when the address cannot be had; gunicorn would try for five seconds and say it ten times."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = "another program uses it" if error.errno == errno.EADDRINUSE else str(error.strerror).lower()
        fail(f"cannot listen on server.host {host}, server.port {port}: {reason}")


@main.command("check-config")
@with_settings
def check_config(settings: Settings) -> None:
    """Read the settings and every file they name, and say whether they are right."""
    from alerts.delivery.service import AppriseService
    from alerts.routing.error import RoutingError
    from alerts.routing.load import load_routing
    from alerts.rule import RuleError, load_rules
    from dashboard.panels import PanelError, load_panels
    from targets.check import problems

    for line in problems(settings.targets):
        fail(line)
    try:
        for path in settings.alerts.rules:
            load_rules(path)
        routing = load_routing(settings.alerts.routing) if settings.alerts.routing else None
        load_panels(settings.panels)
    except (RuleError, RoutingError, PanelError) as error:
        fail(str(error))
    if routing is not None:
        for line in routing.unsupported:
            click.echo(f"not supported: {routing.file}: {line}")
        for line in routing.notes:
            click.echo(f"note: {routing.file}: {line}")
    for key, channels in (("alerts", settings.alerts.channels), ("supervisor", settings.supervisor.channels)):
        for place, url in enumerate(channels, 1):
            problem = AppriseService(url.get_secret_value()).check()
            if problem:
                fail(f"{key}.channels, entry {place}: {problem}")
    click.echo("the settings are right")


@main.group()
def token() -> None:
    """Tokens for programs (Authorization: Bearer …)."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]), default="viewer", show_default=True)
@with_settings
def token_create(settings: Settings, name: str, role: str) -> None:
    """Make a token and print it, alone, on stdout. It is not shown again."""
    with _accounts(settings) as accounts:
        click.echo(accounts.create_token(name, role))


@token.command("list")
@with_settings
def token_list(settings: Settings) -> None:
    """List tokens: name, role, when made, when last used."""
    with _accounts(settings) as accounts:
        for item in accounts.tokens():
            used = local_time(item.used_ms) if item.used_ms else "never used"
            click.echo(f"{item.name}\t{item.role}\t{local_time(item.created_ms)}\t{used}")


@token.command("revoke")
@click.argument("name")
@with_settings
def token_revoke(settings: Settings, name: str) -> None:
    """End a token at once."""
    with _accounts(settings) as accounts:
        accounts.revoke_token(name)
        click.echo(f"token {name} is revoked", err=True)


@main.group()
def user() -> None:
    """People who may log in."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "operator", "admin"]), default="viewer", show_default=True)
@click.password_option(help="Asked for when not given.")
@with_settings
def user_add(settings: Settings, name: str, role: str, password: str) -> None:
    """Add a person."""
    with _accounts(settings) as accounts:
        accounts.create_user(name, password, role)
        click.echo(f"{name} may log in as {role}", err=True)


@user.command("list")
@with_settings
def user_list(settings: Settings) -> None:
    """List people: name and role."""
    with _accounts(settings) as accounts:
        for item in accounts.users():
            click.echo(f"{item.name}\t{item.role}" + ("\tdisabled" if item.disabled else ""))


@user.command("password")
@click.argument("name")
@click.password_option(help="Asked for when not given.")
@with_settings
def user_password(settings: Settings, name: str, password: str) -> None:
    """Set a new password; ends all of the person's sessions."""
    with _accounts(settings) as accounts:
        accounts.set_password(name, password)
        click.echo(f"the password of {name} is changed", err=True)


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(["viewer", "operator", "admin"]))
@with_settings
def user_role(settings: Settings, name: str, role: str) -> None:
    """Give a person another role; ends the person's sessions."""
    with _accounts(settings) as accounts:
        accounts.set_role(name, role)
        click.echo(f"{name} is {role} now", err=True)


@user.command("remove")
@click.argument("name")
@with_settings
def user_remove(settings: Settings, name: str) -> None:
    """Remove a person; the last admin stays."""
    with _accounts(settings) as accounts:
        accounts.remove_user(name)
        click.echo(f"{name} is removed", err=True)


@user.command("link")
@click.argument("name", default="admin")
@with_settings
def user_link(settings: Settings, name: str) -> None:
    """Print a one-time login link for a person."""
    with _accounts(settings) as accounts:
        text = accounts.create_link(name, time.time_ns() // 1_000_000)
        host = settings.server.host if is_loopback(settings.server.host) else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        click.echo(f"http://{host}:{settings.server.port}/login/link/{text}")


@contextmanager
def _accounts(settings: Settings) -> Iterator[Any]:
    from storage.account import AccountError, Accounts

    with database(settings) as opened:
        try:
            yield Accounts(opened)
        except AccountError as error:
            fail(str(error))


main.add_command(backup)
main.add_command(restore)
main.add_command(export)
main.add_command(import_command)
main.add_command(model)
main.add_command(restart)
main.add_command(why)
main.add_command(check_rules)
main.add_command(test_rules)
main.add_command(report)
main.add_command(bundle)
