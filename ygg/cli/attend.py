"""Waiting for tasks, and their answers."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ygg.cli import output
from ygg.desk import OVER
from ygg.errors import Interrupted, InvalidInput, TaskFailed, WaitTimeout
from ygg.model.reasons import pull
from ygg.plain import counted

if TYPE_CHECKING:
    from ygg.desk import Desk

FIRST = 6  #: numbers of a vector that are shown


def wait(found: Desk, ids: Sequence[str], timeout: str | None) -> list[dict[str, Any]]:
    """Until all have ended or are blocked. WaitTimeout, Interrupted: the tasks stay queued."""
    give_up = time.monotonic() + _seconds(timeout)
    return [_wait_one(found, task_id, give_up) for task_id in ids]


def wait_batch(found: Desk, batch_id: str, timeout: str | None, *, as_json: bool) -> None:
    """Until none of it runs or waits; how it ended. TaskFailed where not all of it completed."""
    from ygg.cli.batch import tell

    try:
        body = found.wait_batch(batch_id, _seconds(timeout))
    except KeyboardInterrupt:
        hint = f"ygg batch cancel {batch_id} ends it"
        raise Interrupted(f"stopped waiting; batch {batch_id} goes on", hint=hint) from None
    id_ = body["batch_id"]
    if not body["over"]:
        text = f"batch {id_} is {body['progress_percent']} % done"
        raise WaitTimeout(text, hint=f"ygg batch show {id_}")
    output.as_json(body) if as_json else tell(body)
    bad = body["total_tasks"] - body["completed_tasks"]
    if bad:
        steps = f"ygg batch show {id_}; ygg batch retry {id_}"
        raise TaskFailed(f"{counted(bad, 'task')} of batch {id_} did not complete", hint=steps)


def _wait_one(found: Desk, task_id: str, give_up: float) -> dict[str, Any]:
    try:
        task = found.wait(task_id, max(0.0, give_up - time.monotonic()))
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped waiting; task {task_id} stays in the queue",
            hint=f"ygg cancel {task_id} ends it",
        ) from None
    if task["state"] not in OVER:
        raise WaitTimeout(
            f"task {task['id']} is still {task['state']}", hint=f"ygg why {task['id']}"
        )
    return task


def _seconds(text: str | None) -> float:
    """Without a limit for ever."""
    if text is None:
        return math.inf
    from ygg.intake.times import written_seconds

    try:
        return written_seconds(text)
    except ValueError:
        raise InvalidInput(f"no duration: {text}", hint="90, 10m or 2h") from None


def print_result(found: Desk, task_id: str, *, as_json: bool) -> None:
    """The answer on stdout; TaskFailed when there is none."""
    body = found.result(task_id)
    if as_json:
        output.as_json(body)
    elif body["result"] is not None:
        text = shown(body["result"])
        output.answer(text if text.endswith("\n") else text + "\n")
        if "embeddings" in body["result"]:
            output.hint(f"all numbers: ygg result {task_id} --json, or -o FILE")
    if body["state"] != "completed":
        raise failed(body)


def shown(result: dict[str, Any]) -> str:
    """The message as a person reads it: its text, a line for each tool call, and for each vector one
    with its first numbers."""
    lines = [result["content"]] if result["content"] else []
    lines += [_call(call["function"]) for call in result.get("tool_calls", ())]
    vectors = result.get("embeddings", ())
    lines += [_vector(n, vector) for n, vector in enumerate(vectors, 1)]
    return "\n".join(lines)


def _call(function: dict[str, str]) -> str:
    return f"tool call: {function['name']} {function['arguments']}"


def _vector(number: int, vector: Sequence[float]) -> str:
    first = ", ".join(f"{n:.4g}" for n in vector[:FIRST])
    more = ", …" if len(vector) > FIRST else ""
    return f"vector {number}: {len(vector)} numbers: {first}{more}"


def failed(body: dict[str, Any]) -> TaskFailed:
    task_id = body.get("task_id") or body.get("id")
    detail = f": {body['error']}" if body.get("error") else ""
    steps = "" if body["state"] == "cancelled" else f"ygg show {task_id}; ygg retry {task_id}"
    first = pull(body.get("host") or "", body.get("model") or "", body.get("error") or "")
    steps = f"{first}; then {steps}" if first else steps
    return TaskFailed(f"task {task_id} is {body['state']} ({body['reason']}){detail}", hint=steps)


def follow(found: Desk, task_id: str) -> None:
    """Print pieces as they come. Another attempt starts on a new line, with a word on stderr."""
    try:
        for event in found.follow(task_id):
            _show(event)
            if event["event"] == "end" and event["state"] != "completed":
                raise failed(event)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped following; task {task_id} goes on", hint=f"ygg cancel {task_id} ends it"
        ) from None


def _show(event: dict[str, Any]) -> None:
    if event["event"] == "attempt" and event["attempt"] > 1:
        sys.stdout.write("\n")
        output.say(f"attempt {event['attempt']} on {event['host']}: the answer starts over")
    elif event["event"] == "piece":
        output.answer(_said(event))
        sys.stdout.flush()
    elif event["event"] == "end":
        sys.stdout.write("\n")


def _said(piece: dict[str, Any]) -> str:
    """The text of a piece, and its tool calls: each on a line that grows with its arguments."""
    functions = [call["function"] for call in piece.get("tool_calls", ())]
    names = (f"\ntool call: {f['name']} " if f["name"] else "" for f in functions)
    parts = (name + f["arguments"] for name, f in zip(names, functions, strict=True))
    return "".join([piece["content"], *parts])
