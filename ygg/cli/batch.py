"""ygg batch: tasks that were submitted together."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk
from ygg.plain import counted

batch = typer.Typer(
    help="Look after tasks that were submitted together: ygg submit --jsonl FILE --batch.",
    no_args_is_help=True,
)
app.add_typer(batch, name="batch")

BatchId = Annotated[str, typer.Argument(metavar="ID", help="A batch id, or its end.")]
HEADER = ("ID", "TASKS", "DONE", "FAILED", "CANCELLED", "RUNNING", "WAITING", "CREATED")
WORDS = ("completed", "failed", "cancelled", "processing", "queued")


@batch.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", help="At most this many, newest first.")] = 20,
    json_: Json = False,
) -> None:
    """List the batches, newest first."""
    with desk(write=False) as found:
        body = found.batches(limit=limit)
    if json_:
        output.as_json(body)
    elif body["batches"]:
        output.table(HEADER, [_row(b) for b in body["batches"]])
    else:
        output.say("no batches; ygg submit --jsonl FILE --batch makes one")


def _row(body: dict[str, Any]) -> tuple[str, ...]:
    numbers = (str(body[f"{word}_tasks"]) for word in WORDS)
    created = output.clock(body["created_at"])
    return (body["batch_id"], str(body["total_tasks"]), *numbers, created)


@batch.command()
def show(batch_id: BatchId, json_: Json = False) -> None:
    """Show how far a batch is, and its tasks."""
    with desk(write=False) as found:
        body = found.batch(batch_id)
    if json_:
        output.as_json(body)
        return
    tell(body)
    output.data("")
    for task_id, status in body["task_statuses"].items():
        output.data(f"{task_id} {status}")


def tell(body: dict[str, Any]) -> None:
    """In a few lines."""
    from ygg.view.text import duration

    how = "" if body["process_in_parallel"] else f", one after another, on failure {body['on_failure']}"  # fmt: skip
    output.field("batch", body["batch_id"], 9)
    output.field("tasks", f"{body['total_tasks']}{how}", 9)
    done = "  ".join(f"{word} {n}" for word in WORDS if (n := body[f"{word}_tasks"]))
    left = body["estimated_completion_ms"]
    soon = f", done in ~{duration(left / 1000)}" if left and not body["over"] else ""
    output.field("so far", f"{body['progress_percent']} %  {done}{soon}", 9)


@batch.command()
def cancel(batch_id: BatchId, json_: Json = False) -> None:
    """Cancel all of a batch that has not ended."""
    with desk(write=True) as found:
        body = found.cancel_batch(batch_id)
    if json_:
        output.as_json(body)
        return
    output.data(f"{body['batch_id']}: {counted(body['cancelled_tasks'], 'task')} cancelled")


@batch.command()
def retry(batch_id: BatchId, json_: Json = False) -> None:
    """Queue all of a batch that failed, expired, is blocked or was cancelled again."""
    with desk(write=True) as found:
        body = found.retry_batch(batch_id)
    if json_:
        output.as_json(body)
        return
    waits = body["queued_tasks"] + body["processing_tasks"]
    output.data(f"{body['batch_id']}: {counted(waits, 'task')} to do")
