"""Which probes a host gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ygg.model import Endpoint, Host
from ygg.ports import Probe
from ygg.probes import here
from ygg.probes.ollama_ps import OllamaPsProbe, Server
from ygg.probes.static import StaticProbe


def source_of(host: Host) -> str:
    """The source that is used for a host: what `auto` means for it, else the configured one."""
    if host.telemetry.source != "auto":
        return host.telemetry.source
    if (
        host.kind == "gpu"
        and any(here.is_here(e.url) for e in host.endpoints)
        and here.has_driver()
    ):
        return "nvml"
    if host.telemetry.ssh is not None:
        return "ssh"
    return "ollama_ps" if any(map(_is_ollama, host.endpoints)) else "static"


def build(
    host: Host, env: Mapping[str, str], known_hosts: Path, ollama: Callable[[Endpoint], Server]
) -> tuple[Probe, ...]:
    """The probes of a host, the measuring one first. Call inside the event loop that will use them.

    `known_hosts`: ygg's own file. `ollama`: who asks an Ollama server."""
    telemetry, source = host.telemetry, source_of(host)
    if source in ("off", "static"):
        return (StaticProbe(telemetry),) if source == "static" else ()
    found: list[Probe] = []
    if source == "nvml":
        from ygg.probes.nvml import NvmlProbe

        found.append(NvmlProbe(telemetry))
    elif source == "ssh":
        from ygg.probes.login import login_of
        from ygg.probes.ssh import SshProbe

        found.append(SshProbe(login_of(host, env, known_hosts), telemetry))
    elif telemetry.memory_mb is not None:
        found.append(StaticProbe(telemetry))
    servers = {e.name: ollama(e) for e in host.endpoints if _is_ollama(e)}
    return (*found, OllamaPsProbe(telemetry, servers)) if servers else tuple(found)


def _is_ollama(endpoint: Endpoint) -> bool:
    return endpoint.backend == "ollama"
