"""ygg init: find the model servers, write hosts.yaml, see that it works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ygg import paths
from ygg.cli import asking, output
from ygg.cli.app import Globals, app
from ygg.errors import Conflict, YggError

if TYPE_CHECKING:
    from ygg.ops.first.discovery import Machine, Place, Server


@app.command()
def init(
    network: Annotated[
        bool, typer.Option("--network", help="Look on the local network too, without asking.")
    ] = False,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="HOST[:PORT]", help="Look there too; repeat for more."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            "--slots", min=1, max=256, help="Slots of each Ollama host, as its OLLAMA_NUM_PARALLEL."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Answer yes to every question but that of overwriting.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a hosts.yaml that is already there.")
    ] = False,
    print_: Annotated[
        bool, typer.Option("--print", help="Print the file to stdout and write nothing.")
    ] = False,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Run no test task at the end.")
    ] = False,
) -> None:
    """Find the model servers of the house and write hosts.yaml for them."""
    target = _target()
    may_write = force or not os.path.lexists(target)
    if not (print_ or may_write or (asking.person() and not yes)):
        raise _there(target)
    machines = _find(host or [], network=network, yes=yes)
    text = _proposal(machines, slots, output.say if print_ else output.data)
    if print_:
        sys.stdout.write(text)
        return
    if not may_write and not asking.ask(f"{target} is already there. Overwrite it?"):
        raise _there(target)
    _written(target, text)
    raise typer.Exit(0 if _proven(target, test=not no_test) else 1)


def _target() -> Path:
    """`--config`, `$YGG_CONFIG`, else the user's own hosts.yaml."""
    places = paths.config_places(Globals.config, os.environ, Path())
    return places[0] if len(places) == 1 else places[1]


def _there(target: Path) -> Conflict:
    return Conflict(
        f"{target} is already there",
        hint="--force overwrites it, --print shows what would be written",
    )


# --- looking --------------------------------------------------------------------------------------


def _find(named: Sequence[str], *, network: bool, yes: bool) -> list[Machine]:
    """The machines with model servers. Raises YggError when there are none, InvalidInput."""
    from ygg.ops.first import discovery, networks
    from ygg.ops.threads import run_without_waiting

    discovery.places(named, [])  # a wrong --host is told before any question
    nets = networks.local()
    names = ", ".join(map(str, nets))
    question = f"Look for model servers on {names} too? It opens connections and takes 3 s."
    if not (nets and (network or yes or asking.ask(question))):
        nets = []
    where = discovery.places(named, nets)
    output.say(
        f"looking at {len(where)} places{f' on this machine and {names}' if nets else ''} ..."
    )
    machines = run_without_waiting(discovery.discover(where))
    if not machines:
        _nothing(where, names, looked=bool(nets))
    _missed(where, machines)
    return machines


def _missed(where: Sequence[Place], machines: Sequence[Machine]) -> None:
    """Tell of hosts that were named, but where nothing was found."""
    found = {server.place.host for machine in machines for server in machine.servers}
    for host in dict.fromkeys(place.host for place in where if place.named):
        if host not in found:
            output.say(f"no model server at {host}")


def _nothing(where: Sequence[Place], names: str, *, looked: bool) -> NoReturn:
    """Say what was tried, and how to go on."""
    near = [p.url for p in where if p.named or p.host == "127.0.0.1"]
    tried = "\n".join(f"  {url}" for url in near) + (f"\n  {names}" if looked else "")
    more = "" if looked else "ygg init --network looks on the local network; "
    raise YggError(
        f"no model server was found; tried\n{tried}",
        hint=f"{more}ygg init --host HOST:PORT looks at one place; by hand: copy the example"
        " in docs/configuration.md and put the server's url there",
    )


def _proposal(machines: Sequence[Machine], slots: int | None, tell: Callable[[str], None]) -> str:
    """Tell what was found; the text of hosts.yaml. Raises YggError when no model could be used."""
    from ygg.ops.first import proposal

    for machine in machines:
        for server in machine.servers:
            for line in _lines(machine, server):
                tell(line)
    limits = _card_limits(machines)
    text = proposal.render(machines, slots, card_limits=limits)
    if not text:
        raise YggError(
            "there are model servers, but none has a model that tasks could run on",
            hint="pull one first, such as: ollama pull qwen3:8b",
        )
    return text


def _card_limits(machines: Sequence[Machine]) -> bool:
    """Whether a GPU of this machine tells how hot it may get; asked only where it matters."""
    from ygg.ops import telemetry
    from ygg.ops.first import discovery
    from ygg.ops.threads import run_without_waiting

    if not any(machine.address == discovery.LOOPBACK for machine in machines):
        return False
    return run_without_waiting(telemetry.own_card_tells_its_limit())


def _lines(machine: Machine, server: Server) -> Iterator[str]:
    from ygg.ops.first.proposal import described, measures

    name = f"{machine.name} " if machine.name else ""
    note = "; it wants an API key, add it by hand" if server.locked else ""
    yield f"{name}{server.place.url}: {described(server)}{note}"
    if not server.models and not server.locked:
        yield "  no models"
    for model in server.models:
        yield f"  {model.name:<40} {measures(model)}".rstrip()


# --- writing and proving --------------------------------------------------------------------------


def _written(target: Path, text: str) -> None:
    from ygg.config import find_config
    from ygg.ops.first.proposal import write

    write(target, text)
    output.data(f"written: {target}")
    first = find_config(None, os.environ)
    if first is not None and first.resolve() != target.resolve():
        output.say(f"note: from here ygg uses {first}; name this one with --config {target}")


def _proven(target: Path, *, test: bool) -> bool:
    """Run doctor and one real task; whether both were content."""
    from ygg.cli.doctor import show
    from ygg.ops.doctor.report import doctor

    report = doctor(str(target), Globals.socket, os.environ)
    show(report)
    if test:
        _test(target)
    output.hint("next: ygg loop --async starts the dispatcher, ygg submit queues a task")
    return report.ok


def _test(target: Path) -> None:
    """One short task and its answer. Raises TaskFailed, WaitTimeout, Unavailable."""
    from ygg.config import load
    from ygg.ops.first.trial import trial

    output.say("a first task ...")
    answer = trial(load(target), Globals.socket, os.environ)
    output.data(answer.text)
    output.say(f"answered by {answer.where} in {answer.took_s:.1f} s")
