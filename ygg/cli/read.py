"""Commands that only look: list, show, result, wait, why, status."""

from __future__ import annotations

import json
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ygg import private
from ygg.cli import output
from ygg.cli.app import Json, app, desk
from ygg.desk import OVER
from ygg.errors import InvalidInput, YggError
from ygg.plain import percent

if TYPE_CHECKING:
    from ygg.model import GpuView

TaskId = Annotated[str, typer.Argument(metavar="ID", help="A task id, or the end of one.")]


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only these states; repeat for more.")
    ] = None,
    type_: Annotated[str | None, typer.Option("-t", "--type", help="Only this type.")] = None,
    priority: Annotated[
        str | None, typer.Option("-p", "--priority", help="Only this priority.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Only what runs or ran there.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Only with this label.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many.")] = 20,
    queue: Annotated[
        bool, typer.Option("--queue", help="Waiting tasks in the order they will run.")
    ] = False,
    json_: Json = False,
) -> None:
    """List tasks, newest first."""
    order = "queue" if queue else "newest"
    states = state or (["queued"] if queue else None)
    with desk(write=False) as found:
        body = found.tasks(
            state=states,
            type=type_,
            priority=priority,
            host=host,
            label=label,
            limit=limit,
            order=order,
        )
    if json_:
        output.as_json(body)
    elif body["tasks"]:
        output.table(("ID", "P", "STATE", "TYPE", "HOST", "AGE", "TITLE"), map(_row, body["tasks"]))
    elif state or queue or any(v is not None for v in (type_, priority, host, label)):
        output.say("no task fits; without a filter, ygg list shows all")
    else:
        output.say('no tasks; ygg submit "Explain WAL" queues one')


def _row(task: dict[str, Any]) -> tuple[str, ...]:
    where = task["host"] or "--"
    note = task["title"] or task["error"] or ""
    state = task["state"] if task["attempt"] < 2 else f"{task['state']}/{task['attempt']}"
    return (
        task["id"], str(task["priority"]), state, task["type"], where, output.age(task["created_at"]), note,
    )  # fmt: skip


@app.command()
def show(task_id: TaskId, json_: Json = False) -> None:
    """Show one task with its event log."""
    with desk(write=False) as found:
        body = found.show(task_id)
    if json_:
        output.as_json(body)
        return
    shown = ("id", "state", "type", "operation", "priority_name", "title", "labels", "gpu", "content_type", "host", "endpoint", "model", "attempt",
             "errors", "deferrals", "crashes", "reason", "error", "created_at", "started_at",
             "finished_at", "due_at", "deadline_at", "timeout_s")  # fmt: skip
    for key in shown:
        if body[key] not in (None, "", [], 0):
            output.field(key, _plain(key, body[key]))
    if body["state"] not in OVER:
        output.field("why", body["reasons"][0]["text"])
    output.data("")
    output.table(
        ("AT", "TRY", "FROM", "TO", "REASON", "HOST", "DETAIL"), map(_log_row, body["log"])
    )


def _plain(key: str, value: Any) -> str:
    if key.endswith("_at"):
        return output.clock(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _log_row(row: dict[str, Any]) -> tuple[str, ...]:
    cells = (
        output.clock(row["at"]),
        row["attempt"],
        row["from"],
        row["to"],
        row["reason"],
        row["host"],
        row["detail"],
    )
    return tuple("" if c is None else str(c) for c in cells)


@app.command()
def result(
    task_id: TaskId,
    out: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write the answer to a file."),
    ] = None,
    json_: Json = False,
) -> None:
    """Print the answer of a completed task."""
    from ygg.cli import attend

    with desk(write=False) as found:
        if out in (None, "-"):
            attend.print_result(found, task_id, as_json=json_)
            return
        body = found.result(task_id)
    if body["result"] is None:
        raise attend.failed(body)
    _write(Path(out), _filed(body["result"]))


def _filed(result: dict[str, Any]) -> str:
    """What a file gets: the text alone; of vectors all their numbers, a JSON list a line."""
    vectors = result.get("embeddings", ())
    if vectors:
        return "".join(json.dumps(vector) + "\n" for vector in vectors)
    from ygg.cli import attend

    return result["content"] or attend.shown(result)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and for its owner alone where it is new. Pipes and devices as they are."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            private.put(path, text)
    except OSError as error:
        raise YggError(
            f"{path} cannot be written: {error.strerror}", hint="the answer is kept: ygg result"
        ) from None


@app.command()
def wait(
    task_ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Task ids.")] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="ID", help="All tasks of this batch.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Give up after: 90, 10m, 2h.")
    ] = None,
    json_: Json = False,
) -> None:
    """Wait until tasks have ended; exit 1 when one failed, 75 when time is up."""
    from ygg.cli import attend

    if bool(task_ids) == bool(batch):
        raise InvalidInput(
            "name the tasks, or a batch with --batch", hint="ygg list; ygg batch list"
        )
    if not task_ids:
        with desk(write=False) as found:
            attend.wait_batch(found, batch or "", timeout, as_json=json_)
        return
    with desk(write=False) as found:
        tasks = attend.wait(found, task_ids, timeout)
    if json_:
        output.as_json({"schema": "ygg.tasks/1", "tasks": tasks})
    else:
        for task in tasks:
            output.data(f"{task['id']} {task['state']}")
    bad = next((t for t in tasks if t["state"] != "completed"), None)
    if bad is not None:
        raise attend.failed(bad)


