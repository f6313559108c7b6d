"""Simulated machines with a GPU: a real SSH server on loopback, behind which `nvidia-smi` is a few formulas.

The dispatcher logs in with a key of the demo's own and reads as it reads any machine. A card warms up and cools down
towards a temperature, and its memory is what the models in its server take and what others hold.
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from ygg import private

MODEL_MB = 5_000_000_000 / 2**20  #: what `sim.dialects` says a loaded model takes
WARMS_S, COOLS_S = 4.0, 1.5  #: a card gets two thirds of the way up, or down, in this time
BROKEN = (OSError, asyncssh.Error)


@dataclass
class Machine:
    """One machine with one card. `models`: how many are in its memory now; `busy`: how many calls run."""

    name: str
    card: str
    total_mb: float
    models: Callable[[], int]
    busy: Callable[[], int]
    rests_c: float = 48.0
    works_c: float = 62.0
    heated_c: float | None = None  #: what it tends to whatever it does: a blocked fan, a hot room
    foreign_mb: float = 0.0  #: memory that somebody else holds
    foreign: str = "game.exe"
    _celsius: float = 48.0
    _at: float = field(default=0.0)

    @property
    def used_mb(self) -> float:
        return min(self.total_mb, 300 + self.models() * MODEL_MB + self.foreign_mb)

    def celsius(self, now: float) -> float:
        """Of the card, by the seconds since it was last asked."""
        goal = self.heated_c or (self.works_c if self.busy() else self.rests_c)
        inertia = WARMS_S if goal > self._celsius else COOLS_S
        near = math.exp(-max(0.0, now - self._at) / inertia) if self._at else 0.0
        self._celsius, self._at = goal + (self._celsius - goal) * near, now
        return self._celsius

    def row(self, fields: Sequence[str], now: float) -> str:
        """A line of `nvidia-smi --query-gpu=FIELDS --format=csv,noheader,nounits`."""
        celsius = self.celsius(now)
        known: Mapping[str, str] = {
            "uuid": f"GPU-{self.name}", "index": "0", "count": "1", "pci.bus_id": "00000000:01:00.0",
            "name": self.card, "memory.total": f"{self.total_mb:.0f}",
            "memory.free": f"{self.total_mb - self.used_mb:.0f}", "temperature.gpu": f"{celsius:.0f}",
            "power.draw": f"{25 + 3 * (celsius - 40):.2f}", "utilization.gpu": "97" if self.busy() else "0",
            "clocks_event_reasons.active": "0x0000000000000000",
        }  # fmt: skip
        return ", ".join(known.get(name, "[N/A]") for name in fields)

    def processes(self) -> str:
        """Who holds memory, as `--query-compute-apps` tells it."""
        held = {"/usr/bin/ollama": self.models() * MODEL_MB, self.foreign: self.foreign_mb}
        return "".join(
            f"{4000 + n}, {who}, {mb:.0f}\n" for n, (who, mb) in enumerate(held.items()) if mb
        )

    async def answer(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command as the machine would, until it ends or nobody reads it any more."""
        words = [
            w for w in shlex.split(process.command or "") if "=" not in w or w.startswith("--")
        ]
        try:
            process.exit(await self._run(words, process.stdout))
        except BROKEN:
            process.close()

    async def _run(self, words: Sequence[str], out: asyncssh.SSHWriter[bytes]) -> int:
        asked = next(
            (w.partition("=")[2].split(",") for w in words if w.startswith("--query-gpu=")), None
        )
        if words[:1] != ["nvidia-smi"]:
            out.write(f"{words[:1]}: command not found\n".encode())
            return 127
        if asked is None:
            out.write(self.processes().encode() if "-q" not in words else b"")
            return 0
        pause = float(words[words.index("-lms") + 1]) / 1000 if "-lms" in words else None
        while True:
            out.write(f"{self.row(asked, asyncio.get_running_loop().time())}\n".encode())
            await out.drain()
            if pause is None:
                return 0
            await asyncio.sleep(pause)


@dataclass(frozen=True)
class Access:
    """Where the machines are, by name, and the folder with the key that opens them and their host keys."""

    ports: Mapping[str, int]
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """What a service manager would set for whoever logs in."""
        return {"CREDENTIALS_DIRECTORY": str(self.folder)}


@asynccontextmanager
async def listening(
    machines: Sequence[Machine], folder: Path, known_hosts: Path
) -> AsyncIterator[Access]:
    """The machines, reachable for the length of a `with`. Writes the key, and `known_hosts`."""
    host_key, login = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    private.put(folder / "ssh_key", login.export_private_key().decode())
    allowed = asyncssh.import_authorized_keys(login.export_public_key().decode())
    listeners = {
        m.name: await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[host_key], authorized_client_keys=allowed, encoding=None,
            process_factory=m.answer,
        )
        for m in machines
    }  # fmt: skip
    ports = {name: listener.get_port() for name, listener in listeners.items()}
    key = " ".join(host_key.export_public_key().decode().split()[:2])
    private.put(known_hosts, "".join(f"[127.0.0.1]:{port} {key}\n" for port in ports.values()))
    try:
        yield Access(ports, folder)
    finally:
        for listener in listeners.values():
            listener.close()
