"""ygg models: list, show, pull and unload, straight at the model servers."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app
from ygg.errors import Interrupted

if TYPE_CHECKING:
    from ygg.config import Config
    from ygg.ops.models.inventory import Listed, Pulling

models = typer.Typer(help="What the model servers have: list, show, pull and unload.")
app.add_typer(models, name="models")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, as its server says.")]
OneHost = Annotated[str | None, typer.Option("--host", metavar="HOST", help="Only this host.")]
HEADER = ("HOST", "MODEL", "SIZE", "PARAMETERS", "QUANTIZATION", "LOADED", "ROUTES")
YES_NO = {True: "yes", False: "no", None: "--"}


def _config() -> Config:
    from ygg.config import load_found

    return load_found(Globals.config, os.environ)


@models.callback(invoke_without_command=True)
def all_(ctx: typer.Context, json_: Json = False) -> None:
    """What the model servers have; without a subcommand the list."""
    if ctx.invoked_subcommand is None:
        _list(None, json_)


@models.command("list")
def list_(host: OneHost = None, json_: Json = False) -> None:
    """List every model of every host and the task types that use it; exit 1 when a host is silent."""
    _list(host, json_)


def _list(host: str | None, as_json: bool) -> None:
    from ygg.ops.models import inventory as ops

    found = ops.listed(_config(), host)
    if as_json:
        output.as_json({"schema": "ygg.models/1", "hosts": [one.body() for one in found]})
    else:
        often = Counter(one.host for one in found)
        places = [_place(one, several=often[one.host] > 1) for one in found]
        output.table(
            HEADER, [r for one, at in zip(found, places, strict=True) for r in _rows(one, at)]
        )
    for one in found:
        _say_missing(one)
        if one.error is not None:
            output.say_error(one.error)
    if any(one.error for one in found):
        raise typer.Exit(1)


def _place(one: Listed, *, several: bool) -> str:
    return f"{one.host}/{one.endpoint.name}" if several else one.host


def _rows(one: Listed, place: str) -> list[tuple[str, ...]]:
    return [
        (
            place, m.name, size(m.size), m.parameters or "--", m.quantization or "--",
            YES_NO[m.loaded], ", ".join(routes) or "--",
        )
        for m, routes in zip(one.models, one.routes, strict=True)
    ]  # fmt: skip


def _say_missing(one: Listed) -> None:
    for name, routes in one.missing:
        pull_it = f": ygg models pull {name} --host {one.host}"
        then = pull_it if one.endpoint.backend == "ollama" else ""
        use = f"used by {', '.join(routes)}" if routes else "named in hosts.yaml"
        output.say(f"{one.host} lacks {name}, {use}{then}")


def size(count: int | None) -> str:
    """Bytes as Ollama tells them: 5.0 GB."""
    if count is None:
        return "--"
    for unit, limit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count} B"


@models.command()
def show(model: Model, host: OneHost = None, json_: Json = False) -> None:
    """Show a model: parameters, quantisation, context length, template, on each host that has it."""
    from ygg.ops.models import inventory as ops

    found = ops.shown(_config(), model, host)
    if json_:
        output.as_json({"schema": "ygg.model/1", "model": model, "found": found})
        return
    for number, facts in enumerate(found):
        if number:
            output.data("")
        for key, value in facts.items():
            if value not in (None, [], ""):
                output.data(f"{key:<15} {_plain(key, value)}")


def _plain(key: str, value: Any) -> str:
    if key == "size":
        return size(value)
    if isinstance(value, bool):
        return YES_NO[value]
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).replace("\n", f"\n{'':<16}")


@models.command()
def pull(
    model: Model,
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="The host whose Ollama downloads it.")
    ],
) -> None:
    """Download a model on a host, with its progress; Ctrl-C stops it, pulling again resumes."""
    from ygg.ops.models import inventory as ops

    config = _config()
    try:
        with _progress(f"{host}: {model}") as note:
            ops.pull(config, model, host, note)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped pulling {model}; what came is kept on {host}",
            hint=f"pulling again resumes: ygg models pull {model} --host {host}",
        ) from None
    output.data(f"{host}: pulled {model}")


def _progress(title: str) -> AbstractContextManager[Callable[[Pulling], None]]:
    """A bar where a person looks, else a line for each tenth."""
    if sys.stderr.isatty():
        from ygg.cli.progress import bar

        return bar(title)
    return nullcontext(_Tenths(title))


class _Tenths:
    """Says how far it has come at 10, 20, … 90 %; each once, also when layers are added later."""

    def __init__(self, title: str) -> None:
        self.title, self.said = title, 0

    def __call__(self, so_far: Pulling) -> None:
        tenth = min(9, so_far.done * 10 // so_far.total) if so_far.total else 0
        if tenth > self.said:
            self.said = tenth
            output.say(f"{self.title}: {tenth * 10} % of {size(so_far.total)}")


@models.command()
def unload(model: Model, host: OneHost = None) -> None:
    """Free the memory a model takes on a host, or on every host where it is loaded."""
    from ygg.ops.models import inventory as ops

    results = ops.unload(_config(), model, host)
    for name, error in results:
        if error is None:
            output.data(f"{name}: unloaded {model}")
        else:
            output.say_error(error)
    worst = next((error for _, error in results if error), None)
    if worst is not None:
        raise typer.Exit(worst.exit_code)
    if not results:
        output.say(f"{model} is not loaded{f' on {host}' if host else ' anywhere'}")
