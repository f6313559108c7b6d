"""ygg config: check, show, path, schema."""

from __future__ import annotations

import os

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app
from ygg.plain import counted

config = typer.Typer(help="Look at hosts.yaml.", no_args_is_help=True)
app.add_typer(config, name="config")


@config.command()
def check(json_: Json = False) -> None:
    """Say whether hosts.yaml is right; exit 78 when it is not."""
    from ygg.config import load_found
    from ygg.config.addresses import refuse_open
    from ygg.wire import tokens_hold

    found = load_found(Globals.config, os.environ, strict=True)
    refuse_open(found.api, lambda: tokens_hold(os.environ))
    notes = [*found.notes, *(f"${s.name}: {s.why}" for s in found.environment if not s.used)]
    slots = sum(h.slots for h in found.hosts.values())
    if json_:
        output.as_json(
            {
                "schema": "ygg.config-check/1",
                "ok": True,
                "path": str(found.source),
                "hosts": len(found.hosts),
                "slots": slots,
                "notes": notes,
            }
        )
    else:
        output.data(
            f"{found.source}: {counted(len(found.hosts), 'host')}, {counted(slots, 'slot')},"
            f" {counted(len(found.types), 'task type')}"
        )
        for note in notes:
            output.say(f"note: {note}")


@config.command()
def show(json_: Json = False) -> None:
    """Show the configuration in force, with every default filled in."""
    from ygg.config import describe, load_found

    body = describe(load_found(Globals.config, os.environ))
    if json_:
        output.as_json(body)
        return
    import yaml

    output.data(yaml.safe_dump(body, sort_keys=False, allow_unicode=True).rstrip())


@config.command()
def path(json_: Json = False) -> None:
    """Print which hosts.yaml is used."""
    from ygg.config import load_found

    found = load_found(Globals.config, os.environ)
    output.as_json({"path": str(found.source)}) if json_ else output.data(str(found.source))


@config.command()
def schema() -> None:
    """Print the JSON Schema of hosts.yaml, for editors."""
    from ygg.config import schema as schema_of

    output.as_json(schema_of())
