"""Commands that change waiting and running tasks: cancel, retry, prioritize."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk
from ygg.errors import InvalidInput, YggError

OPEN = ("scheduled", "queued", "processing", "blocked")
TaskIds = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Task ids.")]


@app.command()
def cancel(
    task_ids: TaskIds = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", help="Every task in this state that has not ended; repeat for more."
        ),
    ] = None,
    type_: Annotated[
        str | None, typer.Option("-t", "--type", help="Every task of this type.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Every task with this label.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every task that has not ended.")] = False,
    queued_only: Annotated[
        bool, typer.Option("--queued-only", help="Leave a running task alone.")
    ] = False,
    json_: Json = False,
) -> None:
    """Cancel tasks; a running one is stopped on its server. Several filters are tasks that fit all of them."""
    filtered = bool(state or type_ or label)
    if bool(task_ids) + filtered + all_ != 1:
        raise InvalidInput(
            "name the tasks, or say which: --state, --type, --label, or --all", hint="ygg list"
        )
    if task_ids:
        _cancel_each(task_ids, running=not queued_only, json_=json_)
        return
    with desk(write=True) as found:
        body = found.cancel_many(
            states=_open(state), type=type_, label=label, running=not queued_only
        )
    _tell_cancelled(body["tasks"], json_)
    if not body["tasks"] and not json_:
        output.say("no such task waits or runs: ygg list")


def _open(states: list[str] | None) -> list[str] | None:
    """States that tasks can be cancelled in. Raises InvalidInput for others."""
    for state in states or ():
        if state not in OPEN:
            known = ", ".join(OPEN)
            raise InvalidInput(
                f"--state {state}: only tasks that have not ended can be cancelled: {known}"
            )
    return states


def _cancel_each(task_ids: list[str], *, running: bool, json_: bool) -> None:
    worst: YggError | None = None
    done = []
    with desk(write=True) as found:
        for task_id in task_ids:
            try:
                done.append(found.cancel(task_id, running=running))
            except YggError as error:
                output.say(f"{task_id}: {error}")
                worst = error
    _tell_cancelled(done, json_)
    if worst is not None:
        raise typer.Exit(worst.exit_code)


def _tell_cancelled(tasks: list[dict[str, Any]], json_: bool) -> None:
    if json_:
        output.as_json({"schema": "ygg.tasks/1", "tasks": tasks})
        return
    for task in tasks:
        stops = task["state"] == "processing"
        output.data(f"{task['id']} {'is being stopped' if stops else task['state']}")


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
