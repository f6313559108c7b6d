"""ygg service: install, uninstall, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ygg.cli import output
from ygg.cli.app import app

service = typer.Typer(help="Run ygg as a systemd service.", no_args_is_help=True)
app.add_typer(service, name="service")

User = Annotated[
    bool, typer.Option("--user", help="A service of your own instead of the machine's.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the steps and do nothing.")]
Root = Annotated[
    str,
    typer.Option(
        "--root", metavar="DIR", help="Install into a system image there; starts nothing."
    ),
]
FromRoot = Annotated[
    str, typer.Option("--root", metavar="DIR", help="Remove from a system image there.")
]


@service.command()
def install(user: User = False, dry_run: DryRun = False, root: Root = "/") -> None:
    """Write the unit, create user and group ygg, enable and start the service."""
    from ygg.ops.service.installing import Target
    from ygg.ops.service.installing import install as run

    run(Target(user, Path(root).absolute()), output.data, dry_run=dry_run)


@service.command()
def uninstall(user: User = False, dry_run: DryRun = False, root: FromRoot = "/") -> None:
    """Stop and remove the service; tasks and hosts.yaml stay."""
    from ygg.ops.service.installing import Target
    from ygg.ops.service.installing import uninstall as run

    run(Target(user, Path(root).absolute()), output.data, dry_run=dry_run)


@service.command("print")
def print_(
    user: User = False,
    socket: Annotated[bool, typer.Option("--socket", help="The unit of its socket.")] = False,
) -> None:
    """Print the unit file for the ygg that is running."""
    from ygg.ops.service.installing import running_program, socket_text, unit_text

    text = socket_text(user=user) if socket else unit_text(running_program().command, user=user)
    output.data(text.rstrip())
