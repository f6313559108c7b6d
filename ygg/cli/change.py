"""Commands that change waiting and running tasks: cancel, retry, prioritize."""

from __future__ import annotations

from typing import Annotated

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk
from ygg.errors import InvalidInput, YggError

TaskIds = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Task ids.")]


@app.command()
def cancel(
    task_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Task ids.")],
    queued_only: Annotated[
        bool, typer.Option("--queued-only", help="Leave a running task alone.")
    ] = False,
    json_: Json = False,
) -> None:
    """Cancel tasks; a running one is stopped on its server."""
    worst: YggError | None = None
    done = []
    with desk(write=True) as found:
        for task_id in task_ids:
            try:
                done.append(found.cancel(task_id, running=not queued_only))
            except YggError as error:
                output.say(f"{task_id}: {error}")
                worst = error
    if json_:
        output.as_json({"schema": "ygg.tasks/1", "tasks": done})
    else:
        for task in done:
            output.data(f"{task['id']} {task['state']}")
    if worst is not None:
        raise typer.Exit(worst.exit_code)


@app.command()
def retry(
    task_ids: TaskIds = None,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed task.")] = False,
    blocked: Annotated[bool, typer.Option("--blocked", help="Every blocked task.")] = False,
    json_: Json = False,
) -> None:
    """Queue failed, cancelled, expired or blocked tasks again, with fresh budgets; a backing-off one now."""
    states = [name for name, wanted in (("failed", failed), ("blocked", blocked)) if wanted]
    if bool(states) == bool(task_ids):
        raise InvalidInput(
            "name the tasks, or give --failed or --blocked", hint="ygg list --state failed"
        )
    with desk(write=True) as found:
        body = found.retry(states=states) if states else found.retry(task_ids)
    if json_:
        output.as_json(body)
    else:
        for task_id in body["retried"]:
            output.data(task_id)
        if not body["retried"] and not body["errors"]:
            output.say("nothing to retry")
    for problem in body["errors"]:
        output.say(f"{problem['id']}: {problem['error']['message']}")
    if body["errors"]:
        raise typer.Exit(1)


@app.command()
def prioritize(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="A task id.")],
    priority: Annotated[str, typer.Argument(metavar="P", help="0 to 4, or a name.")],
    json_: Json = False,
) -> None:
    """Change the priority of a task that has not ended."""
    with desk(write=True) as found:
        task = found.prioritize(task_id, priority)
    output.as_json(task) if json_ else output.data(f"{task['id']} P{task['priority']}")
