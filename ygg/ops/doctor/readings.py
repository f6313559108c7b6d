"""Do readings of memory and heat come, and do they tell what the host's rules need?"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path

from ygg import wire
from ygg.config import Config
from ygg.model import Device, Host
from ygg.ops import telemetry
from ygg.ops.doctor.checks import Check, Maker, Probe
from ygg.ops.telemetry import Taken

SAMPLE_S = 2.5  #: for one reading; below the deadline, to say what took so long
MEASURING = ("nvml", "ssh")
WITHOUT = "set telemetry.ssh of this host: see Telemetry in docs/operations.md"
SHADOWED = "pip uninstall pynvml, then pip install --force-reinstall nvidia-ml-py"


@dataclass(frozen=True, slots=True)
class Subject:
    """A host, and where the running daemon keeps the host keys it trusts."""

    host: Host
    known_hosts: Path | None

    @property
    def of(self) -> Maker:
        return Maker(f"{self.host.name} readings", "telemetry")


def probes(config: Config, known_hosts: Path | None = None) -> list[Probe]:
    """One for each host whose readings are not switched off, one for the binding of NVML."""
    subjects = [Subject(h, known_hosts) for h in config.hosts.values()]
    wanted = [s for s in subjects if wire.telemetry_source(s.host) != "off"]
    found = [Probe(s.of.name, "telemetry", lambda s=s: examine(s)) for s in wanted]  # type: ignore[misc]
    if any(wire.telemetry_source(s.host) == "nvml" for s in wanted):
        found.append(Probe("pynvml", "telemetry", binding))
    return found


async def examine(subject: Subject) -> list[Check]:
    """One reading now, and what it leaves out."""
    of, source = subject.of, wire.telemetry_source(subject.host)
    if source not in MEASURING:
        fix = WITHOUT if subject.host.kind == "gpu" else ""
        return [of.ok(f"none ({source}): memory and heat are not watched", fix=fix)]
    limited = replace(
        subject.host.telemetry, timeout_s=min(SAMPLE_S, subject.host.telemetry.timeout_s)
    )
    taken = await telemetry.take(replace(subject.host, telemetry=limited), subject.known_hosts)
    return _findings(subject, taken[0])


def _findings(subject: Subject, taken: Taken) -> list[Check]:
    of = subject.of
    if taken.reading is None:
        assert taken.error is not None
        return [of.error(taken.error.message, fix=taken.error.hint)]
    fault, sound = taken.reading.fault(), taken.reading.sound()
    wrong = (
        [of.error(f"cannot be true: {fault}", fix="such readings are not used")] if fault else []
    )
    return [*wrong, *(_cards(subject, taken, sound.devices) if sound else [])]


def _cards(subject: Subject, taken: Taken, cards: tuple[Device, ...]) -> list[Check]:
    of = subject.of
    names = ", ".join(d.name or d.uuid for d in cards if not d.error)
    told = of.ok(f"{taken.source}: {names}, {1000 * taken.took_s:.0f} ms", _detail(taken))
    lost = [of.error(f"{d.label} is lost: {d.error}") for d in cards if d.error]
    return [told, *lost, *_left_out(subject, cards)]


def _detail(taken: Taken) -> str:
    reading = taken.reading
    known = reading is not None and reading.processes is not None
    return (
        ""
        if known
        else "processes are not told: foreign memory is found by what models took before"
    )


def _left_out(subject: Subject, cards: tuple[Device, ...]) -> list[Check]:
    """What the host's rules need and no card tells."""
    of = subject.of
    found = []
    if all(d.temperature_c is None for d in cards):
        found.append(of.warning("no card tells its temperature: heat is not watched"))
    if all(d.total_mb is None or d.free_mb is None for d in cards):
        found.append(of.warning("no card tells its free memory: pressure is not watched"))
    rule = subject.host.heat
    if rule.mode == "card" and all(d.margin_c is None and d.max_c is None for d in cards):
        text = f"heat: card, but no card tells its limit: {rule.assumed_max:g} °C is assumed"
        found.append(
            of.warning(text, fix="set heat.assumed_max, or use the temperatures of `limits`")
        )
    return found


async def binding() -> list[Check]:
    """Two packages share the module's name: the one that is not NVIDIA's lacks what ygg needs."""
    of = Maker("pynvml", "telemetry")
    spec = importlib.util.find_spec("pynvml")
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    if origin is None:
        return [of.error("nvidia-ml-py is not installed", fix="pip install nvidia-ml-py")]
    if origin.name == "__init__.py":
        return [of.error(f"another package hides nvidia-ml-py: {origin.parent}", fix=SHADOWED)]
    return [of.ok(f"nvidia-ml-py: {origin}")]