@app.command()
def why(task_id: TaskId, json_: Json = False) -> None:
    """Say why a task waits, or went where it went."""
    from ygg.view.text import duration

    with desk(write=False) as found:
        body = found.why(task_id)
    if json_:
        output.as_json(body)
        return
    place = ""
    if body["position"]:
        more = " or later" if body["position_is_bound"] else ""
        place = f", place {body['position']}{more}"
    if body["estimated_wait_ms"] is not None:
        place += f", expected in {duration(body['estimated_wait_ms'] / 1000)}"
    output.told(f"{body['id']} is {body['state']}{place}")
    for reason in _once(body["reasons"]):
        until = f" (until {output.clock(reason['until_at'])})" if reason.get("until_at") else ""
        output.told(f"  {reason['code']}: {reason['text']}{until}")


def _once(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best reason comes first and again with its candidate: said once."""
    return [r for n, r in enumerate(reasons) if r not in reasons[:n]]


@app.command()
def status(json_: Json = False) -> None:
    """Check every host and show the queue; exit 1 when a host is down."""
    with desk(write=False) as found:
        body, where = found.status(), found.where
    if json_:
        output.as_json(body)
    else:
        _print_status(body, where)
    if any(h["reachable"] is False for h in body["hosts"]):
        raise typer.Exit(1)


def _print_status(body: dict[str, Any], where: str) -> None:
    from ygg.view.text import duration

    daemon = body["daemon"]
    if daemon is None:
        output.field("daemon", f"none: {where}; start it with ygg loop --async", 9)
    else:
        notes = [w for w in ("paused", "draining") if daemon[w]]
        for part in ("store", "config", "notify"):
            said = daemon.get(f"{part}_error")
            notes += [f"{part}: {said}"] if said else []
        notes += [daemon["exposed"]] if daemon.get("exposed") else []
        up = f"ygg {daemon['version']}, up {duration(daemon['uptime_s'])}"
        output.field("daemon", ", ".join([up, *notes]), 9)
    queue = body["queue"]
    waiting = "  ".join(f"{name} {n}" for name, n in queue["by_priority"].items() if n) or "empty"
    output.field("queue", waiting, 9)
    told = ("processing", "scheduled", "completed", "failed", "blocked")
    rare = (name for name in ("cancelled", "expired") if queue[name])
    output.field("tasks", "  ".join(f"{name} {queue[name]}" for name in (*told, *rare)), 9)
    output.data("")
    read = any(h["gpus"] for h in body["hosts"])
    gpu = ("VRAM", "TEMP") if read else ()
    header = ("HOST", "STATE", "SLOTS", "LATENCY", *gpu, "BACKEND", "MODELS")
    output.table(header, (row for h in body["hosts"] for row in _host_rows(h, read)))
    for host in body["hosts"]:
        for text in output.troubles(host):
            output.told(text)


def _host_rows(host: dict[str, Any], read: bool) -> list[tuple[str, ...]]:
    """A host, and below it its servers where it has several."""
    gpu = ("", "") if read else ()
    below = [
        (name, state, slots, "", *gpu, backend, "")
        for name, state, slots, backend in output.servers(host)
    ]
    return [_host_row(host, read), *below]


def _host_row(host: dict[str, Any], read: bool) -> tuple[str, ...]:
    latency = "--" if host["latency_ms"] is None else f"{host['latency_ms']:.0f} ms"
    backend = f"{host['backend']} {host['version'] or ''}".rstrip()
    gpu = _gpu(host) if read else ()
    return (
        host["name"],
        output.host_state(host),
        output.slots(host),
        latency,
        *gpu,
        backend,
        _models(host),
    )


def _models(host: dict[str, Any]) -> str:
    """What there is, and of it what is loaded."""
    loaded = host["loaded"] or []
    known = [*host["models"], *(m for m in loaded if m not in host["models"])]
    return ", ".join(f"{m} (loaded)" if m in loaded else m for m in known)


def _gpu(host: dict[str, Any]) -> tuple[str, str]:
    """Memory of a host's cards together and heat of the hottest, as in the live view, with their age once they are old;
    -- where they do not tell."""
    from ygg.model import GpuView
    from ygg.model.snapshot import hottest, memory_of
    from ygg.model.transfer import from_plain

    cards = [from_plain(GpuView, g) for g in host["gpus"]]
    memory, hot = memory_of(cards), hottest(cards)
    vram = heat = "--"
    if memory is not None:
        vram = f"{percent(*memory)}% {host['memory_pressure'] or ''}".rstrip()
        vram += _age(max(cards, key=attrgetter("age_s")))
    if hot is not None:
        most = "" if hot.limit_c is None else f"/{hot.limit_c:.0f}"
        heat = f"{hot.temperature_c:.0f}{most}°C{_age(hot)}"
    return vram, heat


def _age(gpu: GpuView) -> str:
    from ygg.view.text import duration

    return f" {duration(gpu.age_s)} ago" if gpu.stale else ""
