"""ygg token: who may ask over TCP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk

token = typer.Typer(
    help="Give tokens out to who asks over TCP; list them; take one back.", no_args_is_help=True
)
app.add_typer(token, name="token")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of who will ask with it.")]
HEADER = ("NAME", "SCOPE", "BEST", "RATE", "CREATED", "EXPIRES", "STATE")


@token.command()
def create(
    name: Name,
    scope: Annotated[
        Literal["read", "submit", "admin"],
        typer.Option(
            help="read: how the house is doing; submit: tasks of its own too; admin: everything."
        ),
    ] = "submit",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 90d, or a date. Default: never.")
    ] = None,
    max_priority: Annotated[
        str | None,
        typer.Option(metavar="PRIORITY", help="The best that its tasks may have. Default: any."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/TIME", help="Tasks it may submit, such as 60/min.")
    ] = None,
    json_: Json = False,
) -> None:
    """Make a token and print it: now and never again, since only its digest is kept."""
    asked = {"expires": expires, "max_priority": max_priority, "rate": rate}
    with desk(write=True) as found:
        given = {k: v for k, v in asked.items() if v is not None}
        body = found.create_token(name, scope=scope, **given)
    if json_:
        output.as_json(body)
        return
    output.data(body["token"])
    output.hint("this is the only time it is shown; send it as Authorization: Bearer ygg_…")


@token.command("list")
def list_(json_: Json = False) -> None:
    """List the tokens that were given out; nobody can list their texts."""
    with desk(write=False) as found:
        body = found.tokens()
    if json_:
        output.as_json(body)
    elif body["tokens"]:
        output.table(HEADER, [_row(t) for t in body["tokens"]])
    else:
        output.say("no tokens; ygg token create NAME makes one")


def _row(token: dict[str, Any]) -> tuple[str, ...]:
    return (
        token["name"], token["scope"], token["max_priority"], token["rate"] or "any",
        output.clock(token["created_at"]), output.clock(token["expires_at"]) or "never", token["state"],
    )  # fmt: skip


@token.command()
def secret(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where there is none yet.")],
    json_: Json = False,
) -> None:
    """Make a strong secret for JWTs in a file of its own, mode 0600: for api.jwt.secret_file and whoever signs them."""
    from ygg.ops.secret import make

    make(file)
    if json_:
        output.as_json({"schema": "ygg.token-secret/1", "file": str(file)})
        return
    output.data(str(file))
    output.hint("name it in hosts.yaml: api: {jwt: {secret_file: FILE}}; who signs needs the same")


@token.command()
def revoke(name: Name, json_: Json = False) -> None:
    """Take a token back: its next request is refused, its open streams end. Exit 3 where there is none."""
    with desk(write=True) as found:
        body = found.revoke_token(name)
    output.as_json(body) if json_ else output.data(f"{name} revoked")
