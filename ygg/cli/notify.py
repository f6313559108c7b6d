"""ygg notify: whether messages arrive."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app

if TYPE_CHECKING:
    from ygg.model.notices import Target
    from ygg.notify.testing import Tried

notify = typer.Typer(help="Whom ygg tells what happens.", no_args_is_help=True)
app.add_typer(notify, name="notify")


@notify.callback()
def _group() -> None:
    """Keeps `test` a command of its own."""


@notify.command("test")
def try_out(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[TARGET]", help="Its name. Default: all of hosts.yaml."),
    ] = None,
    json_: Json = False,
) -> None:
    """Send a test message to each target of `notify`, or to one; exit 1 where one is not reached. It is sent by this command,
    as this user, whatever quiet hours say."""
    from ygg.config import load_found
    from ygg.notify.testing import tried
    from ygg.ops.threads import run_without_waiting

    found = load_found(Globals.config, os.environ)
    answers = run_without_waiting(tried(_asked(found.notify, target)))
    if json_:
        output.as_json({"schema": "ygg.notify-test/1", "targets": [_body(a) for a in answers]})
    else:
        output.table(("TARGET", "KIND", "RESULT"), [_row(a) for a in answers])
    if any(a.error for a in answers):
        raise typer.Exit(1)


def _asked(targets: tuple[Target, ...], name: str | None) -> list[Target]:
    """Raises NotFound where there is none."""
    from ygg.errors import NotFound

    found = [t for t in targets if name in (None, t.name)]
    if not targets:
        raise NotFound(
            "hosts.yaml names nobody to tell", hint="see notify in docs/notifications.md"
        )
    if not found:
        raise NotFound(f"no target {name!r}", hint=f"targets: {', '.join(t.name for t in targets)}")
    return found


def _row(answer: Tried) -> tuple[str, ...]:
    target, error, took_s = answer
    said = f"not reached: {error}" if error else f"reached in {took_s:.2f} s"
    return target.name, target.kind, said


def _body(answer: Tried) -> dict[str, Any]:
    target, error, took_s = answer
    return {
        "name": target.name, "kind": target.kind, "reached": not error, "error": error or None,
        "took_s": round(took_s, 3),
    }  # fmt: skip
