"""Commands that run something, loop and demo, and what they are told while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app, desk
from ygg.errors import Interrupted

Ascii = Annotated[bool, typer.Option("--ascii", help="Draw the live view in ASCII.")]
Readonly = Annotated[bool, typer.Option("--readonly", help="Keys of the live view change nothing.")]


@app.command()
def loop(
    async_: Annotated[
        bool | None,
        typer.Option(
            "--async/--no-async",
            help="The dispatcher, which is the default; --no-async is the legacy threaded loop.",
            show_default=False,
        ),
    ] = None,
    view: Annotated[
        bool, typer.Option("--view/--no-view", help="The live view, when stdout is a terminal.")
    ] = True,
    ascii_: Ascii = False,
    readonly: Readonly = False,
) -> None:
    """Run the dispatcher until Ctrl-C or SIGTERM."""
    if async_ is not False:
        from ygg import daemon

        code = daemon.run(
            Globals.config, view=view, unasked=async_ is None, ascii_=ascii_, readonly=readonly
        )
        raise typer.Exit(code)
    from ygg import legacy

    raise typer.Exit(legacy.run(Globals.config))


@app.command()
def reload(json_: Json = False) -> None:
    """Let the running daemon read hosts.yaml again; exit 78 when it is wrong, which changes nothing."""
    with desk(write=False) as found:
        body = found.reload()
    if json_:
        output.as_json(body)
    else:
        for change in body["changes"] or ["no change"]:
            output.data(change)


@app.command()
def demo(
    tasks: Annotated[
        int | None,
        typer.Option(
            "--tasks",
            min=1,
            max=1_000_000,
            help="So many random tasks instead of the example file.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random tasks and faults.")] = 0,
    latency: Annotated[
        float,
        typer.Option("--latency", min=0, metavar="MS", help="Time one task takes, milliseconds."),
    ] = 400.0,
    faults: Annotated[
        bool, typer.Option("--faults", help="Let about one call in ten fail.")
    ] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="DIR", help="Leave the demo's database there.")
    ] = None,
    json_: Json = False,
) -> None:
    """Run the real loop against three simulated hosts."""
    from ygg.sim.demo import run
    from ygg.sim.house import Options

    options = Options(
        as_json=json_, tasks=tasks, seed=seed, latency_ms=latency, faults=faults,
        keep=None if keep is None else Path(keep),
    )  # fmt: skip
    try:
        code = run(options)
    except KeyboardInterrupt:
        raise Interrupted("the demo was stopped", hint="nothing of it is left behind") from None
    raise typer.Exit(code)
