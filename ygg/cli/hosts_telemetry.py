"""ygg hosts trust, and the reading that ygg hosts probe HOST shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ygg.cli import asking, output
from ygg.cli.app import Globals
from ygg.errors import InvalidInput, YggError, known_host

if TYPE_CHECKING:
    from ygg.model import Host
    from ygg.wire import HostKey

MEASURING = ("nvml", "ssh")
CARDS = ("GPU", "NAME", "MEMORY", "FREE", "TEMP", "LIMIT", "POWER", "BUSY", "UUID")


def configured(name: str) -> Host:
    """A host of hosts.yaml. Raises NotFound, ConfigError."""
    from ygg.config import load_found

    hosts = load_found(Globals.config, os.environ).hosts
    known_host(name, hosts)
    return hosts[name]


# --- readings -------------------------------------------------------------------------------------


def readings(name: str) -> list[dict[str, Any]]:
    """One reading of each source of a host, taken by this process; [] where hosts.yaml is not here."""
    from ygg.ops import telemetry, trust
    from ygg.ops.threads import run_without_waiting

    try:
        host = configured(name)
    except YggError as error:
        output.say(f"no reading is taken: {error.message}")
        return []
    known_hosts = trust.known_hosts(Globals.socket, os.environ)
    return [taken.body() for taken in run_without_waiting(telemetry.take(host, known_hosts))]


def show(found: list[dict[str, Any]]) -> None:
    """Cards and processes of readings; what is in the way of others."""
    cards = [d for taken in found for d in taken.get("devices", ())]
    if cards:
        output.data("")
        output.table(CARDS, map(_card, cards))
    for taken in found:
        if (
            "error" not in taken or taken["source"] in MEASURING
        ):  # else it is busy, or down and said so
            for line in _words(taken):
                output.say(line)


def failed(found: list[dict[str, Any]]) -> bool:
    """Whether a source of memory and heat gave no reading of some card that can be used."""
    return any(t["source"] in MEASURING and _unusable(t) for t in found)


def _unusable(taken: dict[str, Any]) -> bool:
    if "error" in taken or taken["fault"] is not None:
        return True
    return any(device["error"] for device in taken["devices"])


def _card(device: dict[str, Any]) -> tuple[str, ...]:
    slowed = " (slows itself down)" if device["slowed"] else ""
    unified = " (the machine's)" if device["unified"] else ""
    return (
        str(device["index"]), device["name"] or "--",
        _amount(device["total_mb"], "MiB") + unified, _amount(device["free_mb"], "MiB"),
        _amount(device["temperature_c"], "°C") + slowed, _limit(device),
        _amount(device["power_w"], "W"), _amount(device["utilization"], "%"), device["uuid"],
    )  # fmt: skip


def _limit(device: dict[str, Any]) -> str:
    if device["margin_c"] is not None:
        return f"{device['margin_c']:g} °C away"
    return _amount(device["max_c"], "°C")


def _amount(value: float | None, unit: str) -> str:
    return "--" if value is None else f"{value:,.0f} {unit}"


def _words(taken: dict[str, Any]) -> Iterator[str]:
    if "error" in taken:
        yield f"{taken['source']}: {taken['error']}"
        if taken["hint"]:
            yield f"hint: {taken['hint']}"
        return
    yield f"read by {taken['source']} in {taken['took_ms']} ms"
    if taken["fault"] is not None:
        yield f"cannot be true: {taken['fault']}; ygg does not use such a reading"
    for device in taken["devices"]:
        if device["error"]:
            yield f"GPU {device['index']} is lost: {device['error']}"
    for process in taken["processes"] or ():
        yield f"  {process['name'] or '?'} ({process['pid']}) holds {process['used_mb']:,.0f} MiB"
    for endpoint, models in (taken["loaded"] or {}).items():
        yield f"  {endpoint} has loaded: {', '.join(models) or 'nothing'}"


# --- host keys ------------------------------------------------------------------------------------


def trust(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host with telemetry.ssh.")],
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint",
            metavar="SHA256:...",
            help="Trust the key only if this is its fingerprint.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Trust whatever key the host shows now, without asking.")
    ] = False,
) -> None:
    """Show the SSH host key of a machine and, when it is right, trust it for readings."""
    from ygg.ops import trust as trusting

    found = configured(host)
    file = trusting.known_hosts(Globals.socket, os.environ)
    key = trusting.shown(found, file)
    trusting.accept(host, key, fingerprint)
    if key.trusted_in == file:
        output.data(f"{key.entry} {key.fingerprint} is trusted already ({file})")
        return
    if key.trusted_in is not None:
        output.say(f"known from {key.trusted_in}")
    elif fingerprint is None and not yes:
        _asked(host, key, trusting.compare(key))
    trusting.write(file, key)
    output.data(f"{key.entry} {key.fingerprint} trusted ({file})")
    output.hint(f"next: ygg hosts probe {host}")


def _asked(host: str, key: HostKey, compare: str) -> None:
    """Raises unless a person says that the key is right."""
    output.say(f"{host} ({key.entry}) shows the host key {key.fingerprint}")
    output.say(f"compare it with the machine's own; {compare}")
    if not asking.person():
        text = "nobody is there to say whether this is the right key"
        hint = f"ygg hosts trust {host} --fingerprint {key.fingerprint}, once you compared it"
        raise InvalidInput(text, hint=hint)
    if not asking.ask("Is it the same?"):
        raise YggError("nothing was trusted", hint="readings of this host need its right key")
