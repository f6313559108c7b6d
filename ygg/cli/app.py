"""The command tree and its global options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from ygg.desk import Desk

#: Commands as `--help` lists them: the daily ones first.
ORDER = (
    "submit", "list", "show", "result", "wait", "why", "cancel", "retry", "prioritize", "batch", "status", "top",
    "queue", "hosts", "tune", "models", "logs", "token", "notify", "loop", "reload", "demo", "init", "doctor", "config", "backup",
    "service", "completion",
)  # fmt: skip


class InOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=ORDER.index)


app = typer.Typer(
    cls=InOrder,
    name="ygg",
    help="One durable, priority-sorted task queue for every GPU in the house.",
    epilog=(
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 69 daemon or store unreachable,"
        " 75 wait timed out, 77 not allowed, 78 bad configuration, 130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


class Globals:
    """Options given before the verb."""

    config: str | None = None
    socket: str | None = None
    debug: bool = False


def debugging() -> bool:
    return Globals.debug


def _version(wanted: bool) -> None:
    if wanted:
        from ygg import __version__

        typer.echo(f"ygg {__version__}")
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="hosts.yaml to use.")
    ] = None,
    socket: Annotated[
        str | None, typer.Option("--socket", metavar="PATH", help="Socket of the daemon.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of bugs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    Globals.config, Globals.socket, Globals.debug = config, socket, debug


@contextmanager
def desk(*, write: bool) -> Iterator[Desk]:
    """The running daemon, or with none the database itself."""
    import os

    from ygg.cli.output import say
    from ygg.client import connect

    _named_config_is_there()
    found: Any = connect(Globals.socket, os.environ, slow=say)
    if found is None:
        from ygg.wire import offline_desk

        found = offline_desk(Globals.config, write=write)
    try:
        yield found
    finally:
        found.close()


def _named_config_is_there() -> None:
    """A daemon has read its own hosts.yaml; whoever names one that does not exist means another. Raises ConfigError."""
    if Globals.config is not None:
        from pathlib import Path

        from ygg.errors import ConfigError

        if not Path(Globals.config).exists():
            raise ConfigError(f"{Globals.config}: no such file", hint="ygg config path")


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

for _part in ("submit", "read", "change", "queue", "hosts", "models", "tune", "top", "run", "init",
              "doctor", "config", "backup", "service", "completion", "logs", "token", "batch", "notify"):  # fmt: skip
    import_module(f"ygg.cli.{_part}")  # each adds its commands
