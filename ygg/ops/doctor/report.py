"""`ygg doctor`: looks at everything ygg stands on, and says what to do about what is wrong."""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ygg import __version__, paths, wire
from ygg.config import Config, load_found
from ygg.desk import JsonDict
from ygg.errors import ConfigError
from ygg.ops.doctor import answers, daemon, hosts, machine, notify, readings, store
from ygg.ops.doctor.checks import DEADLINE_S, Check, Maker, Probe, Status, run_all
from ygg.ops.threads import run_without_waiting

ASK_S = 1.0  #: how long the store's checks wait to hear from the daemon where its database is
ORDER = (
    "config",
    "store",
    "socket",
    "hosts",
    "answers",
    "telemetry",
    "notify",
    "clock",
    "service",
    "terminal",
)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings. `strict`: warnings count as well."""

    checks: tuple[Check, ...]
    strict: bool = False

    @property
    def ok(self) -> bool:
        return not (self.count(Status.ERROR) or (self.strict and self.count(Status.WARNING)))

    def count(self, status: Status) -> int:
        return sum(c.status is status for c in self.checks)

    def summary(self) -> str:
        """`31 checks: 1 error, 2 warnings`."""
        tally = Counter(c.status for c in self.checks)
        told = [_number(tally[s], s) for s in (Status.ERROR, Status.WARNING) if tally[s]]
        return f"{_number(len(self.checks), 'check')}: {', '.join(told) or 'all is well'}"

    def body(self) -> JsonDict:
        return {
            "schema": "ygg.doctor/1",
            "ok": self.ok,
            "version": __version__,
            "platform": f"{platform.platform()}, Python {platform.python_version()}",
            "checks": [c.body() for c in self.checks],
        }


def _number(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def doctor(
    config: str | None,
    socket: str | None,
    env: Mapping[str, str],
    *,
    strict: bool = False,
    ask: bool = False,
) -> Report:
    """Run every check; with `ask` each model server is asked for a token too. `config` and `socket` as given
    on the command line. Never raises."""
    checks = run_without_waiting(_Doctor(config, socket, env, ask=ask).examine())
    return Report(tuple(sorted(checks, key=lambda c: ORDER.index(c.category))), strict)


class _Doctor:
    """What several checks need is found out once, beside them: the configuration and the daemon."""

    def __init__(
        self, config: str | None, socket: str | None, env: Mapping[str, str], *, ask: bool
    ) -> None:
        self._config_path, self._socket, self._env, self._ask = config, socket, env, ask

    async def examine(self) -> list[Check]:
        self._config = asyncio.create_task(asyncio.to_thread(self._load))
        self._daemon = asyncio.create_task(asyncio.to_thread(daemon.ask, self._socket, self._env))
        try:
            here, there = await asyncio.gather(run_all(self._probes()), self._hosts())
        finally:
            self._config.cancel()
            self._daemon.cancel()
        return here + there

    def _probes(self) -> list[Probe]:
        return [
            Probe("hosts.yaml", "config", self._about_config),
            *store.probes(self._database),
            Probe("daemon", "socket", self._about_daemon),
            Probe("time", "clock", self._clock),
            Probe("unit", "service", lambda: machine.service(self._env)),
            Probe("screen", "terminal", lambda: machine.terminal(self._env)),
        ]

    def _load(self) -> Config | ConfigError:
        try:
            return load_found(self._config_path, self._env)
        except ConfigError as error:
            return error

    async def _about_config(self) -> list[Check]:
        of, found = Maker("hosts.yaml", "config"), await asyncio.shield(self._config)
        if isinstance(found, ConfigError):
            first, _, rest = found.message.partition("\n")
            missing = "no hosts.yaml found" in first
            return [of.error(first, rest, "ygg init writes one" if missing else found.hint)]
        slots = sum(h.slots for h in found.hosts.values())
        size = f"{_number(len(found.hosts), 'host')}, {_number(slots, 'slot')}"
        sound = of.ok(f"{found.source}: {size}, {_number(len(found.types), 'task type')}")
        told = (*found.left_out, *found.notes)
        return [sound, *(of.warning(line, fix="ygg config check") for line in told)]

    async def _hosts(self) -> list[Check]:
        await asyncio.wait({self._config}, timeout=DEADLINE_S)
        if not self._config.done() or self._config.exception() is not None:
            return []  # the check of hosts.yaml says so
        config = self._config.result()
        if isinstance(config, ConfigError):
            return []
        known_hosts = (await self._database()).with_name(wire.KNOWN_HOSTS)
        telemetry = readings.probes(config, known_hosts)
        found = await run_all([*hosts.probes(config), *telemetry, *notify.probes(config)])
        return [*found, *(await self._answers(config) if self._ask else [])]

    async def _answers(self, config: Config) -> list[Check]:
        told = await self._told()
        known = {host["name"]: host for host in (told or {}).get("hosts", ())}
        return await run_all(answers.probes(config, known))

    async def _about_daemon(self) -> list[Check]:
        told = await asyncio.shield(self._daemon)
        return await asyncio.to_thread(daemon.findings, told, self._socket, self._env)

    async def _told(self) -> JsonDict | None:
        """The daemon's own words, if they come in time."""
        await asyncio.wait({self._daemon}, timeout=ASK_S)
        told = self._daemon.result() if self._daemon.done() else None
        return told if isinstance(told, dict) else None

    async def _database(self) -> Path:
        """The running daemon's database; that of the state directory when none tells in time."""
        named = (await self._told() or {}).get("store")
        return Path(named) if named else paths.state_dir(self._env) / paths.DATABASE

    async def _clock(self) -> list[Check]:
        return await asyncio.to_thread(machine.clock, await self._database())
