"""ygg hosts: what there is; drain, resume, probe and trust one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ygg.cli import hosts_telemetry, output
from ygg.cli.app import Json, app, desk

hosts = typer.Typer(help="List the hosts; stop one, start it again, ask it how it is.")
app.add_typer(hosts, name="hosts")

Host = Annotated[str, typer.Argument(metavar="HOST", help="A host of hosts.yaml.")]
HEADER = ("HOST", "KIND", "STATE", "SLOTS", "BACKEND", "VERSION", "MODELS", "URL")


@hosts.callback(invoke_without_command=True)
def list_(ctx: typer.Context, json_: Json = False) -> None:
    """List the hosts as they are known. SLOTS: busy ones of those open now. MODELS: loaded ones of those it has."""
    if ctx.invoked_subcommand is not None:
        return
    with desk(write=False) as found:
        body, online = found.hosts(), found.online
    if json_:
        output.as_json(body)
        return
    _print(body["hosts"])
    if not online:
        output.say("no daemon is running: ygg hosts probe asks the hosts now")


@hosts.command()
def drain(host: Host, json_: Json = False) -> None:
    """Start nothing new on a host; what runs there goes on."""
    with desk(write=True) as found:
        body, online = found.drain_host(host), found.online
    output.as_json(body) if json_ else output.data(f"{host} drained")
    output.say(
        f"running calls go on; no new ones start on {host} until: ygg hosts resume {host}"
        if online
        else f"no daemon is running; one that starts sends nothing to {host} until: ygg hosts resume {host}"
    )


@hosts.command()
def resume(host: Host, json_: Json = False) -> None:
    """Let a host work again that was drained, or that asked for a pause; one that is down is looked at now."""
    with desk(write=True) as found:
        body, online = found.resume_host(host), found.online
    output.as_json(body) if json_ else output.data(f"{host} resumed")
    if not online:
        output.say("no daemon is running; start it with ygg loop --async")


@hosts.command()
def probe(
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Only this one; else every host.")
    ] = None,
    json_: Json = False,
) -> None:
    """Ask hosts how they are, for 3 s at most. A single one is also read: GPUs, memory, heat, as
    its telemetry says. Exit 1 when one is down or cannot be read."""
    with desk(write=False) as found:
        asked = found.probe(host)
    read = hosts_telemetry.readings(host) if host is not None else None
    if json_:
        output.as_json({"schema": "ygg.hosts/1", "hosts": asked} | _read(read))
    else:
        _print(asked)
        hosts_telemetry.show(read or [])
    if any(h["reachable"] is False for h in asked) or hosts_telemetry.failed(read or []):
        raise typer.Exit(1)


def _read(readings: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {} if readings is None else {"readings": readings}


hosts.command()(hosts_telemetry.trust)


def _print(found: list[dict[str, Any]]) -> None:
    output.table(HEADER, (row for host in found for row in _rows(host)))
    output.hint("SLOTS: busy/open now; MODELS: loaded/known, -- where its server does not say")
    for host in found:
        for text in output.troubles(host):
            output.note(text)
        for gpu in host["gpus"]:
            if gpu["error"]:
                output.note(f"{host['name']}: GPU {gpu['index']} is lost: {gpu['error']}")


def _rows(host: dict[str, Any]) -> list[tuple[str, ...]]:
    """A host, and below it its servers where it has several."""
    urls = {f"  /{e['name']}": e["url"] for e in host["endpoints"]}
    kinds = {f"  /{e['name']}": e.get("kind", "") for e in host["endpoints"]}
    below = [
        (name, kinds[name], state, slots, backend, "", "", urls[name])
        for name, state, slots, backend in output.servers(host)
    ]
    return [_row(host), *below]


def _row(host: dict[str, Any]) -> tuple[str, ...]:
    loaded = "--" if host["loaded"] is None else len(host["loaded"])
    return (
        host["name"], host["kind"], output.host_state(host),
        output.slots(host), host["backend"], host["version"] or "--",
        f"{loaded}/{len(host['models'])}", " ".join(e["url"] for e in host["endpoints"]),
    )  # fmt: skip
