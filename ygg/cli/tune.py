"""ygg tune: more slots, or fewer? Advice from the history of readings, with the figures it rests on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ygg.cli import output
from ygg.cli.app import Json, app, desk

WIDTH = 80
TITLES = {"more": "more slots", "fewer": "fewer slots", "fine": "fine", "unknown": "no advice"}
PARALLEL = (
    "give the model server as many slots too (OLLAMA_NUM_PARALLEL, --parallel), reload ygg,"
    " and ask again after an hour of work"
)


@app.command()
def tune(
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Only this one; else every host.")
    ] = None,
    days: Annotated[
        int,
        typer.Option(
            "--days", metavar="N", min=1, max=14, help="How far back to look; 14 at most."
        ),
    ] = 7,
    json_: Json = False,
) -> None:
    """Advise on slots, host by host, from the history of memory, waits and use."""
    with desk(write=False) as found:
        body = found.tuning(host, days=days)
    if json_:
        output.as_json(body)
        return
    for number, told in enumerate(body["hosts"]):
        output.data("\n" * bool(number) + _paragraph(told))
    if any(h["change"] for h in body["hosts"]):
        output.hint(PARALLEL)


def _paragraph(told: dict[str, Any]) -> str:
    """Title, the line to change, the reason, the figures."""
    change = [f"  {told['change']}"] if told["change"] else []
    lines = [f"{told['host']}: {TITLES[told['advice']]}", *change, *_wrapped(told["text"])]
    return "\n".join([*lines, *_figures(told["figures"])])


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _figures(of: dict[str, Any]) -> list[str]:
    """A line for each thing that was measured."""
    if not of["minutes"]:
        return []
    rows = (
        ("memory", _memory(of)),
        ("waits", _waits(of)),
        ("GPU", _use(of)),
        ("basis", _basis(of)),
    )
    return [f"  {name:<6}  {text}" for name, text in rows if text]


def _memory(of: dict[str, Any]) -> str:
    if of["memory_max_percent"] is None:
        return ""
    usual = f"up to {_percent(of['memory_percent'])} in 9 of 10 minutes, " * (
        of["memory_percent"] is not None
    )
    return f"{usual}{_percent(of['memory_max_percent'])} at most"


def _waits(of: dict[str, Any]) -> str:
    from ygg.view.text import duration

    if of["wait_max_s"] is None:
        return ""
    usual = f"up to {duration(of['wait_s'])} in 9 of 10 minutes, " * (of["wait_s"] is not None)
    return f"{usual}{duration(of['wait_mean_s'])} on average, {duration(of['wait_max_s'])} at most"


def _use(of: dict[str, Any]) -> str:
    if of["utilization_percent"] is None:
        return ""
    text = f"{_percent(of['utilization_percent'])} busy"
    if of["waiting_utilization_percent"] is None:
        return text
    waiting = _percent(of["waiting_utilization_percent"])
    return f"{text}, {waiting} in the {of['waiting_minutes']} minutes in which tasks waited"


def _basis(of: dict[str, Any]) -> str:
    limited = of["limited_percent"]
    less = f", limit lowered in {_percent(limited)}" if limited else ""
    return f"{of['minutes']} minutes with work, {of['running']:.1f} calls at a time{less}"


def _percent(value: float | None) -> str:
    return "--" if value is None else f"{value:.0f} %"
