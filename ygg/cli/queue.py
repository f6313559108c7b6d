"""ygg queue: how much of what waits; pause and resume all of it."""

from __future__ import annotations

from typing import Any

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk

queue = typer.Typer(help="Count the tasks; stop dispatch, and start it again.")
app.add_typer(queue, name="queue")

STATES = (
    "queued", "scheduled", "processing", "blocked", "completed", "failed", "cancelled", "expired",
)  # fmt: skip
NOBODY = "no daemon is running: tasks start once one does: ygg loop --async"


@queue.callback(invoke_without_command=True)
def show(ctx: typer.Context, json_: Json = False) -> None:
    """Count the tasks by priority and state, and say whether any will start."""
    if ctx.invoked_subcommand is not None:
        return
    with desk(write=False) as found:
        body, online = found.queue(), found.online
    if json_:
        output.as_json(body)
        return
    output.data(_dispatch(body))
    header = ("PRIORITY", *(s.upper() for s in STATES))
    output.table(header, [_row(p, by) for p, by in body["priorities"].items()])
    if not online:
        output.say(NOBODY)


def _dispatch(body: dict[str, Any]) -> str:
    if body["draining"]:
        return "dispatch draining: the daemon is shutting down"
    return f"dispatch {'paused: ygg queue resume' if body['paused'] else 'on'}"


def _row(priority: str, by_state: dict[str, int]) -> tuple[str, ...]:
    return (priority, *(str(by_state[s]) for s in STATES))


@queue.command()
def pause(json_: Json = False) -> None:
    """Start no task on any host; what runs goes on, and submits are taken."""
    _hold(True, json_)
    output.say("running calls go on; no task starts until: ygg queue resume")


@queue.command()
def resume(json_: Json = False) -> None:
    """End a pause."""
    _hold(False, json_)


def _hold(paused: bool, as_json: bool) -> None:
    with desk(write=True) as found:
        body, online = found.pause() if paused else found.resume(), found.online
    output.as_json(body) if as_json else output.data("paused" if paused else "resumed")
    if not online:
        output.say(NOBODY)
