"""ygg submit: one task; or many, of a file (`submit_file`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ygg import files
from ygg.cli import output
from ygg.cli.app import Json, app, desk
from ygg.cli.submit_file import batch_of, bulk, opened, refusal_of, warn
from ygg.desk import error_of
from ygg.errors import InvalidInput
from ygg.intake.parsing import DOCUMENT_MAX
from ygg.multipart import Form

if TYPE_CHECKING:
    from ygg.desk import Desk

FLAGS = {"labels": "label"}  #: where a field has another name than its option


@app.command()
def submit(
    text: Annotated[str | None, typer.Argument(help="The prompt; - reads it from stdin.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Read the prompt from a file.")
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(
            "--jsonl", metavar="FILE", help="Submit one task per line of JSON; - is stdin."
        ),
    ] = None,
    attach: Annotated[
        str | None,
        typer.Option(
            "--attach",
            metavar="FILE",
            help="A text, an image or a recording that goes with it; - is stdin.",
        ),
    ] = None,
    atomic: Annotated[
        bool, typer.Option("--atomic", help="With --jsonl: all lines or none.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch", help="With --jsonl: all lines or none, as one batch; prints its id."
        ),
    ] = False,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="With --batch: one task after another.")
    ] = False,
    on_failure: Annotated[
        str | None,
        typer.Option(
            "--on-failure", help="With --sequential: stop (the default) or continue with the rest."
        ),
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="A bare prompt instead of a chat of one message.")
    ] = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help="Let the model go on from the text, without its template."),
    ] = False,
    embed: Annotated[bool, typer.Option("--embed", help="Turn the text into a vector.")] = False,
    type_: Annotated[
        str | None, typer.Option("-t", "--type", help="Task type; else found by label and title.")
    ] = None,
    priority: Annotated[
        str,
        typer.Option("-p", "--priority", help="0 CRITICAL, 1 HIGH, 2 NORMAL, 3 LOW, 4 BACKLOG."),
    ] = "2",
    title: Annotated[str | None, typer.Option("--title", help="A short name for lists.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="A label; repeat for more.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Run with this model only.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Run on this host only.")] = None,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", help="required, preferred or never. Default: as the type says."),
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option(
            "--content-type", help="What it works on: text, audio, pdf, ... (GPU or CPU)."
        ),
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", help="System prompt; replaces the type's.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="Longest answer, in tokens.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Sampling temperature, 0 to 5.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Time for one attempt: 90, 10m, 2h.")
    ] = None,
    not_before: Annotated[
        str | None, typer.Option("--not-before", help="Start no sooner: 2h, or 2026-01-31T18:00.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="Expire when not done by then.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option("--retention", help="Keep it so long once it has ended: 1h, 30d.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Same key and task: the same id again.")
    ] = None,
    cache: Annotated[
        bool,
        typer.Option("--cache", help="An identical task's answer will do, if it is recent enough."),
    ] = False,
    coalesce: Annotated[
        bool, typer.Option("--coalesce", help="Share the run of an identical task not yet ended.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end and print the answer.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print the answer as it is generated.")
    ] = False,
    wait_timeout: Annotated[
        str | None, typer.Option("--wait-timeout", help="Wait no longer than this.")
    ] = None,
    json_: Json = False,
) -> None:
    """Queue a task and print its id."""
    operation = _operation(generate=generate, complete=complete, embed=embed)
    if follow and embed:
        raise InvalidInput("a vector is not streamed: --embed takes no --follow", hint="--wait")
    doc = {
        "operation": operation, "type": type_, "priority": priority, "title": title,
        "labels": label or None, "model": model, "host": host, "system": system,
        "max_tokens": max_tokens, "temperature": temperature, "timeout": timeout,
        "not_before": not_before, "deadline": deadline, "idempotency_key": idempotency_key,
        "gpu": gpu, "content_type": content_type, "retention": retention,
        "cache": cache or None, "coalesce": coalesce or None,
    }  # fmt: skip
    given = {k: v for k, v in doc.items() if v is not None}
    if jsonl is not None:
        if text is not None or file is not None or attach is not None:
            raise InvalidInput("--jsonl takes no prompt beside it", hint="ygg submit --jsonl FILE")
        _lines_say(given, wait=wait, follow=follow)
        if batch:
            batch_of(jsonl, sequential=sequential, on_failure=on_failure, as_json=json_)
            return
        bulk(jsonl, atomic=atomic, as_json=json_)
        return
    if batch:
        raise InvalidInput(
            "--batch takes its tasks from a file", hint="ygg submit --jsonl FILE --batch"
        )
    if attach is not None and operation is not None:
        raise InvalidInput(f"--attach takes no --{operation}", hint="it is chatted about")
    if attach is None or text or file:
        given["input" if embed else "prompt"] = _prompt(text, file)
    with desk(write=True) as found:
        answer = _one(found, given) if attach is None else _attached(found, attach, given)
        if not (wait or follow):
            output.as_json(answer) if json_ else output.data(answer["id"])
            _next_steps(found, answer)
            return
        _attend(found, answer["id"], follow=follow, timeout=wait_timeout, as_json=json_)


def _operation(**asked: bool) -> str | None:
    """The operation asked for, None for a chat."""
    named = [name for name, given in asked.items() if given]
    if len(named) > 1:
        flags = " and ".join(f"--{name}" for name in named)
        raise InvalidInput(f"{flags} exclude each other", hint="give one of them")
    return named[0] if named else None


def _lines_say(given: dict[str, Any], **attending: bool) -> None:
    """Refuse, beside a file of tasks, what its lines say for themselves, and what is for one task."""
    for key, value in given.items():
        if (key, value) == ("priority", "2"):  # the default, which a line has too
            continue
        flag = value if key == "operation" else FLAGS.get(key, key.replace("_", "-"))
        raise InvalidInput(
            f"--jsonl takes no --{flag}: each line names its {key}",
            hint=f'{{"{key}": {json.dumps(value)}, …}}',
        )
    for flag in (name for name, asked in attending.items() if asked):
        raise InvalidInput(f"--jsonl takes no --{flag}", hint="ygg wait ID…, of the ids it prints")


def _one(found: Desk, doc: dict[str, Any]) -> dict[str, Any]:
    (answer,) = found.submit([doc])
    refusal = refusal_of(answer)
    if refusal is not None:
        raise error_of(refusal)
    warn(answer, set())
    return answer


def _attached(found: Desk, name: str, doc: dict[str, Any]) -> dict[str, Any]:
    """The task of a file; the rest of the document says what is asked of it."""
    said = {"gpu": doc.pop("gpu", None), "source_type": doc.pop("content_type", None)}
    kind = doc.pop("type", None)
    said["metadata"] = json.dumps(doc if kind is None else {**doc, "task_type": kind})
    fields = {key: text for key, text in said.items() if text is not None}
    with opened(name) as stream:
        form = Form(fields, stream, "stdin" if name == "-" else Path(name).name)
        answer = found.process_file(form, wait=0)
    return {"id": answer["task_id"], **answer}


def _next_steps(found: Desk, answer: dict[str, Any]) -> None:
    happened = _happened(found, answer)
    if happened:
        output.hint(happened) if found.online else output.say(happened)
    if answer.get("cached"):
        return
    if not found.online:
        output.say("no daemon is running; start it: ygg loop --async")
    output.hint(f"ygg wait {answer['id']}")


def _happened(found: Desk, answer: dict[str, Any]) -> str:
    """What became of a submit; nothing where it is what is expected."""
    if answer.get("cached"):
        return f"answered from the cache: ygg result {answer['id']}"
    if answer.get("coalesced"):
        return "an identical task waits or runs: this is its id, nothing new was queued"
    if answer.get("existing"):
        return "this key was submitted before: nothing new was queued"
    return (
        "" if found.online else f"stored in {found.where.removesuffix(' (no daemon is running)')}"
    )


def _attend(found: Desk, task_id: str, *, follow: bool, timeout: str | None, as_json: bool) -> None:
    from ygg.cli import attend

    if not found.online:
        output.say("no daemon is running: the task waits until one is started")
    if follow and not as_json:
        attend.follow(found, task_id)
    else:
        attend.wait(found, [task_id], timeout)
        attend.print_result(found, task_id, as_json=as_json)


def _prompt(text: str | None, file: str | None) -> str:
    """The prompt from the argument, a file or stdin. Never waits for a terminal."""
    if text is not None and file is not None:
        raise InvalidInput("give a prompt or --file, not both")
    if file is not None and file != "-":
        with opened(file) as stream:
            return _text(stream, file)
    if text is not None and text != "-":
        return text
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidInput(
            "there is no prompt", hint='ygg submit "Explain WAL", --file FILE, or pipe it in'
        )
    return _text(sys.stdin.buffer, "stdin")


def _text(stream: BinaryIO, name: str) -> str:
    """All of it, a byte order mark left out."""
    try:
        return files.whole(stream, DOCUMENT_MAX).decode("utf-8-sig")
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} is not UTF-8 text") from None
