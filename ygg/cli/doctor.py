"""ygg doctor: what is wrong, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ygg.cli import output
from ygg.cli.app import Globals, Json, app

if TYPE_CHECKING:
    from ygg.ops.doctor.checks import Check
    from ygg.ops.doctor.report import Report


ASKED_FOR = "answers"  #: checks that run only on demand: whoever asks wants to see them


@app.command()
def doctor(
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show every check, not only problems.")
    ] = False,
    try_: Annotated[
        bool,
        typer.Option(
            "--try",
            help="Ask each model server for one token, of a model that is in memory if any is.",
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    json_: Json = False,
) -> None:
    """Check configuration, database, daemon, hosts and this machine; exit 1 on an error."""
    import os

    from ygg.ops.doctor.report import doctor as examine

    report = examine(Globals.config, Globals.socket, os.environ, strict=strict, ask=try_)
    if json_:
        output.as_json(report.body())
    else:
        show(report, verbose=verbose)
    if not report.ok:
        raise typer.Exit(1)


def show(report: Report, *, verbose: bool = False) -> None:
    """The problems, or everything, then one line that sums up. Hints go to a person only."""
    for check in report.checks:
        if verbose or check.status != "ok" or check.category == ASKED_FOR:
            output.data(_text(check))
        elif check.fix:
            output.hint(f"hint: {check.name}: {check.message}; {check.fix}")
    output.data(report.summary())


def _text(check: Check) -> str:
    lines = [f"{check.status:<8}{check.category:<10}{check.name}: {check.message}"]
    lines += [f"{'':18}{line.strip()}" for line in check.detail.splitlines()]
    lines += [f"{'':18}fix: {check.fix}"] if check.fix else []
    return "\n".join(lines)
